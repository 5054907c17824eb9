"""Invoices and their lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hashyard_cloud.domain.invoice import InvoiceState


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRow:
    """An invoice. What is open on it stands in the ledger, not here."""

    invoice_id: str
    organisation_id: str
    customer_id: str
    contract_id: str
    number: str
    state: InvoiceState
    currency: str
    total_micro: int
    period_from_us: int | None
    period_to_us: int | None
    created_us: int
    issued_us: int | None
    due_us: int | None
    paid_us: int | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLineRow:
    """A line; `quantity` is decimal text."""

    invoice_id: str
    organisation_id: str
    position: int
    description: str
    quantity: str
    unit: str
    unit_price_micro: int
    amount_micro: int


class InvoicesStore(Protocol):
    """Read and write invoices."""

    async def add(self, row: InvoiceRow, lines: Sequence[InvoiceLineRow]) -> None: ...

    async def get(self, organisation_id: str, invoice_id: str) -> InvoiceRow | None: ...

    async def by_number(self, organisation_id: str, number: str) -> InvoiceRow | None: ...

    async def lines(self, organisation_id: str, invoice_id: str) -> list[InvoiceLineRow]: ...

    async def all(
        self, organisation_id: str, *, customer_id: str | None = None, contract_id: str | None = None
    ) -> list[InvoiceRow]:
        """Newest first."""
        ...

    async def in_states(self, organisation_id: str, states: Sequence[InvoiceState]) -> list[InvoiceRow]:
        """By due date, those without one first."""
        ...

    async def update(self, row: InvoiceRow) -> None: ...

    async def next_number(self, organisation_id: str, year: int) -> str:
        """A number that was not given out, `INV-2026-0031`."""
        ...
