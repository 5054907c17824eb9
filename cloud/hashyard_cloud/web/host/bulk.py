"""Actions on many units: confirm, watch, see what became of each, undo."""

from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from multidict import MultiDict

from hashyard_cloud.errors import ForbiddenError, MalformedError
from hashyard_cloud.services import bulk
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.bulk import BulkKind, BulkRow, BulkState, RowState
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.background import BACKGROUND
from hashyard_cloud.web.host.equipment import SORTS, unit_filter
from hashyard_cloud.web.lists import MAX_SEARCH_CHARS, page_of
from hashyard_cloud.web.pages import FLOOR, MANAGERS, actor_of, go, host_page, show

ROWS_AT_ONCE: Final = bulk.PIECE_ROWS
"""So few rows are done within the request; more go on behind it, with progress on the page."""
FORM_FIELDS: Final = {
    BulkKind.ADOPT: "prefix",
    BulkKind.ASSIGN: "contract_id",
    BulkKind.STATUS: "state",
    BulkKind.MOVE: "to_site",
}
RIGHTS: Final = {
    BulkKind.ADOPT: FLOOR,
    BulkKind.MOVE: FLOOR,
    BulkKind.ASSIGN: MANAGERS,
    BulkKind.STATUS: MANAGERS,
}
RECENT_SHOWN: Final = 50


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/bulk", host_page(index, FLOOR)),
        web.post("/bulk", host_page(ask, FLOOR)),
        web.get("/bulk/{bulk_id}", host_page(detail, FLOOR)),
        web.get("/bulk/{bulk_id}/progress", host_page(progress, FLOOR)),
        web.post("/bulk/{bulk_id}/run", host_page(run, FLOOR)),
        web.post("/bulk/{bulk_id}/undo", host_page(undo, FLOOR)),
    ]


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /bulk: what was done of late."""
    async with request.app[keys.DATABASE].reading() as tx:
        rows = await tx.bulk.recent(viewer.organisation_id, RECENT_SHOWN)
        counts = {row.bulk_id: await tx.bulk.counts(viewer.organisation_id, row.bulk_id) for row in rows}
    return show(request, viewer, "host/bulk/index.html", rows=rows, counts=counts)


def _check_right(viewer: Viewer, kind: BulkKind) -> None:
    if viewer.role not in RIGHTS[kind]:
        raise ForbiddenError


async def ask(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /bulk: note what is to be done, and show it for confirmation."""
    form = await request.post()
    asked = str(form.get("action", ""))
    if asked not in {kind.value for kind in BulkKind}:
        raise MalformedError("Choose what is to be done.", field="action")
    kind = BulkKind(asked)
    _check_right(viewer, kind)
    field = "miner_id" if kind is BulkKind.ADOPT else "unit_id"
    chosen = [value for value in form.getall(field, []) if isinstance(value, str)]
    if form.get("all") == "1":
        chosen = await _matching(request, viewer, kind, str(form.get("listed", "")))
    target = str(form.get(FORM_FIELDS[kind], "")).strip()[:100]
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    row = await bulk.ask(database, clock, viewer.organisation_id, actor_of(viewer), kind, target, chosen)
    return go(f"/bulk/{row.bulk_id}")


async def _matching(request: web.Request, viewer: Viewer, kind: BulkKind, listed: str) -> list[str]:
    """All that the list showed, on every page of it."""
    query = MultiDict(parse_qsl(urlsplit(listed).query, max_num_fields=20))
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        if kind is BulkKind.ADOPT:
            found: list[str] = []
            while True:
                rows, total = await tx.fleet.found(
                    viewer.organisation_id,
                    now_us,
                    site_id=query.get("site") or None,
                    search=query.get("q", "")[:MAX_SEARCH_CHARS],
                    limit=bulk.MAX_ROWS,
                    offset=len(found),
                )
                found += [row.miner_id for row in rows]
                if not rows or len(found) >= min(total, bulk.MAX_ROWS + 1):
                    return found
        wanted = unit_filter(page_of("/equipment", query, sorts=SORTS))
        return await tx.fleet.unit_ids(viewer.organisation_id, wanted, now_us)


