"""The portal's page of what the machines earned, by day."""

import csv
import io
from typing import Final

from aiohttp import web

from hashyard_cloud.services import earnings
from hashyard_cloud.services.ports.rollups import DAY_US
from hashyard_cloud.web import charts, keys
from hashyard_cloud.web.portal.access import Guest, portal_page, show_portal

RANGES: Final = {"7d": 7, "30d": 30, "90d": 90}
DEFAULT_RANGE: Final = "30d"
_MICRO: Final = 1_000_000


def routes() -> list[web.RouteDef]:
    """The routes of this page."""
    return [
        web.get("/portal/earnings", portal_page(page)),
        web.get("/portal/earnings.csv", portal_page(export)),
    ]


def _chosen(request: web.Request) -> str:
    name = request.query.get("range", "")
    return name if name in RANGES else DEFAULT_RANGE


async def _report(request: web.Request, guest: Guest) -> earnings.Earnings:
    now_us = request.app[keys.CLOCK].now_us()
    from_us = now_us // DAY_US * DAY_US - (RANGES[_chosen(request)] - 1) * DAY_US
    async with request.app[keys.DATABASE].reading() as tx:
        return await earnings.report(tx, guest.customer, from_us, now_us + 1)


async def page(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/earnings."""
    found = await _report(request, guest)
    return show_portal(
        request,
        guest,
        "portal/earnings.html",
        section="earnings",
        found=found,
        days=found.days[::-1],
        held=any(day.held_ths_hours for day in found.days),
        pool_source=earnings.POOL,
        range=_chosen(request),
        ranges=RANGES,
    )


async def export(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/earnings.csv."""
    found = await _report(request, guest)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        (
            *("day_utc", "ths_days", "hashprice", "currency", "earned"),
            *("hashrate_source", "hashprice_source", "holding_pool_ths_days"),
        )
    )
    for day in found.days:
        price = "" if day.hashprice_micro is None else f"{day.hashprice_micro / _MICRO:.6f}"
        earned = "" if day.value_micro is None else f"{day.value_micro / _MICRO:.6f}"
        writer.writerow(
            (
                *(day.day, f"{day.ths_hours / 24:.6f}", price, found.currency, earned),
                *(day.source, day.hashprice_source, f"{day.held_ths_hours / 24:.6f}"),
            )
        )
    return charts.csv_file(text.getvalue(), f"earnings-{_chosen(request)}.csv")
