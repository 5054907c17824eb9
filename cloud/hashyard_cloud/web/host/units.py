"""One miner: live figures, chart, boards, pools with the active one marked, history."""

from dataclasses import dataclass

from aiohttp import web
from pydantic import ValidationError

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import equipment
from hashyard_cloud.services.inputs import InputError, read
from hashyard_cloud.services.ports.fleet import UnitView
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import chart_ranges, charts, keys
from hashyard_cloud.web.chart_ranges import Metric, Window
from hashyard_cloud.web.host.equipment import unit_form
from hashyard_cloud.web.pages import FLOOR, actor_of, go, host_page, show
from hashyard_shared.events import MinerDetails

HOT_CHIP_C = 95
HISTORY_LINES = 20
COMMANDS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of a unit's history."""

    at_us: int
    icon: str
    title: str
    text: str


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/equipment/{unit_id}", host_page(detail)),
        web.get("/equipment/{unit_id}/live", host_page(live)),
        web.get("/equipment/{unit_id}/pools", host_page(pools)),
        web.get("/equipment/{unit_id}/commands", host_page(commands)),
        web.get("/equipment/{unit_id}/edit", host_page(edit, FLOOR)),
        web.post("/equipment/{unit_id}/edit", host_page(save, FLOOR)),
        web.get("/equipment/{unit_id}/chart.json", host_page(chart)),
        web.get("/equipment/{unit_id}/chart.csv", host_page(chart_csv)),
    ]


async def _view(request: web.Request, viewer: Viewer) -> UnitView:
    async with request.app[keys.DATABASE].reading() as tx:
        found = await tx.fleet.unit(
            viewer.organisation_id, request.match_info["unit_id"], request.app[keys.CLOCK].now_us()
        )
    if found is None:
        raise NotFoundError
    return found


def _details(text: str | None) -> MinerDetails | None:
    if text is None:
        return None
    try:
        return MinerDetails.model_validate_json(text)
    except ValidationError:
        # Written by a newer agent: the page then shows what it knows without it.
        return None


async def _context(request: web.Request, viewer: Viewer) -> dict[str, object]:
    unit = await _view(request, viewer)
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        seen = await tx.miners.get(viewer.organisation_id, unit.miner_id) if unit.miner_id else None
        redirect = await tx.redirects.unit(viewer.organisation_id, unit.unit_id)
        history = await _history(request, viewer, unit)
        commands = await tx.commands.newest(viewer.organisation_id, COMMANDS_SHOWN, unit_id=unit.unit_id)
    return {
        "unit": unit,
        "miner": seen.miner if seen else None,
        "details": _details(seen.miner.details if seen else None),
        "redirect": redirect,
        "history": history,
        "commands": commands,
        "hot_c": HOT_CHIP_C,
        "timezone": unit.timezone,
        "asked": chart_ranges.chosen(request.query, now_us, unit.timezone),
    }


async def _history(request: web.Request, viewer: Viewer, unit: UnitView) -> list[HistoryLine]:
    lines = []
    async with request.app[keys.DATABASE].reading() as tx:
        held = await tx.equipment.assignments(viewer.organisation_id, unit_id=unit.unit_id)
        for item in held[:HISTORY_LINES]:
            contract = await tx.contracts.get(viewer.organisation_id, item.contract_id)
            customer = await tx.customers.get(viewer.organisation_id, item.customer_id)
            number = contract.number if contract else ""
            name = customer.name if customer else ""
            lines.append(HistoryLine(item.from_us, "certificate", f"Assigned to {name}", number))
            if item.to_us is not None:
                ended = f"{number}, by {item.ended_by}" if item.ended_by else number
                lines.append(HistoryLine(item.to_us, "file-certificate", f"Taken from {name}", ended))
        redirect = await tx.redirects.unit(viewer.organisation_id, unit.unit_id)
        events = await tx.redirects.unit_events(viewer.organisation_id, redirect.case_id) if redirect else []
    for event in events:
        if event.unit_id == unit.unit_id:
            title = f"{event.phase.value.capitalize()}, level {event.level}"
            lines.append(HistoryLine(event.at_us, "arrows-exchange", title, event.detail))
    return sorted(lines, key=lambda line: -line.at_us)[:HISTORY_LINES]


