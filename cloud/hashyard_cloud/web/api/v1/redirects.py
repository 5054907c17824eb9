"""Redirects: where each unit stands, the organisation's switch and rules, and the holding pools."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.freezes import MAX_APPROVALS
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import Answer, Body, Id, Line, Page, PageQuery
from hashyard_cloud.web.pages import MANAGERS, STAFF
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import UnitPhase
from hashyard_shared.orders import OrderKind, ReasonCode

_POOL_URL: Final = r"^(stratum\+(tcp|ssl|tls)|stratum2\+tcp)://[!-.0-~]+:[0-9]{1,5}(/[!-~]*)?$"
_WORD: Final = r"^[!-~]+$"


class RedirectedUnit(Answer):
    """A unit as ordered last and as seen last. `level` is the confirmation level of that order, 0 to 4."""

    unit_id: str
    label: str
    mac: str
    site_id: str
    customer_id: str
    contract_id: str
    case_id: str
    wanted: OrderKind
    live: bool
    reason: ReasonCode
    sequence: int
    ordered_at: str
    expires_at: str | None
    phase: UnitPhase
    level: int
    code: ErrorCode | None
    detail: str
    active_pool: str | None
    active_worker: str | None
    status_at: str | None
    at_pool_at: str | None
    held_code: ErrorCode | None


class RedirectedQuery(PageQuery):
    """Which units."""

    customer_id: Id | None = None
    case_id: Id | None = None
    live: bool = False


class Controls(Answer):
    """The switch and the rules. `holding_pool` empty means the oldest."""

    redirect_enabled: bool
    approvals_required: int
    freeze_restores: bool
    holding_pool: str


class SwitchBody(Body):
    """On or off. Off gives back at once what is redirected."""

    enabled: bool
    reason: Line = ""


class RulesBody(Body):
    """How many people approve, whether a freeze gives machines back, and to which pool they go."""

    approvals_required: Annotated[int, Field(ge=0, le=MAX_APPROVALS)]
    freeze_restores: bool
    holding_pool: Line = ""


class HoldingPool(Answer):
    """A holding pool, without its password. It is used on a site only after a technician pinned it there."""

    reference: str
    url: str
    worker: str
    pool_hash: str
    created_at: str
    created_by: str
    retired_at: str | None


class PoolBody(Body):
    """A holding pool. `{unit}` in the worker stands for the unit's label."""

    reference: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
    url: Annotated[str, StringConstraints(max_length=250, pattern=_POOL_URL)]
    worker: Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=_WORD)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=_WORD)]


async def list_redirected(call: Call, query: RedirectedQuery) -> Page[RedirectedUnit]:
    """Units that were ordered to be redirected or restored, by label."""
    async with call.database.reading() as tx:
        rows = await tx.redirects.units(
            call.org, case_id=query.case_id, customer_id=query.customer_id, live_only=query.live
        )
    shown, following = paging.page(rows, lambda row: (row.label, row.unit_id), query)
    return Page[RedirectedUnit](items=[RedirectedUnit.of(row) for row in shown], next_cursor=following)


async def get_redirected(call: Call) -> RedirectedUnit:
    """Where one unit stands."""
    async with call.database.reading() as tx:
        row = await tx.redirects.unit(call.org, call.ids["unit_id"])
    if row is None:
        raise NotFoundError
    return RedirectedUnit.of(row)


async def get_controls(call: Call) -> Controls:
    """The organisation's switch and rules."""
    async with call.database.reading() as tx:
        organisation = await tx.organisations.get(call.org)
        rules = await tx.redirects.controls(call.org)
    if organisation is None:
        raise NotFoundError
    return Controls(
        redirect_enabled=organisation.redirect_enabled,
        approvals_required=organisation.approvals_required,
        freeze_restores=rules.freeze_restores if rules else False,
        holding_pool=rules.holding_pool if rules else "",
    )


async def set_switch(call: Call, body: SwitchBody) -> Controls:
    """Turn redirects on or off for the whole organisation."""
    async with call.database.transaction() as tx:
        await call.built.freezes.set_switch(
            tx, call.org, call.actor, enabled=body.enabled, reason=body.reason.strip()
        )
    return await get_controls(call)


async def set_rules(call: Call, body: RulesBody) -> Controls:
    """Set the rules of redirects."""
    async with call.database.transaction() as tx:
        await call.built.freezes.set_controls(tx, call.org, call.actor, **body.model_dump())
    return await get_controls(call)


async def list_pools(call: Call, query: PageQuery) -> Page[HoldingPool]:
    """Holding pools, oldest first, retired ones too."""
    async with call.database.reading() as tx:
        rows = await tx.holding_pools.all(call.org)
    shown, following = paging.page(rows, lambda row: (row.created_us, row.reference), query)
    return Page[HoldingPool](items=[HoldingPool.of(row) for row in shown], next_cursor=following)


async def add_pool(call: Call, body: PoolBody) -> HoldingPool:
    """Add a holding pool."""
    async with call.database.transaction() as tx:
        row = await call.built.pools.add(tx, call.org, call.actor, **body.model_dump())
    return HoldingPool.of(row)


async def retire_pool(call: Call) -> HoldingPool:
    """Name this pool in no new order."""
    reference = call.ids["reference"]
    async with call.database.transaction() as tx:
        await call.built.pools.retire(tx, call.org, call.actor, reference)
        row = await tx.holding_pools.by_reference(call.org, reference)
    if row is None:
        raise NotFoundError
    return HoldingPool.of(row)


_REDIRECTS: Final = Feature(Area.REDIRECTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _REDIRECTS.read("/redirects/units", list_redirected, STAFF),
    _REDIRECTS.read("/redirects/units/{unit_id}", get_redirected, STAFF),
    _REDIRECTS.read("/redirects/controls", get_controls, STAFF),
    _REDIRECTS.put("/redirects/switch", set_switch, MANAGERS),
    _REDIRECTS.put("/redirects/rules", set_rules, MANAGERS),
    _REDIRECTS.read("/holding-pools", list_pools, MANAGERS),
    _REDIRECTS.add("/holding-pools", add_pool, MANAGERS),
    _REDIRECTS.act("/holding-pools/{reference}/retire", retire_pool, MANAGERS),
)
