"""Invoices: drafted, issued, held, cancelled; what is open on them stands in the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from hashyard_cloud.domain.dunning import NoticeKind, Terms
from hashyard_cloud.domain.invoice import InvoiceState, invoice_total, line, moved, settled
from hashyard_cloud.domain.ledger import EntryKind
from hashyard_cloud.domain.money import Money
from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services import activity, notice_texts, notices
from hashyard_cloud.services.ports.activity import SYSTEM, Actor
from hashyard_cloud.services.ports.contracts import ContractVersionRow
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.invoices import InvoiceLineRow, InvoiceRow
from hashyard_cloud.services.ports.ledger import LedgerRow
from hashyard_shared.clock import utc
from hashyard_shared.ids import new_id


@dataclass(frozen=True, slots=True)
class LineInput:
    """A line as entered: quantity of a unit at a price."""

    description: str
    quantity: Decimal
    unit: str
    unit_price: Money


def terms_of(version: ContractVersionRow) -> Terms:
    """A contract version's terms as the rules see them."""
    return Terms(version.due_s, version.grace_s, version.cure_s)


async def draft(
    tx: Transaction,
    now_us: int,
    organisation_id: str,
    actor: Actor,
    contract_id: str,
    lines: Sequence[LineInput],
    *,
    period: tuple[int, int] | None = None,
    note: str = "",
) -> InvoiceRow:
    """A draft for a contract, in the contract's currency. Lines in another currency are refused."""
    contract = await tx.contracts.get(organisation_id, contract_id)
    version = await tx.contracts.version_at(organisation_id, contract_id, now_us)
    if contract is None or version is None:
        raise NotFoundError
    rules = [line(one.description, one.quantity, one.unit, one.unit_price) for one in lines]
    total = invoice_total(rules, version.currency)
    invoice_id = new_id(now_us)
    row = InvoiceRow(
        invoice_id=invoice_id,
        organisation_id=organisation_id,
        customer_id=contract.customer_id,
        contract_id=contract_id,
        number=await tx.invoices.next_number(organisation_id, utc(now_us).year),
        state=InvoiceState.DRAFT,
        currency=version.currency,
        total_micro=total.micro,
        period_from_us=period[0] if period else None,
        period_to_us=period[1] if period else None,
        created_us=now_us,
        issued_us=None,
        due_us=None,
        paid_us=None,
        note=note,
    )
    stored = [
        InvoiceLineRow(
            invoice_id=invoice_id,
            organisation_id=organisation_id,
            position=position,
            description=one.description,
            quantity=str(one.quantity),
            unit=one.unit,
            unit_price_micro=one.unit_price.micro,
            amount_micro=one.amount.micro,
        )
        for position, one in enumerate(rules)
    ]
    await tx.invoices.add(row, stored)
    await record(tx, now_us, actor, row, "invoice.drafted", f"{row.number} drafted over {total.text()}")
    return row


async def issue(
    tx: Transaction, now_us: int, organisation_id: str, actor: Actor, invoice_id: str, due_s: int | None = None
) -> InvoiceRow:
    """Issue a draft: it is owed from now on, due by the contract's terms unless `due_s` says otherwise."""
    row = await get(tx, organisation_id, invoice_id)
    moved(row.state, InvoiceState.ISSUED)
    version = await tx.contracts.version_at(organisation_id, row.contract_id, now_us)
    customer = await tx.customers.get(organisation_id, row.customer_id)
    if version is None or customer is None:
        raise NotFoundError
    terms = terms_of(version) if due_s is None else replace(terms_of(version), due_s=due_s)
    due_us = terms.due_at_us(now_us)
    row = replace(row, state=InvoiceState.ISSUED, issued_us=now_us, due_us=due_us)
    total = Money(row.total_micro, row.currency)
    await tx.invoices.update(row)
    await tx.ledger.add([entry(now_us, row, EntryKind.INVOICE, total, row.invoice_id, actor)])
    await record(tx, now_us, actor, row, "invoice.issued", f"{row.number} issued over {total.text()}")
    still_open = total - await _apply_credit(tx, now_us, row, total)
    subject, body = notice_texts.invoice(row, still_open)
    about = notices.About(contract_id=row.contract_id, invoice_id=row.invoice_id)
    await notices.send(tx, now_us, customer, NoticeKind.INVOICE, about, subject, body)
    return await settle(tx, now_us, row, still_open)


async def _apply_credit(tx: Transaction, now_us: int, row: InvoiceRow, total: Money) -> Money:
    """Set the customer's credit against a new invoice; what was used."""
    balances = await tx.ledger.credits(row.organisation_id)
    credit = Money(balances.get((row.customer_id, row.currency), 0), row.currency)
    used = min(credit, total)
    if not used.positive:
        return Money.zero(row.currency)
    await tx.ledger.add(
        [
            entry(now_us, row, EntryKind.CREDIT_APPLIED, -used, row.invoice_id, SYSTEM),
            entry(now_us, row, EntryKind.CREDIT_APPLIED, used, None, SYSTEM),
        ]
    )
    return used


