"""Payments as recorded."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRow:
    """A payment. `idempotency_key` is unique in the organisation; `body_hash` tells a repeat from a mistake."""

    payment_id: str
    organisation_id: str
    customer_id: str
    idempotency_key: str
    body_hash: str
    amount_micro: int
    currency: str
    method: str
    note: str
    received_us: int
    recorded_us: int
    recorded_by: str
    reversed_us: int | None


class PaymentsStore(Protocol):
    """Read and write payments."""

    async def add(self, row: PaymentRow) -> None: ...

    async def get(self, organisation_id: str, payment_id: str) -> PaymentRow | None: ...

    async def by_key(self, organisation_id: str, idempotency_key: str) -> PaymentRow | None: ...

    async def all(self, organisation_id: str, customer_id: str | None = None) -> list[PaymentRow]:
        """Newest first."""
        ...

    async def update(self, row: PaymentRow) -> None: ...
