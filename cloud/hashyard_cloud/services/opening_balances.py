"""What a customer owed, or had paid ahead, before Hashyard: an entry of the ledger, undone by reversal only."""

from dataclasses import replace
from typing import Final

from hashyard_cloud.domain.ledger import EntryKind, reversal
from hashyard_cloud.domain.money import Money
from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.ledger import LedgerRow
from hashyard_shared.ids import new_id

MAX_REASON_CHARS: Final = 500


def _reference(customer_id: str, currency: str) -> str:
    return f"opening:{customer_id}:{currency}"


def standing_entries(rows: list[LedgerRow]) -> list[LedgerRow]:
    """The opening balances among these entries that are not reversed."""
    undone = {row.reverses for row in rows}
    return [row for row in rows if row.kind is EntryKind.OPENING and row.entry_id not in undone]


async def known(tx: Transaction, customer: CustomerRow, currency: str) -> LedgerRow | None:
    """The customer's opening balance in this currency."""
    reference = _reference(customer.customer_id, currency)
    rows = standing_entries(await tx.ledger.by_reference(customer.organisation_id, reference))
    return rows[0] if rows else None


async def of_customer(tx: Transaction, organisation_id: str, customer_id: str) -> list[LedgerRow]:
    """The customer's opening balances, one for each currency at most."""
    return standing_entries(await tx.ledger.all(organisation_id, customer_id))


async def add_in(
    tx: Transaction, now_us: int, actor: Actor, customer: CustomerRow, amount: Money, at_us: int, note: str
) -> LedgerRow:
    """Enter it: positive is owed, negative is a credit. Raises `ConflictError` where there is one already."""
    if amount.micro == 0:
        raise MalformedError("An opening balance is not zero; leave the customer out.", field="amount")
    if await known(tx, customer, amount.currency) is not None:
        raise ConflictError(
            f"{customer.name} has an opening balance in {amount.currency} already.", field="amount"
        )
    row = LedgerRow(
        entry_id=new_id(now_us),
        organisation_id=customer.organisation_id,
        customer_id=customer.customer_id,
        invoice_id=None,
        kind=EntryKind.OPENING,
        amount_micro=amount.micro,
        currency=amount.currency,
        at_us=at_us,
        reference=_reference(customer.customer_id, amount.currency),
        reverses=None,
        note=note,
        actor=actor.name,
    )
    await tx.ledger.add([row])
    await _record(tx, now_us, actor, row, "opening.entered", f"Opening balance of {amount.text()} entered")
    return row


async def reverse(
    tx: Transaction, now_us: int, organisation_id: str, actor: Actor, customer_id: str, entry_id: str, reason: str
) -> LedgerRow:
    """Undo a wrong opening balance by an entry against it, so that another can be entered."""
    if not reason.strip():
        raise MalformedError("Give a reason; it is part of the record.", field="reason")
    if len(reason) > MAX_REASON_CHARS:
        raise MalformedError(f"Use at most {MAX_REASON_CHARS} characters.", field="reason")
    rows = await tx.ledger.all(organisation_id, customer_id)
    found = {row.entry_id: row for row in rows if row.kind is EntryKind.OPENING}
    if entry_id not in found:
        raise NotFoundError
    row = found[entry_id]
    entry = reversal(row.entry(), [one.entry() for one in rows], new_id(now_us), now_us, reason.strip())
    undone = replace(
        row,
        entry_id=entry.entry_id,
        at_us=now_us,
        kind=entry.kind,
        amount_micro=entry.amount.micro,
        reverses=entry.reverses,
        note=entry.note,
        actor=actor.name,
    )
    await tx.ledger.add([undone])
    text = f"Opening balance of {Money(row.amount_micro, row.currency).text()} reversed: {entry.note}"
    await _record(tx, now_us, actor, row, "opening.reversed", text)
    return undone


async def _record(tx: Transaction, now_us: int, actor: Actor, row: LedgerRow, action: str, text: str) -> None:
    await activity.record(
        tx,
        now_us,
        row.organisation_id,
        actor,
        action,
        text,
        customer_id=row.customer_id,
        object_kind="ledger",
        object_id=row.entry_id,
    )
