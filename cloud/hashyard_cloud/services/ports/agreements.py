"""Agreements: the host's texts in versions, and who accepted which."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRow:
    """A text that customers accept. Retired ones are no longer offered."""

    agreement_id: str
    organisation_id: str
    title: str
    created_us: int
    retired_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementVersionRow:
    """One version, never changed. `sha256` is of the text in UTF-8."""

    version_id: str
    organisation_id: str
    agreement_id: str
    version: int
    text: str
    sha256: str
    created_us: int
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceRow:
    """That somebody accepted a version for a customer: name, time, address, and the hash of the text."""

    acceptance_id: str
    organisation_id: str
    customer_id: str
    version_id: str
    sha256: str
    user_id: str
    name: str
    email: str
    remote: str
    at_us: int


class AgreementsStore(Protocol):
    """Append and read."""

    async def add(self, row: AgreementRow) -> None: ...

    async def get(self, organisation_id: str, agreement_id: str) -> AgreementRow | None: ...

    async def all(self, organisation_id: str) -> list[AgreementRow]:
        """By title."""
        ...

    async def update(self, row: AgreementRow) -> None: ...

    async def add_version(self, row: AgreementVersionRow) -> None: ...

    async def versions(self, organisation_id: str) -> list[AgreementVersionRow]:
        """Of all agreements, oldest first."""
        ...

    async def version(self, organisation_id: str, version_id: str) -> AgreementVersionRow | None: ...

    async def accept(self, row: AcceptanceRow) -> bool:
        """False when this customer has accepted this version already."""
        ...

    async def acceptances(self, organisation_id: str, customer_id: str | None = None) -> list[AcceptanceRow]:
        """Newest first."""
        ...
