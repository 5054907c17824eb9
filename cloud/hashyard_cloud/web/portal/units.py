"""The customer's machines in the portal: list, one machine, its chart."""

from typing import Final

from aiohttp import web

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services.ports.fleet import UnitSort, UnitView
from hashyard_cloud.web import chart_ranges, charts, keys
from hashyard_cloud.web.chart_ranges import Window
from hashyard_cloud.web.customer_series import customer_series
from hashyard_cloud.web.host.equipment import unit_filter
from hashyard_cloud.web.host.units import unit_series
from hashyard_cloud.web.lists import page_of
from hashyard_cloud.web.portal.access import Guest, portal_page, show_portal
from hashyard_cloud.web.unit_lists import units_page

SORTS: Final = tuple(sort.value for sort in (UnitSort.LABEL, *UnitSort))


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/portal/chart.json", portal_page(own_chart)),
        web.get("/portal/chart.csv", portal_page(own_chart_csv)),
        web.get("/portal/equipment", portal_page(index)),
        web.get("/portal/equipment/{unit_id}", portal_page(detail)),
        web.get("/portal/equipment/{unit_id}/chart.json", portal_page(chart)),
        web.get("/portal/equipment/{unit_id}/chart.csv", portal_page(chart_csv)),
    ]


async def _own_series(request: web.Request, guest: Guest) -> tuple[Window, list[charts.Series], list[charts.Band]]:
    zone = guest.viewer.organisation.timezone
    return await customer_series(request, guest.organisation_id, guest.customer.customer_id, zone, "Your pool")


async def own_chart(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/chart.json: all machines of this customer."""
    return charts.answer(*await _own_series(request, guest))


async def own_chart_csv(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/chart.csv: what the chart shows."""
    span, series, _ = await _own_series(request, guest)
    return charts.as_csv(span, series, f"machines-{span.name}.csv")


async def index(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/equipment."""
    now_us = request.app[keys.CLOCK].now_us()
    page = page_of("/portal/equipment", request.query, sorts=SORTS, size=50)
    wanted = unit_filter(page, guest.customer.customer_id)
    units, total = await units_page(request.app, guest.organisation_id, wanted)
    return show_portal(
        request,
        guest,
        "portal/equipment.html",
        section="equipment",
        units=units,
        page=page.of(total),
        asked=chart_ranges.chosen(request.query, now_us, guest.viewer.organisation.timezone),
    )


async def _unit(request: web.Request, guest: Guest) -> UnitView:
    async with request.app[keys.DATABASE].reading() as tx:
        found = await tx.fleet.unit(
            guest.organisation_id, request.match_info["unit_id"], request.app[keys.CLOCK].now_us()
        )
    if found is None or found.customer_id != guest.customer.customer_id:
        raise NotFoundError
    return found


async def detail(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/equipment/{unit_id}."""
    now_us = request.app[keys.CLOCK].now_us()
    unit = await _unit(request, guest)
    return show_portal(
        request,
        guest,
        "portal/unit.html",
        section="equipment",
        unit=unit,
        asked=chart_ranges.chosen(request.query, now_us, unit.timezone),
        timezone=unit.timezone,
    )


async def chart(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET .../chart.json."""
    return charts.answer(*await unit_series(request, guest.organisation_id, await _unit(request, guest)))


async def chart_csv(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET .../chart.csv."""
    span, series, _ = await unit_series(request, guest.organisation_id, await _unit(request, guest))
    return charts.as_csv(span, series, f"unit-{span.name}.csv")