async def _context(request: web.Request, viewer: Viewer) -> dict[str, Any]:
    bulk_id, now_us = request.match_info["bulk_id"], request.app[keys.CLOCK].now_us()
    page = page_of(f"/bulk/{bulk_id}", request.query, sorts=("position",), size=50)
    refused = page.query.get("only") == RowState.REFUSED.value
    async with request.app[keys.DATABASE].reading() as tx:
        row = await bulk.get(tx, viewer.organisation_id, bulk_id)
        counts = await tx.bulk.counts(viewer.organisation_id, bulk_id)
        items = await tx.bulk.items(
            viewer.organisation_id,
            bulk_id,
            state=RowState.REFUSED if refused else None,
            limit=page.size,
            offset=page.offset,
        )
        target = await _target(tx, row)
    total = sum(counts.values())
    return {
        "row": row,
        "counts": counts,
        "total": total,
        "worked": total - counts.get(RowState.WAITING, 0),
        "items": items,
        "page": page.of(counts.get(RowState.REFUSED, 0) if refused else total),
        "target": target,
        "can_undo": bulk.can_undo(row, now_us),
        "undo_until_us": (row.finished_us or 0) + bulk.UNDO_US,
        "stalled": row.state is BulkState.RUNNING and (row.worked_us or 0) + bulk.STALLED_US <= now_us,
        "may": viewer.role in RIGHTS[row.kind],
        "back": "/equipment/found" if row.kind is BulkKind.ADOPT else "/equipment",
    }


async def _target(tx: Transaction, row: BulkRow) -> str:
    if row.kind is BulkKind.ASSIGN:
        contract = await tx.contracts.get(row.organisation_id, row.target)
        customer = await tx.customers.get(row.organisation_id, contract.customer_id) if contract else None
        return f"{contract.number}, {customer.name}" if contract and customer else "a contract that is gone"
    if row.kind is BulkKind.MOVE:
        site = await tx.sites.get(row.organisation_id, row.target)
        return site.name if site else "a site that is gone"
    return row.target


async def detail(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /bulk/{bulk_id}: the question, the progress, or the result."""
    return show(request, viewer, "host/bulk/detail.html", **await _context(request, viewer))


async def progress(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /bulk/{bulk_id}/progress: the part that keeps itself fresh."""
    return show(request, viewer, "host/bulk/progress.html", **await _context(request, viewer))


async def run(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /bulk/{bulk_id}/run: it was confirmed, or is continued."""
    bulk_id, database = request.match_info["bulk_id"], request.app[keys.DATABASE]
    async with database.reading() as tx:
        row = await bulk.get(tx, viewer.organisation_id, bulk_id)
        waiting = (await tx.bulk.counts(viewer.organisation_id, bulk_id)).get(RowState.WAITING, 0)
    _check_right(viewer, row.kind)
    background = request.app[BACKGROUND]
    background.check_room()
    await bulk.begin(database, request.app[keys.CLOCK], viewer.organisation_id, bulk_id)
    work = _work(request.app, actor_of(viewer), viewer.organisation_id, bulk_id)
    if waiting < ROWS_AT_ONCE:
        await work
    else:
        background.start(work)
    return go(f"/bulk/{bulk_id}")


async def _work(app: web.Application, actor: Actor, organisation_id: str, bulk_id: str) -> None:
    while await bulk.piece(app[keys.DATABASE], app[keys.CLOCK], actor, organisation_id, bulk_id):
        pass


async def undo(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /bulk/{bulk_id}/undo."""
    bulk_id, database, clock = request.match_info["bulk_id"], request.app[keys.DATABASE], request.app[keys.CLOCK]
    async with database.reading() as tx:
        row = await bulk.get(tx, viewer.organisation_id, bulk_id)
    _check_right(viewer, row.kind)
    count = await bulk.undo(database, clock, viewer.organisation_id, actor_of(viewer), bulk_id)
    return go(f"/bulk/{bulk_id}", f"{count} undone.")
