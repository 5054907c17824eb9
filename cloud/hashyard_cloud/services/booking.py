"""Books what a redirect recovered into the ledger: against the case's invoices first, the surplus as credit."""

from dataclasses import replace

from hashyard_cloud.domain.ledger import EntryKind, OpenInvoice, allocate
from hashyard_cloud.domain.money import Money, total
from hashyard_cloud.services import invoices
from hashyard_cloud.services.case_money import case_invoices
from hashyard_cloud.services.ports.activity import SYSTEM
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import CaseRow


async def book(tx: Transaction, now_us: int, case: CaseRow, before_day: str | None = None) -> Money:
    """Book what is not booked yet, of all days or of those before one; answers how much it was."""
    accruals = [
        row
        for row in await tx.redirects.accruals(case.organisation_id, case.case_id)
        if row.value_micro != row.booked_micro and (before_day is None or row.day < before_day)
    ]
    mined = [Money(row.value_micro - row.booked_micro, row.currency) for row in accruals]
    # As `case_money` states it: to the cent, in the customer's favour.
    amount = total(mined, case.currency).rounded_up()
    if not amount.positive:
        return Money.zero(case.currency)
    await tx.redirects.put_accruals([replace(row, booked_micro=row.value_micro) for row in accruals])
    rows = {row.invoice_id: row for row in await case_invoices(tx, case)}
    opened = await tx.ledger.open_by_invoice(case.organisation_id, list(rows))
    owed = [
        OpenInvoice(row.invoice_id, row.due_us or now_us, Money(opened.get(row.invoice_id, 0), row.currency))
        for row in rows.values()
        if row.state.owed
    ]
    allocation = allocate(amount, owed)
    days = sorted({row.day for row in accruals})
    note = f"{case.number}, mined at the holding pool {days[0]} to {days[-1]}"
    first = next(iter(rows.values()))
    entries = [
        invoices.entry(
            now_us,
            rows[invoice_id],
            EntryKind.RECOVERY,
            -part,
            invoice_id,
            SYSTEM,
            reference=case.case_id,
            note=note,
        )
        for invoice_id, part in allocation.parts
    ]
    if allocation.left.positive:
        entries.append(
            invoices.entry(
                now_us,
                first,
                EntryKind.SURPLUS,
                -allocation.left,
                None,
                SYSTEM,
                reference=case.case_id,
                note=note,
            )
        )
    await tx.ledger.add(entries)
    for invoice_id, part in allocation.parts:
        still_open = Money(opened[invoice_id], case.currency) - part
        await invoices.settle(tx, now_us, rows[invoice_id], still_open)
    return amount
