"""Invoices and payments: lists, a new invoice, one invoice, recording a payment."""

from decimal import Decimal, InvalidOperation
from typing import Final

from aiohttp import web

from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.domain.money import Money
from hashyard_cloud.errors import CloudError, ConflictError, MalformedError
from hashyard_cloud.services import customers, invoices
from hashyard_cloud.services.ports.contracts import ContractState
from hashyard_cloud.services.ports.listings import ListFilter
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.lists import one_of, page_of
from hashyard_cloud.web.pages import MONEY, actor_of, fields, go, host_page, show
from hashyard_shared.ids import new_id

METHODS: Final = (("transfer", "Transfer"), ("card", "Card"), ("bitcoin", "Bitcoin"), ("other", "Other"))


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/invoices", host_page(index)),
        web.get("/invoices/new", host_page(new, MONEY)),
        web.post("/invoices/new", host_page(create, MONEY)),
        web.get("/invoices/{invoice_id}", host_page(detail)),
        web.post("/invoices/{invoice_id}/issue", host_page(issue, MONEY)),
        web.get("/customers/{customer_id}/payments/new", host_page(payment_form, MONEY)),
        web.post("/customers/{customer_id}/payments/new", host_page(record_payment, MONEY)),
    ]


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /invoices."""
    page = page_of("/invoices", request.query, sorts=("created",), size=50)
    wanted = ListFilter(
        state=one_of(InvoiceState, page.query.get("state")),
        search=page.search,
        limit=page.size,
        offset=page.offset,
    )
    async with request.app[keys.DATABASE].reading() as tx:
        found, total = await tx.listings.invoices(viewer.organisation_id, wanted)
        rows = [row for row, _ in found]
        opened = await tx.ledger.open_by_invoice(viewer.organisation_id, [row.invoice_id for row in rows])
        counts = await tx.listings.invoice_counts(viewer.organisation_id)
    return show(
        request,
        viewer,
        "host/invoices/index.html",
        rows=rows,
        counts=counts,
        page=page.of(total),
        opened=opened,
        names={row.customer_id: name for row, name in found},
        states=list(InvoiceState),
    )


async def _form(
    request: web.Request, viewer: Viewer, form: dict[str, str], errors: dict[str, str] | None = None
) -> web.Response:
    async with request.app[keys.DATABASE].reading() as tx:
        names = {row.customer_id: row.name for row in await tx.customers.all(viewer.organisation_id)}
        rows = await tx.contracts.all(viewer.organisation_id, form.get("customer") or None)
    choices = [
        (row.contract_id, f"{row.number} · {names.get(row.customer_id, '')}")
        for row in rows
        if row.state in {ContractState.ACTIVE, ContractState.ENDED}
    ]
    return show(
        request,
        viewer,
        "host/invoices/form.html",
        422 if errors else 200,
        form=form,
        errors=errors or {},
        contracts=choices,
    )


async def new(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /invoices/new."""
    form = {"customer": request.query.get("customer", ""), "quantity": "1", "description": "Hosting"}
    return await _form(request, viewer, form)


