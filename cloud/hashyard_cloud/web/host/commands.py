"""Light, restart and recorded pools, asked of the agents from the pages; and what became of each."""

from aiohttp import web

from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services.ports.commands import CommandKind
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import FLOOR, actor_of, fields, go, host_page, local_path, show

SHOWN = 200


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/commands", host_page(index)),
        web.get("/commands/live", host_page(live)),
        web.post("/commands", host_page(ask, FLOOR)),
        web.post("/customers/{customer_id}/pools/assign", host_page(assign_pools, FLOOR)),
    ]


async def _context(request: web.Request, viewer: Viewer) -> dict[str, object]:
    async with request.app[keys.DATABASE].reading() as tx:
        return {"commands": await tx.commands.newest(viewer.organisation_id, SHOWN)}


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /commands."""
    return show(request, viewer, "host/commands/index.html", **await _context(request, viewer))


async def live(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /commands/live: the list, which refreshes itself."""
    return show(request, viewer, "host/commands/live.html", **await _context(request, viewer))


async def ask(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /commands: the same of all chosen units."""
    form = await request.post()
    chosen = [str(value) for value in form.getall("unit_id", [])]
    kind = str(form.get("command", ""))
    if kind not in {item.value for item in CommandKind}:
        raise MalformedError("Ask for light-on, light-off or reboot.", field="command")
    async with request.app[keys.DATABASE].transaction() as tx:
        rows = await request.app[keys.ENFORCEMENT].commands.ask(
            tx, viewer.organisation_id, actor_of(viewer), CommandKind(kind), chosen
        )
    text = f"{CommandKind(kind).label} asked of {len(rows)} {'unit' if len(rows) == 1 else 'units'}."
    return go(local_path(str(form.get("next", "")), "/commands"), text)


async def assign_pools(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /customers/{customer_id}/pools/assign: have a site write the pools that are recorded there."""
    customer_id = request.match_info["customer_id"]
    site_id = (await fields(request)).get("site_id", "")
    if not site_id:
        raise NotFoundError
    async with request.app[keys.DATABASE].transaction() as tx:
        await request.app[keys.ENFORCEMENT].commands.ask_pools(
            tx, viewer.organisation_id, actor_of(viewer), customer_id, site_id
        )
    return go(f"/customers/{customer_id}/pools", "Asked. The site writes the pools that are recorded there.")
