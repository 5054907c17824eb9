"""What a default case is about in money: what was to cure, what the redirect recovered, what is left."""

from dataclasses import dataclass

from hashyard_cloud.domain.ledger import EntryKind
from hashyard_cloud.domain.money import Money, total
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.services.ports.invoices import InvoiceRow

_RECOVERIES = frozenset({EntryKind.RECOVERY, EntryKind.SURPLUS})


@dataclass(frozen=True, slots=True)
class CaseMoney:
    """`open` is what the ledger says; `pending` was mined and is not booked yet.

    `claim` is what was to cure before the redirect recovered anything, `recovered` all it brought, booked or not.
    """

    open: Money
    booked: Money
    pending: Money
    surplus: Money

    @property
    def claim(self) -> Money:
        """What approvals are bound to."""
        return self.open + self.booked

    @property
    def recovered(self) -> Money:
        """What the redirect set against the debt so far."""
        left = min(self.pending, self.open)
        return self.booked + left

    @property
    def to_cure(self) -> Money:
        """What is left to pay."""
        left = self.open - self.pending
        return left if left.positive else Money.zero(left.currency)


async def case_invoices(tx: Transaction, case: CaseRow) -> list[InvoiceRow]:
    """The invoices that made the default, by due date."""
    ids = await tx.defaults.invoice_ids(case.organisation_id, case.case_id)
    found = [await tx.invoices.get(case.organisation_id, invoice_id) for invoice_id in ids]
    return sorted((row for row in found if row is not None), key=lambda row: (row.due_us or 0, row.number))


async def case_money(tx: Transaction, case: CaseRow) -> CaseMoney:
    """Add it up from ledger and accruals."""
    invoices = await case_invoices(tx, case)
    opened = await tx.ledger.open_by_invoice(case.organisation_id, [row.invoice_id for row in invoices])
    owed = [Money(max(opened.get(row.invoice_id, 0), 0), row.currency) for row in invoices if row.state.owed]
    entries = await tx.ledger.by_reference(case.organisation_id, case.case_id)
    reversed_ids = {row.reverses for row in entries}
    kept = [row for row in entries if row.kind in _RECOVERIES and row.entry_id not in reversed_ids]
    booked = [-Money(row.amount_micro, row.currency) for row in kept if row.kind is EntryKind.RECOVERY]
    surplus = [-Money(row.amount_micro, row.currency) for row in kept if row.kind is EntryKind.SURPLUS]
    accruals = await tx.redirects.accruals(case.organisation_id, case.case_id)
    currency = case.currency
    mined = total([Money(row.value_micro - row.booked_micro, row.currency) for row in accruals], currency)
    return CaseMoney(total(owed, currency), total(booked, currency), mined.rounded_up(), total(surplus, currency))
