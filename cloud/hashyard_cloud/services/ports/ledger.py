"""The customers' ledgers: rows that are added and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hashyard_cloud.domain.ledger import EntryKind, LedgerEntry
from hashyard_cloud.domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """An entry of `domain.ledger.LedgerEntry` as stored, with whose it is and who made it."""

    entry_id: str
    organisation_id: str
    customer_id: str
    invoice_id: str | None
    kind: EntryKind
    amount_micro: int
    currency: str
    at_us: int
    reference: str
    reverses: str | None
    note: str
    actor: str

    def entry(self) -> LedgerEntry:
        """The entry as the rules see it."""
        amount = Money(self.amount_micro, self.currency)
        return LedgerEntry(
            self.entry_id,
            self.at_us,
            self.kind,
            amount,
            self.invoice_id,
            self.reference,
            self.reverses,
            self.note,
        )


class LedgerStore(Protocol):
    """Append and sum."""

    async def add(self, rows: Sequence[LedgerRow]) -> None: ...

    async def all(self, organisation_id: str, customer_id: str) -> list[LedgerRow]:
        """Oldest first."""
        ...

    async def open_by_invoice(
        self, organisation_id: str, invoice_ids: Sequence[str] | None = None
    ) -> Mapping[str, int]:
        """What is open, in micro-units, on these invoices or on all; invoices without entries are missing."""
        ...

    async def credits(self, organisation_id: str, customer_id: str | None = None) -> Mapping[tuple[str, str], int]:
        """The credit balance by customer and currency, in micro-units; of all or of this customer."""
        ...

    async def by_reference(self, organisation_id: str, reference: str) -> list[LedgerRow]:
        """Entries that one payment or case caused, oldest first."""
        ...
