"""Notices to customers, with what is known of their delivery."""

from dataclasses import dataclass
from typing import Protocol

from hashyard_cloud.domain.dunning import Delivery, NoticeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """A notice. It counts as delivered by acceptance and the wait for bounces, or by an uploaded proof."""

    notice_id: str
    organisation_id: str
    customer_id: str
    contract_id: str | None
    invoice_id: str | None
    case_id: str | None
    kind: NoticeKind
    to_address: str
    subject: str
    body: str
    email_id: str | None
    created_us: int
    accepted_us: int | None
    reply: str
    bounced_us: int | None
    bounce: str
    proof_us: int | None
    proof_name: str
    proof_sha256: str
    proof_by: str

    @property
    def delivery(self) -> Delivery:
        """As the rules see it."""
        return Delivery(self.accepted_us, self.bounced_us, self.proof_us, self.proof_name or None)


class NoticesStore(Protocol):
    """Read and write notices."""

    async def add(self, row: NoticeRow) -> None: ...

    async def get(self, organisation_id: str, notice_id: str) -> NoticeRow | None: ...

    async def by_email(self, organisation_id: str, email_id: str) -> NoticeRow | None: ...

    async def all(
        self,
        organisation_id: str,
        *,
        customer_id: str | None = None,
        case_id: str | None = None,
        invoice_id: str | None = None,
    ) -> list[NoticeRow]:
        """Oldest first."""
        ...

    async def update(self, row: NoticeRow) -> None: ...

    async def add_proof(self, organisation_id: str, notice_id: str, body: bytes) -> None:
        """Keep the file that proves delivery."""
        ...

    async def proof(self, organisation_id: str, notice_id: str) -> bytes | None: ...