async def detail(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment/{unit_id}."""
    return show(request, viewer, "host/units/detail.html", **await _context(request, viewer))


async def live(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment/{unit_id}/live: the figures, which refresh themselves."""
    return show(request, viewer, "host/units/live.html", **await _context(request, viewer))


async def pools(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment/{unit_id}/pools: the pools, which refresh themselves."""
    return show(request, viewer, "host/units/pools.html", **await _context(request, viewer))


async def commands(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment/{unit_id}/commands: what was asked of it, which refreshes itself."""
    return show(request, viewer, "host/commands/of_unit.html", **await _context(request, viewer))


async def edit(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment/{unit_id}/edit."""
    async with request.app[keys.DATABASE].reading() as tx:
        row = await equipment.get(tx, viewer.organisation_id, request.match_info["unit_id"])
    names = equipment.UnitInput.model_fields
    form = {name: "" if getattr(row, name) is None else str(getattr(row, name)) for name in names}
    return await _form(request, viewer, form)


async def _form(
    request: web.Request, viewer: Viewer, form: dict[str, str], errors: dict[str, str] | None = None
) -> web.Response:
    async with request.app[keys.DATABASE].reading() as tx:
        sites = [(site.site_id, site.name) for site in await tx.sites.all(viewer.organisation_id)]
        row = await equipment.get(tx, viewer.organisation_id, request.match_info["unit_id"])
    return show(
        request,
        viewer,
        "host/equipment/form.html",
        422 if errors else 200,
        sites=sites,
        form=form,
        errors=errors or {},
        title=f"Edit {row.label}",
        back=f"/equipment/{row.unit_id}",
    )


async def save(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /equipment/{unit_id}/edit."""
    unit_id = request.match_info["unit_id"]
    form = await unit_form(request)
    try:
        given = read(equipment.UnitInput, form)
    except InputError as error:
        return await _form(request, viewer, form, error.errors)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await equipment.edit(database, clock, viewer.organisation_id, actor_of(viewer), unit_id, given)
    return go(f"/equipment/{unit_id}", "Unit saved.")


async def _series(request: web.Request, viewer: Viewer) -> tuple[Window, list[charts.Series], list[charts.Band]]:
    return await unit_series(request, viewer.organisation_id, await _view(request, viewer))


async def unit_series(
    request: web.Request, organisation_id: str, unit: UnitView
) -> tuple[Window, list[charts.Series], list[charts.Band]]:
    """A unit's chart: what was asked for, with gaps and the redirect."""
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        site = await tx.sites.get(organisation_id, unit.site_id)
        redirect = await tx.redirects.unit(organisation_id, unit.unit_id)
    poll_s = site.poll_interval_s if site else 60
    asked = chart_ranges.checked(request.query, now_us, unit.timezone, poll_s)
    span = asked.window
    numbers = [] if unit.miner_no is None else [unit.miner_no]
    found = await charts.points(request.app, numbers, span)
    series = [charts.of_metric(found, span, asked.metric, big=False)]
    if asked.metric is Metric.HASHRATE:
        hottest = charts.temperature(found, span)
        series.append(charts.Series("Chip, max", "°C", "--red", hottest, axis=2, dashed=True))
    bands = charts.gaps(series[0].values, span, unit.timezone)
    if redirect and redirect.at_pool_us is not None:
        bands.append(charts.redirected(redirect.at_pool_us, span, unit.timezone, now_us))
    return span, series, bands


async def chart(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment/{unit_id}/chart.json."""
    return charts.answer(*await _series(request, viewer))


async def chart_csv(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment/{unit_id}/chart.csv."""
    span, series, _ = await _series(request, viewer)
    return charts.as_csv(span, series, f"unit-{span.name}.csv")
