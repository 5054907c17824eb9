"""Sites: list, detail with its agents, enrolment codes, shadow mode."""

from typing import Final

from aiohttp import web

from hashyard_cloud.services import sites
from hashyard_cloud.services.inputs import CURRENCIES, InputError, read
from hashyard_cloud.services.ports.fleet import Totals, TotalsBy
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import chart_ranges, charts, keys
from hashyard_cloud.web.chart_ranges import Metric, Window
from hashyard_cloud.web.host.agent_states import agent_state, health_of
from hashyard_cloud.web.host.fleet import site_cards, site_numbers
from hashyard_cloud.web.memory import MEMORY
from hashyard_cloud.web.pages import FLOOR, MANAGERS, actor_of, fields, go, host_page, show
from hashyard_cloud.web.unit_lists import found_page
from hashyard_shared.clock import US_PER_S
from hashyard_shared.signing import grouped

GAPS_SHOWN_S = 30 * 86_400

GAP_REASONS: Final = {
    "agent-not-running": "The agent did not run",
    "agent-late": "The agent was late",
    "clock-set-ahead": "The clock was set ahead: nothing is missing here",
    "clock-set-back": "The clock was set back: these times come twice",
    "outbox-full": "The agent's room was used up",
    "disk-full": "The disk was full",
    "store": "The agent could not keep it",
    "store-failed": "The agent could not keep it",
    "store-damaged": "The agent's store was damaged",
    "corrupt-row": "A kept row was damaged",
}


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/sites", host_page(index)),
        web.get("/sites/new", host_page(new, MANAGERS)),
        web.post("/sites/new", host_page(create, MANAGERS)),
        web.get("/sites/{site_id}", host_page(detail)),
        web.get("/sites/{site_id}/agents", host_page(agents_part)),
        web.get("/sites/{site_id}/edit", host_page(edit, MANAGERS)),
        web.post("/sites/{site_id}/edit", host_page(save, MANAGERS)),
        web.post("/sites/{site_id}/enrol", host_page(enrol, FLOOR)),
        web.post("/sites/{site_id}/agents/{agent_id}/revoke", host_page(revoke, MANAGERS)),
        web.post("/sites/{site_id}/agents/{agent_id}/clear-clone", host_page(clear_clone, MANAGERS)),
        web.post("/sites/{site_id}/agents/{agent_id}/ask-key", host_page(ask_key, MANAGERS)),
        web.get("/sites/{site_id}/chart.json", host_page(chart)),
        web.get("/sites/{site_id}/chart.csv", host_page(chart_csv)),
    ]


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /sites."""
    memory = request.app[MEMORY]
    cards = await memory.get(viewer.organisation_id, "sites", lambda: site_cards(request, viewer))
    return show(request, viewer, "host/sites/index.html", cards=cards)


def _form(request: web.Request, viewer: Viewer, title: str, form: dict[str, str], **more: object) -> web.Response:
    context: dict[str, object] = {
        "title": title,
        "currencies": [(code, code) for code in CURRENCIES],
        "form": form,
    }
    return show(request, viewer, "host/sites/form.html", 422 if more.get("errors") else 200, **context | more)


async def new(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /sites/new."""
    form = {"timezone": viewer.organisation.timezone, "currency": viewer.organisation.currency}
    return _form(request, viewer, "Add site", form | {"poll_interval_s": "60"})


