"""The one search: customers, units by label, serial, MAC or position, contracts, invoices."""

from typing import Final

from aiohttp import web

from hashyard_cloud.services.ports.fleet import UnitFilter
from hashyard_cloud.services.ports.listings import ListFilter
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.lists import MAX_SEARCH_CHARS
from hashyard_cloud.web.pages import go, host_page, show
from hashyard_cloud.web.unit_lists import units_page

SHOWN: Final = 20


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [web.get("/search", host_page(search))]


async def search(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /search?q=: a single exact hit is opened, else everything that matches is listed."""
    text = request.query.get("q", "").strip()[:MAX_SEARCH_CHARS]
    if not text:
        return go("/fleet")
    wanted = UnitFilter(search=text, limit=SHOWN)
    listed = ListFilter(search=text, numbers_only=True, limit=SHOWN)
    async with request.app[keys.DATABASE].reading() as tx:
        customers, _ = await tx.listings.customers(viewer.organisation_id, text, SHOWN)
        contracts = [row for row, _ in (await tx.listings.contracts(viewer.organisation_id, listed))[0]]
        invoices = [row for row, _ in (await tx.listings.invoices(viewer.organisation_id, listed))[0]]
    units, total = await units_page(request.app, viewer.organisation_id, wanted)
    hits = [f"/customers/{row.customer_id}" for row in customers] + [f"/equipment/{row.unit_id}" for row in units]
    hits += [f"/contracts/{row.contract_id}" for row in contracts]
    hits += [f"/invoices/{row.invoice_id}" for row in invoices]
    if len(hits) == 1:
        return go(hits[0])
    return show(
        request,
        viewer,
        "host/search/page.html",
        text=text,
        customers=customers,
        units=units,
        units_total=total,
        contracts=contracts,
        invoices=invoices,
        hits=len(hits),
    )
