"""Units, who has them, and devices that were found and are not registered."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import equipment
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.equipment import UnitInput
from hashyard_cloud.services.inputs import read
from hashyard_cloud.services.ports.equipment import UnitState
from hashyard_cloud.services.ports.fleet import Health, UnitFilter, UnitView
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import (
    Answer,
    Body,
    Done,
    Id,
    Line,
    Name,
    Page,
    PageQuery,
    Search,
    instant,
)
from hashyard_cloud.web.pages import FLOOR, MANAGERS, STAFF

MAX_UNITS: Final = 1_000
MAX_OFFSET: Final = 1_000_000
_MAC: Final = r"^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$"
Ids = Annotated[list[Id], Field(min_length=1, max_length=MAX_UNITS)]


class Unit(Answer):
    """A billed asset, and whose it is now."""

    unit_id: str
    site_id: str
    label: str
    position: str
    serial: str
    mac: str | None
    model: str
    state: UnitState
    state_since_at: str
    expected_hashrate_ths: float | None
    nameplate_w: int | None
    customer_id: str | None
    contract_id: str | None


class Reading(Answer):
    """What was last seen of a unit. Figures are null where nothing was seen or it is too old to be the case."""

    unit_id: str
    label: str
    miner_id: str | None
    health: Health
    at: str | None
    hashrate_ths: float | None
    power_w: int | None
    temp_chip_c: int | None
    fan_rpm: int | None
    uptime_s: int | None
    shares_accepted: int | None
    shares_rejected: int | None
    pool_url: str | None
    pool_worker: str | None
    at_holding_pool_since: str | None


class UnitBody(Body):
    """A unit as people describe it. The label is what it is called, mostly its position."""

    site_id: Id
    label: Name
    position: Line = ""
    serial: Line = ""
    mac: Annotated[str, StringConstraints(pattern=_MAC)] | None = None
    model: Line = ""
    expected_hashrate_ths: Annotated[float, Field(ge=0, le=100_000)] | None = None
    nameplate_w: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


class UnitsQuery(PageQuery):
    """Which units. Without `state` retired ones are left out."""

    site_id: Id | None = None
    customer_id: Id | None = None
    contract_id: Id | None = None
    state: UnitState | None = None
    health: Health | None = None
    q: Search = ""


class AssignBody(Body):
    """Which units to which active contract."""

    contract_id: Id
    unit_ids: Ids


class ReleaseBody(Body):
    """Which units, and in which state they are afterwards."""

    unit_ids: Ids
    state: UnitState = UnitState.UNASSIGNED


class Assignment(Answer):
    """A unit under a contract; `to_at` is null while it lasts."""

    assignment_id: str
    unit_id: str
    contract_id: str
    customer_id: str
    from_at: str
    to_at: str | None
    ended_by: str


class DiscoveredMiner(Answer):
    """A device that was found and is bound to no unit."""

    miner_id: str
    site_id: str
    mac: str | None
    serial: str | None
    ip: str
    make: str
    model: str
    firmware: str
    expected_hashrate_ths: float | None
    first_seen_at: str
    health: Health
    hashrate_ths: float | None


class DiscoveredQuery(PageQuery):
    """Which devices."""

    site_id: Id | None = None
    q: Search = ""


class AdoptBody(Body):
    """Which devices to register; labels are the prefix, or the site's code, and a number."""

    miner_ids: Ids
    label_prefix: Annotated[str, StringConstraints(max_length=40, pattern=r"^[^\x00-\x1f]*$")] = ""


def _unit(view: UnitView) -> Unit:
    return Unit.of(view, state=UnitState(view.lifecycle), state_since_at=instant(view.state_since_us))


def _reading(view: UnitView) -> Reading:
    return Reading.of(view, at=instant(view.at_us), at_holding_pool_since=instant(view.at_pool_us))


async def _views(call: Call, query: UnitsQuery) -> tuple[list[UnitView], str | None]:
    offset = 0 if query.cursor is None else paging.offset(query.cursor, MAX_OFFSET)
    wanted = UnitFilter(
        site_id=query.site_id,
        customer_id=query.customer_id,
        contract_id=query.contract_id,
        lifecycle=query.state.value if query.state else None,
        health=query.health,
        search=query.q,
        limit=query.limit,
        offset=offset,
    )
    async with call.database.reading() as tx:
        rows, total = await tx.fleet.units(call.org, wanted, call.now_us)
    end = offset + len(rows)
    return rows, paging.encode((end,)) if rows and end < total else None


