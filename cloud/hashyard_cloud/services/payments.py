"""Payments: recorded once, spread over the oldest invoices, and what they cure is given back in the same step."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hashyard_cloud.domain.dunning import NoticeKind
from hashyard_cloud.domain.ledger import Allocation, EntryKind, OpenInvoice, allocate, reversal
from hashyard_cloud.domain.money import Money, total
from hashyard_cloud.errors import (
    ConflictError,
    IdempotencyMismatchError,
    MalformedError,
    NotFoundError,
)
from hashyard_cloud.services import activity, invoices, notice_texts, notices
from hashyard_cloud.services.case_money import case_money
from hashyard_cloud.services.defaults import Defaults
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.services.ports.ledger import LedgerRow
from hashyard_cloud.services.ports.payments import PaymentRow
from hashyard_shared.clock import Clock
from hashyard_shared.ids import new_id

MAX_KEY_CHARS: Final = 128
MAX_NOTE_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    """A payment and what became of it; `repeated` when the same request was recorded before."""

    payment: PaymentRow
    allocation: Allocation
    cases_ended: int
    repeated: bool = False


class Payments:
    """Records and reverses payments in the caller's transaction."""

    def __init__(self, clock: Clock, defaults: Defaults) -> None:
        self._clock = clock
        self._defaults = defaults

    async def record(
        self,
        tx: Transaction,
        organisation_id: str,
        actor: Actor,
        customer_id: str,
        amount: Money,
        idempotency_key: str,
        *,
        method: str = "transfer",
        note: str = "",
        received_us: int | None = None,
        invoice_ids: Sequence[str] | None = None,
    ) -> Recorded:
        """Record a payment: oldest invoice first, or over the named ones; the rest is the customer's credit.

        The same key with the same content answers what was recorded; with other content it is refused.
        """
        customer = await tx.customers.get(organisation_id, customer_id)
        if customer is None:
            raise NotFoundError
        key = idempotency_key.strip()
        if not 1 <= len(key) <= MAX_KEY_CHARS:
            message = f"An idempotency key has 1 to {MAX_KEY_CHARS} characters."
            raise MalformedError(message, field="idempotency_key")
        if not amount.positive:
            raise MalformedError("A payment is more than zero.", field="amount")
        body = _body_hash(customer_id, amount, method, note, invoice_ids)
        known = await tx.payments.by_key(organisation_id, key)
        if known is not None:
            return await self._repeated(tx, known, body)
        now_us = self._clock.now_us()
        payment = PaymentRow(
            payment_id=new_id(now_us),
            organisation_id=organisation_id,
            customer_id=customer_id,
            idempotency_key=key,
            body_hash=body,
            amount_micro=amount.micro,
            currency=amount.currency,
            method=method.strip()[:MAX_NOTE_CHARS],
            note=note.strip()[:MAX_NOTE_CHARS],
            received_us=received_us if received_us is not None else now_us,
            recorded_us=now_us,
            recorded_by=actor.name,
            reversed_us=None,
        )
        await tx.payments.add(payment)
        allocation = await self._allocate(tx, now_us, payment, actor, invoice_ids)
        text = f"Payment of {amount.text()} recorded ({payment.method})"
        await _log(tx, now_us, payment, actor, "payment.recorded", text)
        ended = await self._defaults.cure_paid(tx, organisation_id, customer_id, actor)
        await self._receipt(tx, now_us, customer, amount)
        return Recorded(payment, allocation, ended)

    async def owed(self, tx: Transaction, customer: CustomerRow, currency: str) -> Money:
        """What would settle everything: open invoices, less what redirects mined and is not booked yet."""
        rows = await tx.invoices.all(customer.organisation_id, customer_id=customer.customer_id)
        ids = [row.invoice_id for row in rows if row.state.owed and row.currency == currency]
        opened = await tx.ledger.open_by_invoice(customer.organisation_id, ids)
        owed = total([Money(value, currency) for value in opened.values()], currency)
        owed += await self._opening_debt(tx, customer, currency)
        cases = await tx.defaults.cases(customer.organisation_id, customer_id=customer.customer_id, live_only=True)
        for case in cases:
            if case.currency == currency:
                money = await case_money(tx, case)
                owed -= money.open - money.to_cure
        return owed

    async def _opening_debt(self, tx: Transaction, customer: CustomerRow, currency: str) -> Money:
        """What is owed without an invoice: an opening balance that no payment has made up for yet."""
        credit = await tx.ledger.credits(customer.organisation_id, customer.customer_id)
        return Money(max(-credit.get((customer.customer_id, currency), 0), 0), currency)

    async def _repeated(self, tx: Transaction, known: PaymentRow, body: str) -> Recorded:
        if known.body_hash != body:
            raise IdempotencyMismatchError
        entries = await tx.ledger.by_reference(known.organisation_id, known.payment_id)
        made = [row for row in entries if row.kind is EntryKind.PAYMENT]
        parts = tuple(
            (row.invoice_id, -Money(row.amount_micro, row.currency)) for row in made if row.invoice_id is not None
        )
        rest = [-Money(row.amount_micro, row.currency) for row in made if row.invoice_id is None]
        return Recorded(known, Allocation(parts, total(rest, known.currency)), 0, repeated=True)

    async def _allocate(
        self,
        tx: Transaction,
        now_us: int,
        payment: PaymentRow,
        actor: Actor,
        invoice_ids: Sequence[str] | None,
    ) -> Allocation:
        amount = Money(payment.amount_micro, payment.currency)
        rows = await self._open(tx, payment, invoice_ids)
        opened = await tx.ledger.open_by_invoice(payment.organisation_id, list(rows))
        open_invoices = [
            OpenInvoice(row.invoice_id, row.due_us or now_us, Money(opened.get(row.invoice_id, 0), row.currency))
            for row in rows.values()
        ]
        allocation = allocate(amount, open_invoices)
        entries = [_entry(now_us, payment, actor, -part, invoice_id) for invoice_id, part in allocation.parts]
        if allocation.left.positive:
            entries.append(_entry(now_us, payment, actor, -allocation.left, None))
        await tx.ledger.add(entries)
        for invoice_id, part in allocation.parts:
            still_open = Money(opened[invoice_id], payment.currency) - part
            await invoices.settle(tx, now_us, rows[invoice_id], still_open)
        return allocation

    async def _open(
        self, tx: Transaction, payment: PaymentRow, invoice_ids: Sequence[str] | None
    ) -> dict[str, InvoiceRow]:
        rows = await tx.invoices.all(payment.organisation_id, customer_id=payment.customer_id)
        found = {row.invoice_id: row for row in rows if row.state.owed and row.currency == payment.currency}
        if invoice_ids is None:
            return found
        missing = [invoice_id for invoice_id in invoice_ids if invoice_id not in found]
        if missing:
            raise MalformedError("A named invoice is not open in this currency.", field="invoice_ids")
        return {invoice_id: found[invoice_id] for invoice_id in invoice_ids}

    async def _receipt(self, tx: Transaction, now_us: int, customer: CustomerRow, amount: Money) -> None:
        rows = await tx.invoices.all(customer.organisation_id, customer_id=customer.customer_id)
        owed = [row for row in rows if row.state.owed and row.currency == amount.currency]
        opened = await tx.ledger.open_by_invoice(customer.organisation_id, [row.invoice_id for row in owed])
        still_open = total([Money(value, amount.currency) for value in opened.values()], amount.currency)
        still_open += await self._opening_debt(tx, customer, amount.currency)
        words = notice_texts.receipt(amount, still_open)
        await notices.send(tx, now_us, customer, NoticeKind.RECEIPT, notices.About(), *words)

    async def reverse(
        self, tx: Transaction, organisation_id: str, actor: Actor, payment_id: str, reason: str
    ) -> PaymentRow:
        """Undo a payment that bounced, by reversal entries; invoices that it paid are open again."""
        payment = await tx.payments.get(organisation_id, payment_id)
        if payment is None:
            raise NotFoundError
        if payment.reversed_us is not None:
            raise ConflictError("This payment was reversed already.")
        if not reason.strip():
            raise MalformedError("Give a reason; it is part of the record.", field="reason")
        now_us = self._clock.now_us()
        rows = await tx.ledger.by_reference(organisation_id, payment_id)
        earlier = [row.entry() for row in rows]
        undone: list[LedgerRow] = []
        for row in rows:
            entry = reversal(row.entry(), earlier, new_id(now_us), now_us, reason)
            undone.append(
                replace(
                    row,
                    entry_id=entry.entry_id,
                    at_us=now_us,
                    kind=entry.kind,
                    amount_micro=entry.amount.micro,
                    reverses=entry.reverses,
                    note=reason,
                    actor=actor.name,
                )
            )
        await tx.ledger.add(undone)
        payment = replace(payment, reversed_us=now_us)
        await tx.payments.update(payment)
        for invoice_id in {row.invoice_id for row in rows if row.invoice_id is not None}:
            invoice = await invoices.get(tx, organisation_id, invoice_id)
            await invoices.settle(tx, now_us, invoice, await invoices.open_amount(tx, invoice))
        await _log(tx, now_us, payment, actor, "payment.reversed", f"Payment reversed: {reason}")
        return payment


def _entry(now_us: int, payment: PaymentRow, actor: Actor, amount: Money, invoice_id: str | None) -> LedgerRow:
    return LedgerRow(
        entry_id=new_id(now_us),
        organisation_id=payment.organisation_id,
        customer_id=payment.customer_id,
        invoice_id=invoice_id,
        kind=EntryKind.PAYMENT,
        amount_micro=amount.micro,
        currency=amount.currency,
        at_us=now_us,
        reference=payment.payment_id,
        reverses=None,
        note=payment.note,
        actor=actor.name,
    )


def _body_hash(customer_id: str, amount: Money, method: str, note: str, invoice_ids: Sequence[str] | None) -> str:
    content = [customer_id, amount.micro, amount.currency, method, note, sorted(invoice_ids or [])]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


async def _log(tx: Transaction, now_us: int, payment: PaymentRow, actor: Actor, action: str, text: str) -> None:
    await activity.record(
        tx,
        now_us,
        payment.organisation_id,
        actor,
        action,
        text,
        customer_id=payment.customer_id,
        object_kind="payment",
        object_id=payment.payment_id,
    )
