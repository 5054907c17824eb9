"""The portal's page of the customer's normal pools and of the enforcement journal's published heads."""

from typing import Final

from aiohttp import web

from hashyard_cloud.services import customer_pools
from hashyard_cloud.web import keys
from hashyard_cloud.web.portal.access import Guest, portal_page, show_portal

HEADS_SHOWN: Final = 60


def routes() -> list[web.RouteDef]:
    """The routes of this page."""
    return [web.get("/portal/pools", portal_page(page))]


async def page(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/pools: where the machines mine normally, and what to keep of the journal."""
    organisation_id, customer_id = guest.organisation_id, guest.customer.customer_id
    async with request.app[keys.DATABASE].reading() as tx:
        found = await customer_pools.view(tx, organisation_id, customer_id)
        heads = (await tx.journal.publications(organisation_id, customer_id))[:HEADS_SHOWN]
        agents = {row.agent_id: row.name for row in await tx.agents.all(organisation_id)}
    return show_portal(
        request, guest, "portal/pools.html", section="pools", pools=found, heads=heads, agents=agents
    )