async def _view(call: Call, unit_id: str) -> UnitView:
    async with call.database.reading() as tx:
        view = await tx.fleet.unit(call.org, unit_id, call.now_us)
    if view is None:
        raise NotFoundError
    return view


async def list_units(call: Call, query: UnitsQuery) -> Page[Unit]:
    """Units, by label."""
    rows, following = await _views(call, query)
    return Page[Unit](items=[_unit(row) for row in rows], next_cursor=following)


async def get_unit(call: Call) -> Unit:
    """One unit."""
    return _unit(await _view(call, call.ids["unit_id"]))


async def create_unit(call: Call, body: UnitBody) -> Unit:
    """Register a unit, staged."""
    given = read(UnitInput, body.model_dump(exclude_none=True))
    row = await equipment.add(call.database, call.clock, call.org, call.actor, given)
    return _unit(await _view(call, row.unit_id))


async def update_unit(call: Call, body: UnitBody) -> Unit:
    """Change what describes a unit; whose it is changes by assignment only."""
    given = read(UnitInput, body.model_dump(exclude_none=True))
    await equipment.edit(call.database, call.clock, call.org, call.actor, call.ids["unit_id"], given)
    return _unit(await _view(call, call.ids["unit_id"]))


async def assign_units(call: Call, body: AssignBody) -> Done:
    """Put units under an active contract from now on, all or none."""
    count = await equipment.assign(
        call.database, call.clock, call.org, call.actor, body.contract_id, body.unit_ids
    )
    return Done(count=count)


async def release_units(call: Call, body: ReleaseBody) -> Done:
    """End the units' assignments; the count is of those that had one."""
    count = await equipment.release(call.database, call.clock, call.org, call.actor, body.unit_ids, body.state)
    return Done(count=count)


async def list_assignments(call: Call, query: PageQuery) -> Page[Assignment]:
    """Who had a unit from when to when, newest first."""
    async with call.database.reading() as tx:
        unit = await equipment.get(tx, call.org, call.ids["unit_id"])
        rows = await tx.equipment.assignments(call.org, unit_id=unit.unit_id)
    shown, following = paging.page(rows, lambda row: (row.from_us, row.assignment_id), query, newest_first=True)
    return Page[Assignment](items=[Assignment.of(row) for row in shown], next_cursor=following)


async def list_discovered(call: Call, query: DiscoveredQuery) -> Page[DiscoveredMiner]:
    """Devices that are not registered, newest first."""
    offset = 0 if query.cursor is None else paging.offset(query.cursor, MAX_OFFSET)
    async with call.database.reading() as tx:
        rows, total = await tx.fleet.found(
            call.org, call.now_us, site_id=query.site_id, search=query.q, limit=query.limit, offset=offset
        )
    end = offset + len(rows)
    following = paging.encode((end,)) if rows and end < total else None
    return Page[DiscoveredMiner](items=[DiscoveredMiner.of(row) for row in rows], next_cursor=following)


async def adopt_miners(call: Call, body: AdoptBody) -> Done:
    """Register found devices as unassigned units; registered ones are passed over."""
    rows = await equipment.adopt(
        call.database, call.clock, call.org, call.actor, body.miner_ids, body.label_prefix
    )
    return Done(count=len(rows))


async def list_readings(call: Call, query: UnitsQuery) -> Page[Reading]:
    """The newest reading of each unit, by label."""
    rows, following = await _views(call, query)
    return Page[Reading](items=[_reading(row) for row in rows], next_cursor=following)


async def get_reading(call: Call) -> Reading:
    """The newest reading of one unit."""
    return _reading(await _view(call, call.ids["unit_id"]))


_EQUIPMENT: Final = Feature(Area.EQUIPMENT)
_READINGS: Final = Feature(Area.READINGS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _EQUIPMENT.read("/units", list_units, STAFF),
    _EQUIPMENT.add("/units", create_unit, FLOOR),
    _EQUIPMENT.act("/units/assign", assign_units, MANAGERS),
    _EQUIPMENT.act("/units/release", release_units, MANAGERS),
    _EQUIPMENT.read("/units/{unit_id}", get_unit, STAFF),
    _EQUIPMENT.put("/units/{unit_id}", update_unit, FLOOR),
    _EQUIPMENT.read("/units/{unit_id}/assignments", list_assignments, STAFF),
    _EQUIPMENT.read("/miners/discovered", list_discovered, STAFF),
    _EQUIPMENT.act("/miners/adopt", adopt_miners, FLOOR),
    _READINGS.read("/readings", list_readings, STAFF),
    _READINGS.read("/units/{unit_id}/reading", get_reading, STAFF),
)
