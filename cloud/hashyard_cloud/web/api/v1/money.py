"""Invoices and payments."""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.domain.money import Money
from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services import invoices
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.invoices import LineInput
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import (
    Amount,
    Answer,
    Body,
    Currency,
    Id,
    Instant,
    Line,
    Name,
    Page,
    PageQuery,
    Reason,
    Seconds,
    SignedAmount,
    at_us,
    decimal,
)
from hashyard_cloud.web.pages import MONEY, STAFF
from hashyard_shared.ids import new_id

MAX_LINES: Final = 1_000
MAX_QUANTITY: Final = Decimal(10) ** 9


class Invoice(Answer):
    """An invoice; `open` is what the ledger says is left to pay."""

    invoice_id: str
    customer_id: str
    contract_id: str
    number: str
    state: InvoiceState
    currency: str
    total: str
    open: str
    period_from_at: str | None
    period_to_at: str | None
    created_at: str
    issued_at: str | None
    due_at: str | None
    paid_at: str | None
    note: str


class InvoiceLine(Answer):
    """A line."""

    position: int
    description: str
    quantity: str
    unit: str
    unit_price: str
    amount: str


class InvoiceWithLines(Answer):
    """An invoice with its lines."""

    invoice: Invoice
    lines: list[InvoiceLine]


class InvoicesQuery(PageQuery):
    """Which invoices."""

    customer_id: Id | None = None
    contract_id: Id | None = None
    state: InvoiceState | None = None


class LineBody(Body):
    """A line: quantity of a unit at a price; a credit has a negative price."""

    description: Name
    quantity: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]
    unit: Line = ""
    unit_price: SignedAmount


class PeriodBody(Body):
    """What an invoice is for, its end not part of it."""

    from_at: Instant
    to_at: Instant


class InvoiceBody(Body):
    """A draft, in the contract's currency."""

    contract_id: Id
    lines: Annotated[list[LineBody], Field(min_length=1, max_length=MAX_LINES)]
    period: PeriodBody | None = None
    note: Line = ""


class IssueBody(Body):
    """When it is due after its issue, where the contract's terms are not to hold."""

    due_s: Seconds | None = None


class ReasonBody(Body):
    """Why; it is part of the record."""

    reason: Reason


class Payment(Answer):
    """A payment as recorded."""

    payment_id: str
    customer_id: str
    amount: str
    currency: str
    method: str
    note: str
    received_at: str
    recorded_at: str
    recorded_by: str
    reversed_at: str | None


class Part(Answer):
    """What of a payment went to an invoice."""

    invoice_id: str
    amount: str


class RecordedPayment(Answer):
    """A payment and what became of it; what is left over is the customer's credit."""

    payment: Payment
    parts: list[Part]
    left: str
    cases_ended: int


class PaymentBody(Body):
    """A payment: oldest invoice first, or over those that are named."""

    customer_id: Id
    amount: Amount
    currency: Currency
    method: Line = "transfer"
    note: Line = ""
    received_at: Instant | None = None
    invoice_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_LINES)] | None = None


class PaymentsQuery(PageQuery):
    """Whose payments."""

    customer_id: Id | None = None


async def _told(tx: Transaction, rows: list[InvoiceRow]) -> list[Invoice]:
    if not rows:
        return []
    opened = await tx.ledger.open_by_invoice(rows[0].organisation_id, [row.invoice_id for row in rows])
    return [Invoice.of(row, open=decimal(opened.get(row.invoice_id, 0))) for row in rows]


async def list_invoices(call: Call, query: InvoicesQuery) -> Page[Invoice]:
    """Invoices, newest first."""
    async with call.database.reading() as tx:
        rows = await tx.listings.invoices_after(
            call.org,
            paging.after(query),
            query.limit + 1,
            customer_id=query.customer_id,
            contract_id=query.contract_id,
            state=query.state and query.state.value,
        )
        shown, following = paging.cut(rows, lambda row: (row.created_us, row.invoice_id), query)
        return Page[Invoice](items=await _told(tx, shown), next_cursor=following)


async def _with_lines(call: Call, invoice_id: str) -> InvoiceWithLines:
    async with call.database.reading() as tx:
        row = await invoices.get(tx, call.org, invoice_id)
        told = (await _told(tx, [row]))[0]
        lines = await tx.invoices.lines(call.org, invoice_id)
    return InvoiceWithLines(invoice=told, lines=[InvoiceLine.of(line) for line in lines])


async def get_invoice(call: Call) -> InvoiceWithLines:
    """One invoice with its lines."""
    return await _with_lines(call, call.ids["invoice_id"])


async def draft_invoice(call: Call, body: InvoiceBody) -> InvoiceWithLines:
    """Draft an invoice for a contract."""
    period = None
    if body.period is not None:
        period = at_us(body.period.from_at, "period.from_at"), at_us(body.period.to_at, "period.to_at")
        if period[1] <= period[0]:
            raise MalformedError("The end must be after the beginning.", field="period.to_at")
    async with call.database.transaction() as tx:
        version = await tx.contracts.version_at(call.org, body.contract_id, call.now_us)
        if version is None:
            raise NotFoundError
        lines = [_line(line, version.currency) for line in body.lines]
        row = await invoices.draft(
            tx, call.now_us, call.org, call.actor, body.contract_id, lines, period=period, note=body.note
        )
    return await _with_lines(call, row.invoice_id)


