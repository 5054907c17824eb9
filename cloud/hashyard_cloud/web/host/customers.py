"""Customers: the list with status chips, adding, editing, and the overview of one."""

import csv
import io
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from hashyard_cloud.domain.status import CustomerStatus
from hashyard_cloud.services import customers
from hashyard_cloud.services.inputs import CURRENCIES, InputError, read
from hashyard_cloud.services.standing import CustomerSummary, summaries
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import charts, keys
from hashyard_cloud.web.lists import Page, page_of
from hashyard_cloud.web.memory import MEMORY
from hashyard_cloud.web.pages import MONEY, actor_of, fields, go, host_page, show

_RANK: Final = {
    CustomerStatus.POOL_REDIRECTED: 0,
    CustomerStatus.IN_DEFAULT: 1,
    CustomerStatus.ACTIVE: 2,
    CustomerStatus.INACTIVE: 3,
}
_KEYS: Final[dict[str, Callable[[CustomerSummary], Any]]] = {
    "status": lambda one: (_RANK[one.status], -one.overdue_micro, one.customer.name.lower()),
    "name": lambda one: one.customer.name.lower(),
    "units": lambda one: one.totals.units,
    "hashrate": lambda one: one.totals.hashrate_ths,
    "balance": lambda one: one.balance_micro,
}


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/customers", host_page(index)),
        web.get("/customers.csv", host_page(export)),
        web.get("/customers/new", host_page(new, MONEY)),
        web.post("/customers/new", host_page(create, MONEY)),
        web.get("/customers/{customer_id}/edit", host_page(edit, MONEY)),
        web.post("/customers/{customer_id}/edit", host_page(save, MONEY)),
    ]


async def _listed(
    request: web.Request, viewer: Viewer
) -> tuple[list[CustomerSummary], list[CustomerSummary], Page]:
    page = page_of("/customers", request.query, sorts=tuple(_KEYS))
    memory = request.app[MEMORY]
    everyone = await memory.get(viewer.organisation_id, "customers", lambda: _everyone(request, viewer))
    wanted = [one for one in everyone if _matches(one, page)]
    wanted.sort(key=_KEYS[page.sort], reverse=page.descending)
    return everyone, wanted, page.of(len(wanted))


async def _everyone(request: web.Request, viewer: Viewer) -> list[CustomerSummary]:
    async with request.app[keys.DATABASE].reading() as tx:
        return await summaries(tx, viewer.organisation_id, request.app[keys.CLOCK].now_us())


def _matches(one: CustomerSummary, page: Page) -> bool:
    status, site = page.query.get("status"), page.query.get("site")
    if status and one.status.value != status:
        return False
    if site and site not in one.sites:
        return False
    text = f"{one.customer.name} {one.customer.company} {one.customer.email} {one.customer.billing_email}".lower()
    return page.search.lower() in text


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /customers."""
    everyone, wanted, page = await _listed(request, viewer)
    own = [one for one in everyone if one.customer.currency == viewer.organisation.currency]
    return show(
        request,
        viewer,
        "host/customers/index.html",
        rows=wanted[page.offset : page.offset + page.size],
        page=page,
        everyone=len(everyone),
        counts=Counter(one.status.value for one in everyone),
        statuses=[status for status in _RANK if status],
        units=sum(one.totals.units for one in everyone),
        receivable_micro=sum(max(one.balance_micro, 0) for one in own),
        overdue_micro=sum(one.overdue_micro for one in own),
        sites=sorted({site for one in everyone for site in one.sites}),
    )


async def export(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /customers.csv: the list as filtered."""
    _, wanted, _ = await _listed(request, viewer)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["name", "company", "email", "billing_email", "phone", "currency", "status", "sites", "units"])
    for one in wanted:
        row = one.customer
        writer.writerow(
            (
                *(row.name, row.company, row.email, row.billing_email, row.phone, row.currency),
                *(one.status.label, "; ".join(one.sites), one.totals.units),
            )
        )
    return charts.csv_file(text.getvalue(), "customers.csv")


def _form(
    request: web.Request,
    viewer: Viewer,
    form: dict[str, str],
    errors: dict[str, str] | None = None,
    customer_id: str | None = None,
) -> web.Response:
    return show(
        request,
        viewer,
        "host/customers/form.html",
        422 if errors else 200,
        form=form,
        errors=errors or {},
        customer_id=customer_id,
        currencies=[(code, code) for code in CURRENCIES],
    )


async def new(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /customers/new."""
    form = {"currency": viewer.organisation.currency, "active": "1", "portal_access": "1"}
    return _form(request, viewer, form)


async def _given(request: web.Request) -> dict[str, str]:
    form = await fields(request)
    return {name: value for name, value in form.items() if name in customers.CustomerInput.model_fields}


async def create(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /customers/new."""
    form = await _given(request)
    try:
        given = read(customers.CustomerInput, form)
    except InputError as error:
        return _form(request, viewer, form, error.errors)
    row = await customers.add(
        request.app[keys.DATABASE], request.app[keys.CLOCK], viewer.organisation_id, actor_of(viewer), given
    )
    return go(f"/customers/{row.customer_id}", f"{row.name} was added. They were not notified.")


async def edit(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /customers/{customer_id}/edit."""
    async with request.app[keys.DATABASE].reading() as tx:
        row = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
    form = {}
    for name in customers.CustomerInput.model_fields:
        value = getattr(row, name)
        form[name] = ("1" if value else "") if isinstance(value, bool) else value
    return _form(request, viewer, form, None, row.customer_id)


async def save(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /customers/{customer_id}/edit."""
    customer_id = request.match_info["customer_id"]
    form = await _given(request)
    async with request.app[keys.DATABASE].reading() as tx:
        await customers.get(tx, viewer.organisation_id, customer_id)
    try:
        given = read(customers.CustomerInput, form)
    except InputError as error:
        return _form(request, viewer, form, error.errors, customer_id)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await customers.edit(database, clock, viewer.organisation_id, actor_of(viewer), customer_id, given)
    return go(f"/customers/{customer_id}", "Saved.")
