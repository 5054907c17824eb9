"""A customer's chart, for the host's page and the customer's own portal: only the units that are theirs now."""

import asyncio
from typing import Any

from aiohttp import web

from hashyard_cloud.services.ports.redirects import RedirectUnitRow
from hashyard_cloud.web import chart_ranges, charts, keys
from hashyard_cloud.web.chart_ranges import Metric, Window
from hashyard_shared.clock import US_PER_S


async def customer_series(
    request: web.Request, organisation_id: str, customer_id: str, timezone: str, own_label: str = "Customer's pool"
) -> tuple[Window, list[charts.Series], list[charts.Band]]:
    """What was asked for; hashrate is told apart by where it goes, from where each unit was confirmed there."""
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        every = await tx.fleet.miner_nos(organisation_id, customer_id=customer_id)
        rows = [row for row in await tx.redirects.units(organisation_id, customer_id=customer_id) if _at_pool(row)]
        macs = [row.mac for row in rows]
        moved = [one.miner.miner_no for one in await tx.miners.seen(organisation_id, macs=macs)] if macs else []
        sites = await tx.sites.all(organisation_id)
    poll_s = max((site.poll_interval_s for site in sites), default=60)
    asked = chart_ranges.checked(request.query, now_us, timezone, poll_s)
    span = asked.window
    held_nos = sorted(set(moved) & set(every))
    whole, held = await asyncio.gather(
        charts.points(request.app, every, span), charts.points(request.app, held_nos, span)
    )
    since_us = min((row.at_pool_us for row in rows if row.at_pool_us is not None), default=None)
    if asked.metric is Metric.HASHRATE:
        own, holding = _split(span, whole, held, since_us)
        series = [charts.Series(own_label, "TH/s", "--series-1", own)]
        if since_us is not None:
            series.append(charts.Series("Holding pool", "TH/s", "--series-2", holding))
    else:
        series = [charts.of_metric(whole, span, asked.metric, big=False)]
    bands = charts.gaps(charts.hashrate(whole, span), span, timezone)
    if since_us is not None:
        bands.append(charts.redirected(since_us, span, timezone, now_us))
    return span, series, bands


def _at_pool(row: RedirectUnitRow) -> bool:
    return row.at_pool_us is not None


def _split(
    span: Window, whole: dict[int, Any], held: dict[int, Any], since_us: int | None
) -> tuple[list[float | None], list[float | None]]:
    every = charts.hashrate(whole, span)
    moved = charts.hashrate(held, span)
    if since_us is None:
        return every, [None] * len(every)
    own: list[float | None] = []
    holding: list[float | None] = []
    for at_s, total, part in zip(span.times_s, every, moved, strict=True):
        after = at_s * US_PER_S >= since_us - span.bucket_s * US_PER_S
        holding.append(part if after else None)
        own.append(total if not after or total is None else max(0.0, round(total - (part or 0.0), 3)))
    return own, holding
