"""Sites and the agents there."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import sites
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.inputs import read
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.sites import SiteRow
from hashyard_cloud.services.sites import BP_PER_PERCENT, W_PER_KW, SiteInput
from hashyard_cloud.web import keys
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import (
    Amount,
    Answer,
    Body,
    Currency,
    Id,
    Instant,
    Line,
    Name,
    Page,
    PageQuery,
    Query,
    Reason,
    at_us,
    instant,
)
from hashyard_cloud.web.pages import FLOOR, MANAGERS, STAFF


class Site(Answer):
    """Where miners stand. `energy_price` is per kWh."""

    site_id: str
    name: str
    code: str
    region: str
    timezone: str
    capacity_kw: float | None
    currency: str
    energy_price: str | None
    tax_percent: float
    shadow_mode: bool
    poll_interval_s: float
    created_at: str


class SiteBody(Body):
    """A site as people describe it."""

    name: Name
    code: Annotated[str, StringConstraints(max_length=8, pattern=r"^[^\x00-\x1f]*$")] = ""
    region: Line = ""
    timezone: Annotated[
        str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9_+\-/]+$"), Field(examples=["America/Chicago"])
    ] = "UTC"
    capacity_kw: Annotated[float, Field(ge=0, le=10_000_000)] | None = None
    currency: Currency = "USD"
    energy_price: Amount = "0"
    tax_percent: Annotated[float, Field(ge=0, le=100)] = 0
    poll_interval_s: Annotated[float, Field(ge=1, le=3_600)] = 60


class Agent(Answer):
    """An agent with what was last heard of it. `clock_offset_us` is its clock less ours."""

    agent_id: str
    site_id: str
    name: str
    fingerprint: str
    former_fingerprint: str | None
    key_changed_at: str | None
    key_asked_at: str | None
    version: str
    epoch: int
    enrolled_at: str
    last_seen_at: str | None
    clock_offset_us: int | None
    revoked_at: str | None
    revoked_reason: str | None
    clone_suspected_at: str | None


class AgentsQuery(PageQuery):
    """Which agents."""

    site_id: Id | None = None


class Gap(Answer):
    """Cycles that could not be kept or taken, and why."""

    from_at: str
    to_at: str
    cycles: int
    samples: int
    reason: str


class GapsQuery(Query):
    """Gaps that touch this span."""

    from_at: Instant
    to_at: Instant


class Gaps(Answer):
    """What is proven to be missing."""

    items: list[Gap]


class RevokeBody(Body):
    """Why."""

    reason: Reason


class EnrolmentCode(Answer):
    """A one-time code, told only now. The agent will show `fingerprint` as that of the organisation's key."""

    code: str
    fingerprint: str
    expires_at: str


def _site(row: SiteRow) -> Site:
    capacity_kw = None if row.capacity_w is None else row.capacity_w / W_PER_KW
    return Site.of(row, capacity_kw=capacity_kw, tax_percent=row.tax_bp / BP_PER_PERCENT)


async def list_sites(call: Call, query: PageQuery) -> Page[Site]:
    """All sites, by name."""
    async with call.database.reading() as tx:
        rows = await tx.sites.all(call.org)
    shown, following = paging.page(rows, lambda row: (row.name, row.site_id), query)
    return Page[Site](items=[_site(row) for row in shown], next_cursor=following)


async def get_site(call: Call) -> Site:
    """One site."""
    async with call.database.reading() as tx:
        return _site(await sites.get(tx, call.org, call.ids["site_id"]))


async def create_site(call: Call, body: SiteBody) -> Site:
    """Add a site."""
    given = read(SiteInput, body.model_dump(exclude_none=True))
    return _site(await sites.add(call.database, call.clock, call.org, call.actor, given))


async def update_site(call: Call, body: SiteBody) -> Site:
    """Change what describes a site."""
    given = read(SiteInput, body.model_dump(exclude_none=True))
    return _site(await sites.edit(call.database, call.clock, call.org, call.actor, call.ids["site_id"], given))


async def create_enrolment_code(call: Call) -> EnrolmentCode:
    """A one-time code for one agent at this site."""
    minted = await call.app[keys.ENROLMENT].mint_code(call.org, call.ids["site_id"], call.actor.name)
    return EnrolmentCode.of(
        minted,
        code=str(minted.code),
        fingerprint=minted.code.signing_key_fingerprint,
        expires_at=instant(minted.expires_at_us),
    )


async def _agent(call: Call) -> AgentRow:
    async with call.database.reading() as tx:
        row = await tx.agents.get(call.org, call.ids["agent_id"])
    if row is None:
        raise NotFoundError
    return row


def _agent_told(row: AgentRow) -> Agent:
    return Agent.of(row)


async def list_agents(call: Call, query: AgentsQuery) -> Page[Agent]:
    """All agents, newest enrolment first."""
    async with call.database.reading() as tx:
        rows = await tx.agents.all(call.org, query.site_id)
    shown, following = paging.page(rows, lambda row: (row.enrolled_at_us, row.agent_id), query, newest_first=True)
    return Page[Agent](items=[_agent_told(row) for row in shown], next_cursor=following)


async def get_agent(call: Call) -> Agent:
    """One agent."""
    return _agent_told(await _agent(call))


async def list_agent_gaps(call: Call, query: GapsQuery) -> Gaps:
    """What an agent is known to have lost, by time."""
    agent = await _agent(call)
    span = at_us(query.from_at, "from_at"), at_us(query.to_at, "to_at")
    async with call.database.reading() as tx:
        rows = await tx.agents.gaps(call.org, [agent.agent_id], *span)
    return Gaps(items=[Gap.of(row) for row in rows])


async def revoke_agent(call: Call, body: RevokeBody) -> Agent:
    """Refuse an agent from now on; it is told so."""
    await call.app[keys.AGENTS].revoke(call.org, call.ids["agent_id"], body.reason)
    return _agent_told(await _agent(call))


async def clear_clone(call: Call) -> Agent:
    """Somebody has looked at the suspected copy: orders flow again."""
    await call.app[keys.AGENTS].clear_clone(call.org, call.ids["agent_id"])
    return _agent_told(await _agent(call))


async def ask_agent_key(call: Call) -> Agent:
    """Ask an agent for a new key of its own; it is asked until it has one."""
    return _agent_told(await call.app[keys.AGENT_KEYS].ask(call.org, call.actor, call.ids["agent_id"]))


_SITES: Final = Feature(Area.SITES)
_AGENTS: Final = Feature(Area.AGENTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _SITES.read("/sites", list_sites, STAFF),
    _SITES.add("/sites", create_site, MANAGERS),
    _SITES.read("/sites/{site_id}", get_site, STAFF),
    _SITES.put("/sites/{site_id}", update_site, MANAGERS),
    _AGENTS.add("/sites/{site_id}/enrolment-codes", create_enrolment_code, FLOOR, secret=True),
    _AGENTS.read("/agents", list_agents, STAFF),
    _AGENTS.read("/agents/{agent_id}", get_agent, STAFF),
    _AGENTS.read("/agents/{agent_id}/gaps", list_agent_gaps, STAFF),
    _AGENTS.act("/agents/{agent_id}/revoke", revoke_agent, MANAGERS),
    _AGENTS.act("/agents/{agent_id}/clear-clone", clear_clone, MANAGERS),
    _AGENTS.act("/agents/{agent_id}/ask-key", ask_agent_key, MANAGERS),
)
