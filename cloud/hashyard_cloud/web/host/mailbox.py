"""The mailbox: every e-mail of the host, for those that no server took above all."""

from typing import Final

from aiohttp import web

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import MONEY, host_page, show

SHOWN: Final = 200


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/mailbox", host_page(index, MONEY)),
        web.get("/mailbox/{email_id}", host_page(detail, MONEY)),
    ]


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /mailbox."""
    async with request.app[keys.DATABASE].reading() as tx:
        rows = await tx.emails.all(viewer.organisation_id, SHOWN)
    return show(request, viewer, "host/mailbox/index.html", rows=rows, shown=SHOWN)


async def detail(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /mailbox/{email_id}."""
    async with request.app[keys.DATABASE].reading() as tx:
        row = await tx.emails.get(viewer.organisation_id, request.match_info["email_id"])
    if row is None:
        raise NotFoundError
    return show(request, viewer, "host/mailbox/detail.html", row=row)
