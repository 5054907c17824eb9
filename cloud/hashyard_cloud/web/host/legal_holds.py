"""Legal holds on a site or on everything: placed, lifted, why and by whom. A customer's own are with his case."""

from typing import Any, Final

from aiohttp import web

from hashyard_cloud.errors import CloudError, NotFoundError
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import MONEY, actor_of, fields, go, host_page, show

HERE: Final = "/legal-holds"
EVERYTHING: Final = "everything"
SHOWN_LIFTED: Final = 100


def routes() -> list[web.RouteDef]:
    """The routes of this page."""
    return [
        web.get(HERE, host_page(page)),
        web.post(HERE, host_page(place, MONEY)),
        web.post(f"{HERE}/{{hold_id}}/lift", host_page(lift, MONEY)),
    ]


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /legal-holds."""
    return await _page(request, viewer, {}, None)


async def _page(
    request: web.Request, viewer: Viewer, form: dict[str, str], error: CloudError | None
) -> web.Response:
    organisation_id = viewer.organisation_id
    async with request.app[keys.DATABASE].reading() as tx:
        rows = sorted(await tx.defaults.holds(organisation_id), key=lambda row: row.placed_us, reverse=True)
        sites = await tx.sites.all(organisation_id)
        controls = await tx.redirects.controls(organisation_id)
        named = {row.customer_id for row in rows if row.customer_id}
        customers = [await tx.customers.get(organisation_id, customer_id) for customer_id in sorted(named)]
    context: dict[str, Any] = {
        "open_holds": [row for row in rows if row.lifted_us is None],
        "lifted_holds": [row for row in rows if row.lifted_us is not None][:SHOWN_LIFTED],
        "places": [(EVERYTHING, "Everything"), *((site.site_id, site.name) for site in sites)],
        "site_names": {site.site_id: site.name for site in sites},
        "customer_names": {row.customer_id: row.name for row in customers if row is not None},
        "gives_back": bool(controls and controls.freeze_restores),
        "form": form,
        "errors": {error.field or "reason": str(error)} if error is not None else {},
    }
    return show(request, viewer, "host/legal_holds/page.html", error.status if error else 200, **context)


async def place(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /legal-holds: on one site, or on everything."""
    form = await fields(request)
    where = form.get("where", "")
    if not where:
        raise NotFoundError
    freezes = request.app[keys.ENFORCEMENT].freezes
    try:
        async with request.app[keys.DATABASE].transaction() as tx:
            await freezes.place_hold(
                tx,
                viewer.organisation_id,
                actor_of(viewer),
                form.get("reason", ""),
                site_id=None if where == EVERYTHING else where,
            )
    except NotFoundError:
        raise
    except CloudError as error:
        if error.status >= 500:
            raise
        return await _page(request, viewer, form, error)
    return go(HERE, "Legal hold placed. The gates of all cases it covers are shut.")


async def lift(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /legal-holds/{hold_id}/lift."""
    form = await fields(request)
    freezes = request.app[keys.ENFORCEMENT].freezes
    try:
        async with request.app[keys.DATABASE].transaction() as tx:
            await freezes.lift_hold(
                tx,
                viewer.organisation_id,
                actor_of(viewer),
                request.match_info["hold_id"],
                form.get("reason", ""),
            )
    except NotFoundError:
        raise
    except CloudError as error:
        if error.status >= 500:
            raise
        return await _page(request, viewer, {}, error)
    return go(HERE, "Legal hold lifted. The gates are judged again.")