async def settle(tx: Transaction, now_us: int, row: InvoiceRow, still_open: Money) -> InvoiceRow:
    """Bring an invoice's state in line with ledger and time; written only when it changes."""
    due_us = row.due_us if row.due_us is not None else now_us
    state = settled(row.state, still_open, due_us, now_us)
    if state is row.state:
        return row
    changed = replace(row, state=state, paid_us=now_us if state is InvoiceState.PAID else None)
    await tx.invoices.update(changed)
    text = f"{row.number} is {state.label}, {still_open.text()} open"
    await record(tx, now_us, SYSTEM, changed, f"invoice.{state.value}", text)
    return changed


async def remind(tx: Transaction, now_us: int, row: InvoiceRow, still_open: Money) -> None:
    """Send the reminder for an invoice that became overdue."""
    version = await tx.contracts.version_at(row.organisation_id, row.contract_id, row.issued_us or now_us)
    customer = await tx.customers.get(row.organisation_id, row.customer_id)
    if version is None or customer is None:
        raise NotFoundError
    subject, body = notice_texts.reminder(row, still_open, terms_of(version))
    about = notices.About(contract_id=row.contract_id, invoice_id=row.invoice_id)
    await notices.send(tx, now_us, customer, NoticeKind.REMINDER, about, subject, body)


async def set_held(
    tx: Transaction, now_us: int, organisation_id: str, actor: Actor, invoice_id: str, *, held: bool, reason: str
) -> InvoiceRow:
    """Hold an invoice, so that it makes no default, or release it."""
    row = await get(tx, organisation_id, invoice_id)
    if not reason.strip():
        raise MalformedError("Give a reason; it is part of the record.", field="reason")
    if not held and row.state is not InvoiceState.HELD:
        return row
    row = replace(row, state=moved(row.state, InvoiceState.HELD if held else InvoiceState.ISSUED))
    await tx.invoices.update(row)
    action = "held" if held else "released"
    await record(tx, now_us, actor, row, f"invoice.{action}", f"{row.number} {action}: {reason}")
    return row if held else await settle(tx, now_us, row, await open_amount(tx, row))


async def close_unpaid(
    tx: Transaction,
    now_us: int,
    organisation_id: str,
    actor: Actor,
    invoice_id: str,
    to: InvoiceState,
    reason: str,
) -> InvoiceRow:
    """Cancel or write off what is still open, with an entry that balances it."""
    row = await get(tx, organisation_id, invoice_id)
    if to not in {InvoiceState.CANCELLED, InvoiceState.WRITTEN_OFF}:
        raise MalformedError("An invoice is closed unpaid by cancelling it or writing it off.", field="state")
    if not reason.strip():
        raise MalformedError("Give a reason; it is part of the record.", field="reason")
    still_open = await open_amount(tx, row)
    row = replace(row, state=moved(row.state, to))
    await tx.invoices.update(row)
    if still_open.positive:
        kind = EntryKind.CREDIT_NOTE if to is InvoiceState.CANCELLED else EntryKind.WRITE_OFF
        await tx.ledger.add([entry(now_us, row, kind, -still_open, row.invoice_id, actor, note=reason)])
    text = f"{row.number} {to.label.lower()} with {still_open.text()} open: {reason}"
    await record(tx, now_us, actor, row, f"invoice.{to.value}", text)
    return row


async def get(tx: Transaction, organisation_id: str, invoice_id: str) -> InvoiceRow:
    """The invoice; raises `NotFoundError`."""
    row = await tx.invoices.get(organisation_id, invoice_id)
    if row is None:
        raise NotFoundError
    return row


async def open_amount(tx: Transaction, row: InvoiceRow) -> Money:
    """What is open on an invoice."""
    found = await tx.ledger.open_by_invoice(row.organisation_id, [row.invoice_id])
    return Money(found.get(row.invoice_id, 0), row.currency)


def entry(
    now_us: int,
    row: InvoiceRow,
    kind: EntryKind,
    amount: Money,
    invoice_id: str | None,
    actor: Actor,
    *,
    reference: str | None = None,
    note: str = "",
) -> LedgerRow:
    """A ledger row for this invoice's customer."""
    return LedgerRow(
        entry_id=new_id(now_us),
        organisation_id=row.organisation_id,
        customer_id=row.customer_id,
        invoice_id=invoice_id,
        kind=kind,
        amount_micro=amount.micro,
        currency=amount.currency,
        at_us=now_us,
        reference=reference or row.invoice_id,
        reverses=None,
        note=note,
        actor=actor.name,
    )


async def record(tx: Transaction, now_us: int, actor: Actor, row: InvoiceRow, action: str, text: str) -> None:
    """A line in the activity log about an invoice."""
    await activity.record(
        tx,
        now_us,
        row.organisation_id,
        actor,
        action,
        text,
        customer_id=row.customer_id,
        object_kind="invoice",
        object_id=row.invoice_id,
    )


async def customer_of(tx: Transaction, row: InvoiceRow) -> CustomerRow:
    """Whose invoice it is."""
    customer = await tx.customers.get(row.organisation_id, row.customer_id)
    if customer is None:
        raise NotFoundError
    return customer
