"""Agreements in the portal: read, accept, print what was accepted."""

from aiohttp import web

from hashyard_cloud.services import agreements
from hashyard_cloud.web import keys
from hashyard_cloud.web.host.agreements import printed
from hashyard_cloud.web.pages import fields, go
from hashyard_cloud.web.portal.access import Guest, portal_page, show_portal


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/portal/agreements", portal_page(index)),
        web.post("/portal/agreements/accept", portal_page(accept)),
        web.get("/portal/agreements/{agreement_id}.pdf", portal_page(pdf)),
    ]


async def index(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/agreements."""
    async with request.app[keys.DATABASE].reading() as tx:
        found = await agreements.standings(tx, guest.organisation_id, guest.customer.customer_id)
    return show_portal(request, guest, "portal/agreements.html", section="agreements", agreements=found)


async def accept(request: web.Request, guest: Guest) -> web.StreamResponse:
    """POST /portal/agreements/accept: bound to the hash of the text that was shown."""
    form = await fields(request)
    async with request.app[keys.DATABASE].transaction() as tx:
        await agreements.accept(
            tx,
            request.app[keys.CLOCK],
            guest.customer,
            guest.viewer.user,
            request.remote or "",
            form.get("version_id", ""),
            form.get("sha256", ""),
        )
    return go("/portal/agreements", "Accepted. You can print what you accepted at any time.")


async def pdf(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/agreements/{agreement_id}.pdf."""
    async with request.app[keys.DATABASE].reading() as tx:
        found = await agreements.standings(tx, guest.organisation_id, guest.customer.customer_id)
    return printed(request, guest.viewer.organisation.name, guest.customer, found)
