"""CSV import of customers and equipment: upload, look at it, import."""

from typing import Any

from aiohttp import web

from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError, TooLargeError
from hashyard_cloud.services import imports
from hashyard_cloud.services.imports import ImportKind
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import charts, keys
from hashyard_cloud.web.pages import MANAGERS, actor_of, go, host_page, show

ROWS_SHOWN = 20


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/import/{kind}", host_page(page, MANAGERS)),
        web.post("/import/{kind}", host_page(upload, MANAGERS)),
        web.get("/import/{kind}/example.csv", host_page(example, MANAGERS)),
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
        columns=imports.COLUMNS[kind],
        required=imports.REQUIRED[kind],
        rows_shown=ROWS_SHOWN,
        problems_shown=imports.MAX_PROBLEMS_SHOWN,
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
        body = given.file.read(imports.MAX_BYTES + 1)
    else:
        body = str(form.get("text", "")).replace("\r\n", "\n").encode()
    database, currency = request.app[keys.DATABASE], viewer.organisation.currency
    try:
        if form.get("confirmed") == "1":
            count = await imports.store(
                database,
                request.app[keys.CLOCK],
                viewer.organisation_id,
                actor_of(viewer),
                kind,
                body,
                currency,
            )
            return go(f"/{kind.value}", f"{count:,} {kind.value} imported.")
        found = await imports.preview(database, viewer.organisation_id, kind, body, currency)
    except (MalformedError, TooLargeError, ConflictError) as error:
        return _show(request, viewer, error.status, error=str(error))
    status = 422 if found.problems else 200
    return _show(request, viewer, status, preview=found, text=body.decode("utf-8-sig"))


async def example(request: web.Request, _viewer: Viewer) -> web.StreamResponse:
    """GET /import/{kind}/example.csv: the heading to fill in."""
    kind = _kind(request)
    return charts.csv_file(",".join(imports.COLUMNS[kind]) + "\r\n", f"{kind.value}.csv")
