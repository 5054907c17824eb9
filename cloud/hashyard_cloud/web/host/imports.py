"""CSV import of customers, equipment, contracts and opening balances: upload, look at it, import."""

from typing import Any, Final

from aiohttp import web

from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError, TooLargeError
from hashyard_cloud.services import import_files, imports, opening_balances
from hashyard_cloud.services.import_files import ImportKind
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import charts, keys
from hashyard_cloud.web.pages import MANAGERS, MONEY, actor_of, fields, go, host_page, show

ROWS_SHOWN: Final = 20
PROBLEMS_SHOWN: Final = 100
LISTS: Final = {ImportKind.OPENING_BALANCES: "/customers"}
"""Where what was imported is seen, where that is not the page of the same name."""


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/import/{kind}", host_page(page, MANAGERS)),
        web.post("/import/{kind}", host_page(upload, MANAGERS)),
        web.get("/import/{kind}/example.csv", host_page(example, MANAGERS)),
        web.post("/customers/{customer_id}/opening-balances/{entry_id}/reverse", host_page(reverse, MONEY)),
    ]


def _kind(request: web.Request) -> ImportKind:
    try:
        return ImportKind(request.match_info["kind"])
    except ValueError as error:
        raise NotFoundError from error


def _show(request: web.Request, viewer: Viewer, status: int = 200, **more: Any) -> web.Response:
    kind = _kind(request)
    context: dict[str, Any] = {"preview": None, "text": "", "error": ""}
    return show(
        request,
        viewer,
        "host/imports/page.html",
        status,
        kind=kind,
        columns=import_files.COLUMNS[kind],
        required=import_files.REQUIRED[kind],
        back=LISTS.get(kind, f"/{kind.value}"),
        max_rows=kind.max_rows,
        kinds=list(ImportKind),
        rows_shown=ROWS_SHOWN,
        problems_shown=PROBLEMS_SHOWN,
        **(context | more),
    )


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /import/{kind}."""
    return _show(request, viewer)


async def upload(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /import/{kind}: a file is looked at; what was looked at is imported when it comes back confirmed."""
    kind = _kind(request)
    form = await request.post()
    given = form.get("file")
    if isinstance(given, web.FileField):
        body = given.file.read(import_files.MAX_BYTES + 1)
    else:
        body = str(form.get("text", "")).replace("\r\n", "\n").encode()
    database, currency = request.app[keys.DATABASE], viewer.organisation.currency
    try:
        if form.get("confirmed") == "1":
            stored = await imports.store(
                database,
                request.app[keys.CLOCK],
                viewer.organisation_id,
                actor_of(viewer),
                kind,
                body,
                currency,
            )
            left = f" {stored.known:,} were there already." if stored.known else ""
            return go(LISTS.get(kind, f"/{kind.value}"), f"{stored.new:,} {kind.label} imported.{left}")
        found = await imports.preview(
            database, request.app[keys.CLOCK], viewer.organisation_id, kind, body, currency
        )
    except (MalformedError, TooLargeError, ConflictError) as error:
        return _show(request, viewer, error.status, error=str(error))
    status = 422 if found.problems else 200
    return _show(request, viewer, status, preview=found, text=body.decode("utf-8-sig"))


async def example(request: web.Request, _viewer: Viewer) -> web.StreamResponse:
    """GET /import/{kind}/example.csv: a small file to fill in."""
    kind = _kind(request)
    return charts.csv_file(import_files.sample(kind), f"{kind.value}.csv")


async def reverse(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../opening-balances/{entry_id}/reverse."""
    customer_id = request.match_info["customer_id"]
    reason = (await fields(request)).get("reason", "")
    async with request.app[keys.DATABASE].transaction() as tx:
        await opening_balances.reverse(
            tx,
            request.app[keys.CLOCK].now_us(),
            viewer.organisation_id,
            actor_of(viewer),
            customer_id,
            request.match_info["entry_id"],
            reason,
        )
    return go(f"/customers/{customer_id}/financials", "The opening balance was reversed.")