def _line(body: LineBody, currency: str) -> LineInput:
    price = Money.parse(body.unit_price, currency)
    return LineInput(body.description, Decimal(body.quantity), body.unit, price)


async def issue_invoice(call: Call, body: IssueBody) -> InvoiceWithLines:
    """Issue a draft: it is owed from now on and is sent to the customer."""
    async with call.database.transaction() as tx:
        await invoices.issue(tx, call.now_us, call.org, call.actor, call.ids["invoice_id"], body.due_s)
    return await _with_lines(call, call.ids["invoice_id"])


async def hold_invoice(call: Call, body: ReasonBody) -> InvoiceWithLines:
    """Hold an invoice, so that it makes no default."""
    return await _held(call, body, held=True)


async def release_invoice(call: Call, body: ReasonBody) -> InvoiceWithLines:
    """Release a held invoice."""
    return await _held(call, body, held=False)


async def _held(call: Call, body: ReasonBody, *, held: bool) -> InvoiceWithLines:
    invoice_id = call.ids["invoice_id"]
    async with call.database.transaction() as tx:
        await invoices.set_held(tx, call.now_us, call.org, call.actor, invoice_id, held=held, reason=body.reason)
    return await _with_lines(call, invoice_id)


async def cancel_invoice(call: Call, body: ReasonBody) -> InvoiceWithLines:
    """Cancel an invoice; what is open on it is balanced by a credit note."""
    return await _closed(call, body, InvoiceState.CANCELLED)


async def write_off_invoice(call: Call, body: ReasonBody) -> InvoiceWithLines:
    """Write off what is open on an invoice."""
    return await _closed(call, body, InvoiceState.WRITTEN_OFF)


async def _closed(call: Call, body: ReasonBody, to: InvoiceState) -> InvoiceWithLines:
    invoice_id = call.ids["invoice_id"]
    async with call.database.transaction() as tx:
        await invoices.close_unpaid(tx, call.now_us, call.org, call.actor, invoice_id, to, body.reason)
    return await _with_lines(call, invoice_id)


async def list_payments(call: Call, query: PaymentsQuery) -> Page[Payment]:
    """Payments, newest first."""
    async with call.database.reading() as tx:
        rows = await tx.listings.payments_after(
            call.org, paging.after(query), query.limit + 1, customer_id=query.customer_id
        )
    shown, following = paging.cut(rows, lambda row: (row.recorded_us, row.payment_id), query)
    return Page[Payment](items=[Payment.of(row) for row in shown], next_cursor=following)


async def get_payment(call: Call) -> Payment:
    """One payment."""
    async with call.database.reading() as tx:
        row = await tx.payments.get(call.org, call.ids["payment_id"])
    if row is None:
        raise NotFoundError
    return Payment.of(row)


async def record_payment(call: Call, body: PaymentBody) -> RecordedPayment:
    """Record a payment.

    Send an Idempotency-Key, so that a repeat records nothing twice. What it cures is given back in the same step.
    """
    received_us = None if body.received_at is None else at_us(body.received_at, "received_at")
    async with call.database.transaction() as tx:
        recorded = await call.built.payments.record(
            tx,
            call.org,
            call.actor,
            body.customer_id,
            Money.parse(body.amount, body.currency),
            call.key or new_id(call.now_us),
            method=body.method,
            note=body.note,
            received_us=received_us,
            invoice_ids=body.invoice_ids,
        )
    parts = [
        Part(invoice_id=invoice_id, amount=decimal(part.micro) or "")
        for invoice_id, part in recorded.allocation.parts
    ]
    return RecordedPayment(
        payment=Payment.of(recorded.payment),
        parts=parts,
        left=decimal(recorded.allocation.left.micro) or "",
        cases_ended=recorded.cases_ended,
    )


async def reverse_payment(call: Call, body: ReasonBody) -> Payment:
    """Undo a payment that bounced; invoices that it paid are open again."""
    async with call.database.transaction() as tx:
        row = await call.built.payments.reverse(tx, call.org, call.actor, call.ids["payment_id"], body.reason)
    return Payment.of(row)


_INVOICES: Final = Feature(Area.INVOICES)
_PAYMENTS: Final = Feature(Area.PAYMENTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _INVOICES.read("/invoices", list_invoices, STAFF),
    _INVOICES.add("/invoices", draft_invoice, MONEY),
    _INVOICES.read("/invoices/{invoice_id}", get_invoice, STAFF),
    _INVOICES.act("/invoices/{invoice_id}/issue", issue_invoice, MONEY),
    _INVOICES.act("/invoices/{invoice_id}/hold", hold_invoice, MONEY),
    _INVOICES.act("/invoices/{invoice_id}/release", release_invoice, MONEY),
    _INVOICES.act("/invoices/{invoice_id}/cancel", cancel_invoice, MONEY),
    _INVOICES.act("/invoices/{invoice_id}/write-off", write_off_invoice, MONEY),
    _PAYMENTS.read("/payments", list_payments, STAFF),
    _PAYMENTS.add("/payments", record_payment, MONEY),
    _PAYMENTS.read("/payments/{payment_id}", get_payment, STAFF),
    _PAYMENTS.act("/payments/{payment_id}/reverse", reverse_payment, MONEY),
)