async def create(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /sites/new."""
    form = await _given(request)
    try:
        site = await sites.add(
            request.app[keys.DATABASE],
            request.app[keys.CLOCK],
            viewer.organisation_id,
            actor_of(viewer),
            read(sites.SiteInput, form),
        )
    except InputError as error:
        return _form(request, viewer, "Add site", form, errors=error.errors)
    return go(f"/sites/{site.site_id}", f"Site {site.name} added. Enrol an agent there next.")


async def _given(request: web.Request) -> dict[str, str]:
    form = await fields(request)
    return {name: value for name, value in form.items() if name in sites.SiteInput.model_fields}


def gap_reason(reason: str) -> str:
    """Why nothing was measured or kept, for people; what is not known here stays as the agent says it."""
    return GAP_REASONS.get(reason, reason)


async def _detail(request: web.Request, viewer: Viewer) -> dict[str, object]:
    site_id = request.match_info["site_id"]
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        site = await sites.get(tx, viewer.organisation_id, site_id)
        sums = await tx.fleet.totals(viewer.organisation_id, TotalsBy.SITE, now_us, site_id)
        totals = sums.get(site_id, Totals())
        agents = await tx.agents.all(viewer.organisation_id, site_id)
        ids = [agent.agent_id for agent in agents]
        from_us = now_us - GAPS_SHOWN_S * US_PER_S
        gaps = await tx.agents.gaps(viewer.organisation_id, ids, from_us, now_us) if ids else []
    _, found = await found_page(request.app, viewer.organisation_id, site_id, "", 1, 0)
    return {
        "site": site,
        "totals": totals,
        "agents": [(agent, agent_state([agent], now_us), health_of(agent)) for agent in agents],
        "gaps": gaps[-20:][::-1],
        "gap_reason": gap_reason,
        "found": found,
        "timezone": site.timezone,
        "grouped": grouped,
        "asked": chart_ranges.chosen(request.query, now_us, site.timezone),
        "code": None,
    }


async def detail(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /sites/{site_id}."""
    return show(request, viewer, "host/sites/detail.html", **await _detail(request, viewer))


async def agents_part(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /sites/{site_id}/agents: the agents' card, which refreshes itself."""
    return show(request, viewer, "host/sites/agents.html", **await _detail(request, viewer))


async def edit(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /sites/{site_id}/edit."""
    async with request.app[keys.DATABASE].reading() as tx:
        site = await sites.get(tx, viewer.organisation_id, request.match_info["site_id"])
    price = f"{(site.energy_price_micro or 0) / 1e6:.6f}"
    form = {
        "name": site.name,
        "code": site.code,
        "region": site.region,
        "timezone": site.timezone,
        "capacity_kw": "" if site.capacity_w is None else f"{site.capacity_w / sites.W_PER_KW:g}",
        "currency": site.currency,
        "tax_percent": "" if not site.tax_bp else f"{site.tax_bp / 100:g}",
        "energy_price": price.rstrip("0").rstrip(".") if site.energy_price_micro else "",
        "poll_interval_s": f"{site.poll_interval_s:g}",
    }
    return _form(request, viewer, f"Edit {site.name}", form, site=site)


async def save(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /sites/{site_id}/edit."""
    site_id = request.match_info["site_id"]
    form = await _given(request)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    async with database.reading() as tx:
        site = await sites.get(tx, viewer.organisation_id, site_id)
    try:
        given = read(sites.SiteInput, form)
    except InputError as error:
        return _form(request, viewer, f"Edit {site.name}", form, errors=error.errors, site=site)
    await sites.edit(database, clock, viewer.organisation_id, actor_of(viewer), site_id, given)
    return go(f"/sites/{site_id}", "Site saved.")


async def enrol(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /sites/{site_id}/enrol: mint a code and show it once."""
    minted = await request.app[keys.ENROLMENT].mint_code(
        viewer.organisation_id, request.match_info["site_id"], viewer.actor
    )
    context = await _detail(request, viewer)
    context["code"] = minted
    context["base_url"] = request.app[keys.BASE_URL]
    return show(request, viewer, "host/sites/detail.html", **context)


async def revoke(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /sites/{site_id}/agents/{agent_id}/revoke."""
    site_id, agent_id = request.match_info["site_id"], request.match_info["agent_id"]
    reason = (await fields(request)).get("reason", "").strip()[:200]
    await request.app[keys.AGENTS].revoke(viewer.organisation_id, agent_id, reason)
    return go(f"/sites/{site_id}", "The agent is refused from now on.")


async def clear_clone(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /sites/{site_id}/agents/{agent_id}/clear-clone: a person has looked."""
    site_id, agent_id = request.match_info["site_id"], request.match_info["agent_id"]
    await request.app[keys.AGENTS].clear_clone(viewer.organisation_id, agent_id)
    return go(f"/sites/{site_id}", "Orders flow to this agent again.")


async def _series(request: web.Request, viewer: Viewer) -> tuple[Window, list[charts.Series], list[charts.Band]]:
    now_us = request.app[keys.CLOCK].now_us()
    site_id = request.match_info["site_id"]
    async with request.app[keys.DATABASE].reading() as tx:
        site = await sites.get(tx, viewer.organisation_id, site_id)
    numbers = await site_numbers(request, viewer.organisation_id, site_id)
    asked = chart_ranges.checked(request.query, now_us, site.timezone, site.poll_interval_s)
    span = asked.window
    found = await charts.points(request.app, numbers, span)
    series = [charts.of_metric(found, span, asked.metric, big=True)]
    if asked.metric is Metric.HASHRATE:
        watts = charts.power(found, span, 0.001)
        series.append(charts.Series("Power", "kW", "--series-3", watts, axis=2, dashed=True))
    return span, series, charts.gaps(series[0].values, span, site.timezone)


async def chart(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /sites/{site_id}/chart.json."""
    return charts.answer(*await _series(request, viewer))


async def chart_csv(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /sites/{site_id}/chart.csv."""
    span, series, _ = await _series(request, viewer)
    return charts.as_csv(span, series, f"site-{span.name}.csv")


async def ask_key(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /sites/{site_id}/agents/{agent_id}/ask-key: a new key in place of one that may be in other hands."""
    site_id, agent_id = request.match_info["site_id"], request.match_info["agent_id"]
    agent = await request.app[keys.AGENT_KEYS].ask(viewer.organisation_id, actor_of(viewer), agent_id)
    return go(f"/sites/{site_id}", f"{agent.name} makes itself a new key as soon as it is in contact.")
