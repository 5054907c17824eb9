"""The Usage tab: energy with its source, uptime with its coverage, hashrate; by day and by unit."""

import csv
import io
from typing import Any, Final

from aiohttp import web

from hashyard_cloud.services import usage
from hashyard_cloud.services.ports.rollups import DAY_US
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import charts, keys
from hashyard_cloud.web.chart_ranges import Window
from hashyard_cloud.web.host.customer_tabs import load
from hashyard_cloud.web.memory import MEMORY
from hashyard_cloud.web.pages import host_page, show
from hashyard_shared.clock import US_PER_S, iso

PERIODS: Final = {"7d": ("7 d", 7), "30d": ("30 d", 30), "90d": ("90 d", 90)}


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/customers/{customer_id}/usage", host_page(page)),
        web.get("/customers/{customer_id}/usage.csv", host_page(export)),
        web.get("/customers/{customer_id}/usage/chart.json", host_page(chart)),
        web.get("/customers/{customer_id}/usage/chart.csv", host_page(chart_csv)),
    ]


def _chosen(request: web.Request) -> str:
    name = request.query.get("range", "")
    return name if name in PERIODS else "30d"


async def _report(request: web.Request, viewer: Viewer) -> tuple[dict[str, Any], usage.UsageReport]:
    now_us = request.app[keys.CLOCK].now_us()
    from_us = now_us // DAY_US * DAY_US - (PERIODS[_chosen(request)][1] - 1) * DAY_US
    async with request.app[keys.DATABASE].reading() as tx:
        context = await load(request, viewer, tx)
    customer_id = request.match_info["customer_id"]

    async def ask() -> usage.UsageReport:
        async with request.app[keys.DATABASE].reading() as tx:
            return await usage.report(tx, viewer.organisation_id, customer_id, from_us, now_us, now_us)

    name = f"usage {customer_id} {from_us}"
    return context, await request.app[MEMORY].get(viewer.organisation_id, name, ask)


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../usage."""
    context, found = await _report(request, viewer)
    return show(
        request,
        viewer,
        "host/customers/usage.html",
        **context,
        tab="usage",
        report=found,
        source=usage.SOURCE,
        range=_chosen(request),
        ranges={name: label for name, (label, _) in PERIODS.items()},
    )


async def export(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../usage.csv: each unit over the period."""
    _, found = await _report(request, viewer)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["unit", "from_utc", "to_utc", "kwh", "source", "uptime", "coverage", "agent_blind_s", "mean_ths"]
    )
    for line in found.units:
        one = line.usage
        writer.writerow(
            (
                *(line.label, iso(found.from_us), iso(found.to_us), f"{one.energy_wh / 1_000:.3f}", usage.SOURCE),
                *(_ratio(one.uptime_ratio), _ratio(one.coverage_ratio), one.blind_ms // 1_000),
                _ratio(one.mean_ths, 2),
            )
        )
    return charts.csv_file(text.getvalue(), f"usage-{_chosen(request)}.csv")


def _ratio(value: float | None, decimals: int = 4) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _drawn(found: usage.UsageReport, name: str) -> tuple[Window, list[charts.Series]]:
    span = Window(name, found.from_us, found.to_us, DAY_US // US_PER_S)
    by_start = {day.start_us // US_PER_S: day.usage for day in found.days}
    energy = [round(by_start[at].energy_wh / 1_000, 3) if _seen(by_start, at) else None for at in span.times_s]
    together = {day.start_us // US_PER_S: _hashrate(day) for day in found.days}
    ths = [together.get(at) if _seen(by_start, at) else None for at in span.times_s]
    return span, [
        charts.Series("Energy", "kWh", "--series-1", energy),
        charts.Series("Hashrate", "TH/s", "--series-3", ths, axis=2, dashed=True),
    ]


def _seen(by_start: dict[int, usage.Usage], at_s: int) -> bool:
    return at_s in by_start and by_start[at_s].observed_ms > 0


def _hashrate(day: usage.UsageDay) -> float | None:
    """All devices together: a device's mean by how many were seen."""
    return None if day.usage.mean_ths is None else round(day.usage.mean_ths * day.units, 2)


async def chart(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../usage/chart.json."""
    _, found = await _report(request, viewer)
    span, series = _drawn(found, _chosen(request))
    bands = charts.gaps(series[0].values, span, "UTC", "", found.days[0].start_us if found.days else found.to_us)
    return charts.answer(span, series, bands)


async def chart_csv(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../usage/chart.csv."""
    _, found = await _report(request, viewer)
    span, series = _drawn(found, _chosen(request))
    return charts.as_csv(span, series, f"usage-by-day-{_chosen(request)}.csv")