async def create(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /invoices/new: draft an invoice of one line, and issue it where that was asked."""
    form = await fields(request)
    now_us = request.app[keys.CLOCK].now_us()
    actor, organisation_id = actor_of(viewer), viewer.organisation_id
    try:
        quantity = _decimal(form.get("quantity", ""))
        async with request.app[keys.DATABASE].transaction() as tx:
            version = await tx.contracts.version_at(organisation_id, form.get("contract_id", ""), now_us)
            if version is None:
                raise MalformedError("Choose a contract.", field="contract_id")
            price = Money.parse(form.get("unit_price", ""), version.currency)
            given = invoices.LineInput(
                _text(form.get("description", "")), quantity, form.get("unit", "").strip()[:20], price
            )
            row = await invoices.draft(
                tx, now_us, organisation_id, actor, form["contract_id"], [given], note=form.get("note", "")[:200]
            )
            if form.get("issue") == "1":
                row = await invoices.issue(tx, now_us, organisation_id, actor, row.invoice_id)
    except CloudError as error:
        if error.status >= 500:
            raise
        return await _form(request, viewer, form, {error.field or "unit_price": str(error)})
    return go(f"/invoices/{row.invoice_id}", f"{row.number} {row.state.value}.")


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text.strip().replace(",", ""))
    except InvalidOperation as error:
        raise MalformedError("Give a number.", field="quantity") from error
    if not value.is_finite() or not 0 < value < 10**12:
        raise MalformedError("Give a number above zero.", field="quantity")
    return value


def _text(text: str) -> str:
    if not text.strip():
        raise MalformedError("Say what is billed.", field="description")
    return text.strip()[:200]


async def detail(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /invoices/{invoice_id}."""
    async with request.app[keys.DATABASE].reading() as tx:
        row = await invoices.get(tx, viewer.organisation_id, request.match_info["invoice_id"])
        lines = await tx.invoices.lines(viewer.organisation_id, row.invoice_id)
        customer = await customers.get(tx, viewer.organisation_id, row.customer_id)
        contract = await tx.contracts.get(viewer.organisation_id, row.contract_id)
        opened = await invoices.open_amount(tx, row)
        entries = [
            entry
            for entry in await tx.ledger.all(viewer.organisation_id, row.customer_id)
            if entry.invoice_id == row.invoice_id
        ]
    return show(
        request,
        viewer,
        "host/invoices/detail.html",
        row=row,
        lines=lines,
        customer=customer,
        contract=contract,
        open_micro=opened.micro,
        entries=entries,
    )


async def issue(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /invoices/{invoice_id}/issue."""
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].transaction() as tx:
        row = await invoices.issue(
            tx, now_us, viewer.organisation_id, actor_of(viewer), request.match_info["invoice_id"]
        )
    return go(f"/invoices/{row.invoice_id}", f"{row.number} was issued and sent.")


async def _payment_page(
    request: web.Request, viewer: Viewer, form: dict[str, str], errors: dict[str, str] | None = None
) -> web.Response:
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
        rows = await tx.invoices.all(viewer.organisation_id, customer_id=customer.customer_id)
        owed = [row for row in rows if row.state.owed]
        opened = await tx.ledger.open_by_invoice(viewer.organisation_id, [row.invoice_id for row in owed])
    total = sum(opened.get(row.invoice_id, 0) for row in owed if row.currency == customer.currency)
    if "amount" not in form and total:
        form = form | {"amount": f"{total // 10_000 / 100:.2f}" if total % 10_000 == 0 else f"{total / 1e6:.6f}"}
    return show(
        request,
        viewer,
        "host/invoices/payment.html",
        422 if errors else 200,
        customer=customer,
        owed=sorted(owed, key=lambda row: row.due_us or 0),
        opened=opened,
        total=total,
        form=form,
        errors=errors or {},
        methods=METHODS,
    )


async def payment_form(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /customers/{customer_id}/payments/new. The form carries its own idempotency key."""
    return await _payment_page(request, viewer, {"key": new_id(request.app[keys.CLOCK].now_us())})


async def record_payment(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /customers/{customer_id}/payments/new: sent twice, it is recorded once."""
    form = await fields(request)
    customer_id = request.match_info["customer_id"]
    payments = request.app[keys.ENFORCEMENT].payments
    try:
        async with request.app[keys.DATABASE].transaction() as tx:
            customer = await customers.get(tx, viewer.organisation_id, customer_id)
            amount = Money.parse(form.get("amount", ""), customer.currency)
            method = form.get("method", "transfer")
            recorded = await payments.record(
                tx,
                viewer.organisation_id,
                actor_of(viewer),
                customer_id,
                amount,
                form.get("key", ""),
                method=method if method in dict(METHODS) else "other",
                note=form.get("note", "").strip()[:500],
            )
    except (MalformedError, ConflictError) as error:
        return await _payment_page(request, viewer, form, {error.field or "amount": str(error)})
    except CloudError as error:
        if error.status >= 500 or error.status == 404:
            raise
        return await _payment_page(request, viewer, form, {error.field or "amount": str(error)})
    ended = " The default is cured; the machines are being restored." if recorded.cases_ended else ""
    return go(f"/customers/{customer_id}/financials", f"Payment of {amount.text()} recorded.{ended}")
