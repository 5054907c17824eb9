"""The customer's ledger: immutable entries, corrected by reversal.

An entry's amount is positive when it raises what the customer owes, negative when it lowers it. What is open on
an invoice is the sum of the entries that name it; entries that name none are the customer's credit balance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hashyard_cloud.domain.errors import AmountError, LedgerError
from hashyard_cloud.domain.money import Money, total


class EntryKind(StrEnum):
    """Why an entry was made."""

    INVOICE = "invoice"
    PAYMENT = "payment"
    CREDIT_APPLIED = "credit-applied"
    CREDIT_NOTE = "credit-note"
    RECOVERY = "recovery"
    SURPLUS = "surplus"
    WAIVER = "waiver"
    WRITE_OFF = "write-off"
    OPENING = "opening"
    REVERSAL = "reversal"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One immutable entry. `reference` names what caused it (a payment, a case); `reverses` an earlier entry."""

    entry_id: str
    at_us: int
    kind: EntryKind
    amount: Money
    invoice_id: str | None
    reference: str
    reverses: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """What is still owed on an invoice."""

    invoice_id: str
    due_at_us: int
    open: Money


@dataclass(frozen=True, slots=True)
class Allocation:
    """How an amount was spread: parts by invoice, and what was left over."""

    parts: tuple[tuple[str, Money], ...]
    left: Money


def reversal(
    entry: LedgerEntry, earlier: Iterable[LedgerEntry], entry_id: str, at_us: int, note: str
) -> LedgerEntry:
    """The entry that undoes `entry`; `earlier` are the entries already made."""
    if entry.kind is EntryKind.REVERSAL:
        raise LedgerError(f"entry {entry.entry_id} is a reversal; make a new entry instead")
    if any(other.reverses == entry.entry_id for other in earlier):
        raise LedgerError(f"entry {entry.entry_id} was reversed already")
    return LedgerEntry(
        entry_id, at_us, EntryKind.REVERSAL, -entry.amount, entry.invoice_id, entry.reference, entry.entry_id, note
    )


def balance(entries: Iterable[LedgerEntry], currency: str) -> Money:
    """What the customer owes over all; negative is a credit."""
    return total([entry.amount for entry in entries], currency)


def open_on_invoice(entries: Iterable[LedgerEntry], invoice_id: str, currency: str) -> Money:
    """What is open on one invoice."""
    return total([entry.amount for entry in entries if entry.invoice_id == invoice_id], currency)


def credit(entries: Iterable[LedgerEntry], currency: str) -> Money:
    """The customer's credit balance: what was paid or returned and is not set against an invoice."""
    return -total([entry.amount for entry in entries if entry.invoice_id is None], currency)


def allocate(amount: Money, invoices: Sequence[OpenInvoice]) -> Allocation:
    """Spread an amount over open invoices, the oldest due date first. The parts and the rest sum to the amount."""
    if not amount.positive:
        raise AmountError(f"an amount to allocate must be more than zero, not {amount.text()}")
    left = amount
    parts: list[tuple[str, Money]] = []
    for invoice in sorted(invoices, key=lambda item: (item.due_at_us, item.invoice_id)):
        if not left.positive:
            break
        if not invoice.open.positive:
            continue
        part = min(left, invoice.open)
        parts.append((invoice.invoice_id, part))
        left -= part
    return Allocation(tuple(parts), left)
