"""Fleet: totals, a card for each site, hashrate by site, and the units that cost most right now."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.fleet import Totals, TotalsBy, UnitFilter, UnitSort
from hashyard_cloud.services.ports.sites import SiteRow
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import chart_ranges, charts, keys
from hashyard_cloud.web.chart_ranges import Window
from hashyard_cloud.web.host.agent_states import AgentState, agent_state
from hashyard_cloud.web.memory import MEMORY
from hashyard_cloud.web.pages import host_page, show
from hashyard_cloud.web.unit_lists import found_page, units_page

WORST_SHOWN: Final = 8
NUMBERS_KEPT_S: Final = 20.0
COLORS: Final = tuple(f"--series-{number}" for number in range(1, 7))


@dataclass(frozen=True, slots=True)
class SiteCard:
    """A site with what is seen there now."""

    site: SiteRow
    totals: Totals
    agent: AgentState
    color: str


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/fleet", host_page(page)),
        web.get("/fleet/live", host_page(live)),
        web.get("/fleet/chart.json", host_page(chart)),
        web.get("/fleet/chart.csv", host_page(chart_csv)),
        web.get("/parts/agents", host_page(agents_foot)),
    ]


async def site_cards(request: web.Request, viewer: Viewer) -> list[SiteCard]:
    """Every site of the organisation with its totals and the state of its agent."""
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        sites = await tx.sites.all(viewer.organisation_id)
        totals = await tx.fleet.totals(viewer.organisation_id, TotalsBy.SITE, now_us)
        agents = await tx.agents.all(viewer.organisation_id)
    return [
        SiteCard(
            site,
            totals.get(site.site_id, Totals()),
            agent_state(_of_site(agents, site.site_id), now_us),
            COLORS[place % len(COLORS)],
        )
        for place, site in enumerate(sites)
    ]


def _of_site(agents: Sequence[AgentRow], site_id: str) -> list[AgentRow]:
    return [agent for agent in agents if agent.site_id == site_id]


def sum_totals(each: Sequence[Totals]) -> Totals:
    """All of them together."""
    seen = [one.newest_us for one in each if one.newest_us is not None]
    return Totals(
        units=sum(one.units for one in each),
        known=sum(one.known for one in each),
        online=sum(one.online for one in each),
        degraded=sum(one.degraded for one in each),
        stopped=sum(one.stopped for one in each),
        unreachable=sum(one.unreachable for one in each),
        unseen=sum(one.unseen for one in each),
        hashrate_ths=sum(one.hashrate_ths for one in each),
        expected_ths=sum(one.expected_ths for one in each),
        power_w=sum(one.power_w for one in each),
        at_pool=sum(one.at_pool for one in each),
        at_pool_ths=sum(one.at_pool_ths for one in each),
        newest_us=max(seen, default=None),
    )


async def _context(request: web.Request, viewer: Viewer) -> dict[str, object]:
    seen = await request.app[MEMORY].get(viewer.organisation_id, "fleet", lambda: _seen(request, viewer))
    now_us = request.app[keys.CLOCK].now_us()
    return seen | {
        "asked": chart_ranges.chosen(request.query, now_us, viewer.organisation.timezone),
    }


async def _seen(request: web.Request, viewer: Viewer) -> dict[str, object]:
    """The sums over everything, the same for everybody of the organisation."""
    cards = await site_cards(request, viewer)
    wanted = UnitFilter(below_expected=True, sort=UnitSort.ATTENTION, limit=WORST_SHOWN)
    worst, below = await units_page(request.app, viewer.organisation_id, wanted)
    _, found = await found_page(request.app, viewer.organisation_id, None, "", 1, 0)
    known = [card for card in cards if card.site.capacity_w]
    return {
        "cards": cards,
        "total": sum_totals([card.totals for card in cards]),
        "capacity_w": sum(card.site.capacity_w or 0 for card in known),
        "worst": worst,
        "below": below,
        "found": found,
        "interval_s": min((card.site.poll_interval_s for card in cards), default=60),
    }


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /fleet."""
    return show(request, viewer, "host/fleet/page.html", **await _context(request, viewer))


async def live(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /fleet/live: the part of the page that refreshes itself."""
    return show(request, viewer, "host/fleet/live.html", **await _context(request, viewer))


async def site_numbers(request: web.Request, organisation_id: str, site_id: str) -> list[int]:
    """The devices behind a site's units, for its chart."""

    async def ask() -> list[int]:
        async with request.app[keys.DATABASE].reading() as tx:
            return await tx.fleet.miner_nos(organisation_id, site_id=site_id)

    return await request.app[MEMORY].get(organisation_id, f"numbers {site_id}", ask, NUMBERS_KEPT_S)


async def _series(request: web.Request, viewer: Viewer) -> tuple[Window, list[charts.Series], list[charts.Band]]:
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        sites = (await tx.sites.all(viewer.organisation_id))[: len(COLORS)]
    numbers = [await site_numbers(request, viewer.organisation_id, site.site_id) for site in sites]
    poll_s = max((site.poll_interval_s for site in sites), default=60)
    asked = chart_ranges.checked(request.query, now_us, viewer.organisation.timezone, poll_s)
    span = asked.window
    found = await asyncio.gather(*(charts.points(request.app, each, span) for each in numbers))
    series, bands = [], []
    for place, site in enumerate(sites):
        line = charts.of_metric(found[place], span, asked.metric, big=True)
        values = line.values
        series.append(charts.Series(site.name, line.unit, COLORS[place], values))
        bands += charts.gaps(values, span, viewer.organisation.timezone, site.name)
    return span, series, bands


async def chart(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /fleet/chart.json."""
    return charts.answer(*await _series(request, viewer))


async def chart_csv(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /fleet/chart.csv: what the chart shows."""
    span, series, _ = await _series(request, viewer)
    return charts.as_csv(span, series, f"hashrate-by-site-{span.name}.csv")


async def agents_foot(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /parts/agents: how many agents are in contact, for the foot of the navigation."""
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        agents = [row for row in await tx.agents.all(viewer.organisation_id) if row.revoked_at_us is None]
    live_agents = [row for row in agents if agent_state([row], now_us).in_contact]
    return show(request, viewer, "host/fleet/foot.html", agents=len(agents), in_contact=len(live_agents))
