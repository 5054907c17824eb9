"""The statements behind unit lists. Each shape is built once: only values differ from one request to the next.

A page is found first, by as few tables as filter and order need, and only its rows are then joined with everything
that is shown of them.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
)

from hashyard_cloud.services.ports.fleet import (
    DEGRADED_BELOW,
    STALE_FLOOR_S,
    STALE_INTERVALS,
    Health,
    UnitFilter,
    UnitSort,
)
from hashyard_cloud.storage.tables.contracts import CONTRACTS
from hashyard_cloud.storage.tables.customers import CUSTOMERS
from hashyard_cloud.storage.tables.equipment import UNIT_ASSIGNMENTS, UNITS
from hashyard_cloud.storage.tables.miners import LATEST, MINERS, POOLS_SEEN
from hashyard_cloud.storage.tables.redirects import REDIRECT_UNITS
from hashyard_cloud.storage.tables.sites import SITES
from hashyard_shared.clock import US_PER_S
from hashyard_shared.telemetry import MinerState

CENTI: Final = 100
RETIRED: Final = "retired"
SHAPES_REMEMBERED: Final = 500
NOW: Final[BindParameter[int]] = bindparam("now_us", type_=BigInteger())
ORGANISATION: Final[BindParameter[str]] = bindparam("organisation_id", type_=Text())
PATTERN: Final[BindParameter[str]] = bindparam("pattern", type_=Text())
LIMIT: Final[BindParameter[int]] = bindparam("limit", type_=Integer())
OFFSET: Final[BindParameter[int]] = bindparam("offset", type_=Integer())

_ALLOWED_US = LATEST.c.interval_ms * (1_000 * STALE_INTERVALS)
_FLOOR_US: Final = STALE_FLOOR_S * US_PER_S
FRESH: Final = LATEST.c.at_us >= NOW - case((_ALLOWED_US > _FLOOR_US, _ALLOWED_US), else_=_FLOOR_US)


def health_of(low: ColumnElement[bool]) -> ColumnElement[str]:
    """What can be said of a device now; `low` where it is below what is expected of it."""
    return case(
        (LATEST.c.miner_no.is_(None), Health.UNSEEN.value),
        (~FRESH, Health.STALE.value),
        (LATEST.c.state == int(MinerState.UNREACHABLE), Health.UNREACHABLE.value),
        (LATEST.c.state == int(MinerState.MISREAD), Health.MISREAD.value),
        (LATEST.c.state == int(MinerState.UNIDENTIFIED), Health.UNIDENTIFIED.value),
        (LATEST.c.hashrate_cths == 0, Health.STOPPED.value),
        (or_(LATEST.c.state == int(MinerState.DEGRADED), low), Health.DEGRADED.value),
        else_=Health.ONLINE.value,
    )


def now(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A reading where it is fresh, else nothing."""
    return case((FRESH, column), else_=null())


HEALTH: Final = health_of(
    and_(
        UNITS.c.expected_hashrate_ths.is_not(None),
        LATEST.c.hashrate_cths < UNITS.c.expected_hashrate_ths * (CENTI * DEGRADED_BELOW),
    )
)

COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (
    *(UNITS.c[name] for name in ("unit_id", "label", "position", "serial", "mac", "model")),
    UNITS.c.state.label("lifecycle"),
    UNITS.c.site_id,
    SITES.c.name.label("site_name"),
    SITES.c.timezone,
    UNIT_ASSIGNMENTS.c.customer_id,
    CUSTOMERS.c.name.label("customer_name"),
    UNIT_ASSIGNMENTS.c.contract_id,
    CONTRACTS.c.number.label("contract_number"),
    UNITS.c.expected_hashrate_ths,
    UNITS.c.nameplate_w,
    UNITS.c.state_since_us,
    MINERS.c.miner_no,
    MINERS.c.miner_id,
    MINERS.c.ip,
    MINERS.c.firmware,
    HEALTH.label("health"),
    LATEST.c.at_us,
    (now(LATEST.c.hashrate_cths) / float(CENTI)).label("hashrate_ths"),
    *(
        now(LATEST.c[name]).label(name)
        for name in ("power_w", "temp_chip_c", "fan_rpm", "uptime_s", "shares_accepted", "shares_rejected")
    ),
    POOLS_SEEN.c.url.label("pool_url"),
    POOLS_SEEN.c.worker.label("pool_worker"),
    REDIRECT_UNITS.c.at_pool_us,
)
NAMES: Final = [column.name for column in COLUMNS]
"""What `UnitView` consists of, in the order of `COLUMNS`."""


def owned(source: FromClause) -> FromClause:
    """With who has each unit now."""
    same = and_(
        UNIT_ASSIGNMENTS.c.unit_id == UNITS.c.unit_id,
        UNIT_ASSIGNMENTS.c.organisation_id == UNITS.c.organisation_id,
        UNIT_ASSIGNMENTS.c.to_us.is_(None),
    )
    return source.outerjoin(UNIT_ASSIGNMENTS, same)


def bound(source: FromClause) -> FromClause:
    """With the device behind each unit and its newest reading."""
    same = and_(MINERS.c.organisation_id == UNITS.c.organisation_id, MINERS.c.mac == UNITS.c.mac)
    return source.outerjoin(MINERS, same).outerjoin(LATEST, LATEST.c.miner_no == MINERS.c.miner_no)


def redirected(source: FromClause) -> FromClause:
    """With the order under which each unit stands."""
    same = and_(
        REDIRECT_UNITS.c.unit_id == UNITS.c.unit_id,
        REDIRECT_UNITS.c.organisation_id == UNITS.c.organisation_id,
    )
    return source.outerjoin(REDIRECT_UNITS, same)


def named(source: FromClause) -> FromClause:
    """With everything that is shown."""
    found = redirected(bound(owned(source))).join(SITES, SITES.c.site_id == UNITS.c.site_id)
    return (
        found.outerjoin(CUSTOMERS, CUSTOMERS.c.customer_id == UNIT_ASSIGNMENTS.c.customer_id)
        .outerjoin(CONTRACTS, CONTRACTS.c.contract_id == UNIT_ASSIGNMENTS.c.contract_id)
        .outerjoin(POOLS_SEEN, POOLS_SEEN.c.pool_no == LATEST.c.pool_no)
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """Which conditions a list has, whatever their values."""

    site: bool
    customer: bool
    contract: bool
    lifecycle: bool
    model: bool
    assignable: bool
    health: bool
    below: bool
    assigned: bool | None
    search: bool

    @property
    def reads_owner(self) -> bool:
        """Whether ownership decides what matches."""
        return self.customer or self.contract or self.assigned is not None

    @property
    def reads_latest(self) -> bool:
        """Whether the newest reading decides what matches."""
        return self.health or self.below


def shape_of(wanted: UnitFilter) -> Shape:
    """The shape of this filter."""
    return Shape(
        site=wanted.site_id is not None,
        customer=wanted.customer_id is not None,
        contract=wanted.contract_id is not None,
        lifecycle=wanted.lifecycle is not None,
        model=wanted.model is not None,
        assignable=wanted.assignable,
        health=wanted.health is not None,
        below=wanted.below_expected,
        assigned=wanted.assigned,
        search=bool(wanted.search.strip()),
    )


def values_of(organisation_id: str, wanted: UnitFilter, now_us: int) -> dict[str, Any]:
    """The values of this filter by the names in the statements."""
    found: dict[str, Any] = {"organisation_id": organisation_id, "now_us": now_us}
    given = {
        "site_id": wanted.site_id,
        "customer_id": wanted.customer_id,
        "contract_id": wanted.contract_id,
        "lifecycle": wanted.lifecycle,
        "model": wanted.model,
        "health": wanted.health.value if wanted.health else None,
        "pattern": like(wanted.search) if wanted.search.strip() else None,
    }
    return found | {name: value for name, value in given.items() if value is not None}


def like(text: str) -> str:
    """A pattern for "contains this", in lower case."""
    escaped = text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped.lower()}%"


def matching(*columns: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the pattern stands in one of these columns."""
    whole = columns[0]
    for column in columns[1:]:
        whole = whole + "\n" + func.coalesce(column, "")
    return func.lower(whole).like(PATTERN, escape="\\")


def _conditions(shape: Shape) -> list[ColumnElement[bool]]:
    lived = UNITS.c.state == bindparam("lifecycle") if shape.lifecycle else UNITS.c.state != RETIRED
    table: list[tuple[bool, ColumnElement[bool]]] = [
        (True, UNITS.c.organisation_id == ORGANISATION),
        (True, lived),
        (shape.site, UNITS.c.site_id == bindparam("site_id")),
        (shape.model, UNITS.c.model == bindparam("model")),
        # Said once more, so that the index over owners is used.
        (shape.customer or shape.contract, UNIT_ASSIGNMENTS.c.organisation_id == ORGANISATION),
        (shape.customer, UNIT_ASSIGNMENTS.c.customer_id == bindparam("customer_id")),
        (shape.contract, UNIT_ASSIGNMENTS.c.contract_id == bindparam("contract_id")),
        (shape.assignable, UNITS.c.state.in_(("staged", "unassigned"))),
        (shape.health, HEALTH.op("=")(bindparam("health", type_=Text()))),
        (shape.below, HEALTH.op("<>")(Health.ONLINE.value)),
        (shape.below, LATEST.c.miner_no.is_not(None)),
        (shape.assigned is True, UNIT_ASSIGNMENTS.c.assignment_id.is_not(None)),
        (shape.assigned is False, UNIT_ASSIGNMENTS.c.assignment_id.is_(None)),
    ]
    found = [condition for asked, condition in table if asked]
    return [*found, _searched()] if shape.search else found


def _searched() -> ColumnElement[bool]:
    own = matching(UNITS.c.label, UNITS.c.position, UNITS.c.serial, UNITS.c.mac, UNITS.c.model)
    owners = select(CUSTOMERS.c.customer_id).where(
        CUSTOMERS.c.organisation_id == ORGANISATION, matching(CUSTOMERS.c.name)
    )
    theirs = select(UNIT_ASSIGNMENTS.c.unit_id).where(
        UNIT_ASSIGNMENTS.c.organisation_id == ORGANISATION,
        UNIT_ASSIGNMENTS.c.to_us.is_(None),
        UNIT_ASSIGNMENTS.c.customer_id.in_(owners),
    )
    return or_(own, UNITS.c.unit_id.in_(theirs))


_CURRENT: Final = func.coalesce(now(LATEST.c.hashrate_cths), 0)
_ORDERS: Final[dict[UnitSort, ColumnElement[Any]]] = {
    UnitSort.ATTENTION: _CURRENT - func.coalesce(UNITS.c.expected_hashrate_ths, 0) * CENTI,
    UnitSort.LABEL: UNITS.c.label,
    UnitSort.MODEL: UNITS.c.model,
    UnitSort.CUSTOMER: CUSTOMERS.c.name,
    UnitSort.SITE: SITES.c.name,
    UnitSort.HASHRATE: _CURRENT,
    UnitSort.TEMPERATURE: func.coalesce(now(LATEST.c.temp_chip_c), -1),
    UnitSort.STATE: HEALTH,
}
_BY_READING: Final = frozenset({UnitSort.ATTENTION, UnitSort.HASHRATE, UnitSort.TEMPERATURE, UnitSort.STATE})


def _source(shape: Shape, sort: UnitSort | None = None) -> FromClause:
    """As few tables as tell what matches, and in which order."""
    source: FromClause = UNITS
    if shape.reads_owner or sort is UnitSort.CUSTOMER:
        source = owned(source)
    if shape.reads_latest or sort in _BY_READING:
        source = bound(source)
    if sort is UnitSort.CUSTOMER:
        source = source.outerjoin(CUSTOMERS, CUSTOMERS.c.customer_id == UNIT_ASSIGNMENTS.c.customer_id)
    if sort is UnitSort.SITE:
        source = source.join(SITES, SITES.c.site_id == UNITS.c.site_id)
    return source


@lru_cache(maxsize=SHAPES_REMEMBERED)
def page(shape: Shape, sort: UnitSort, descending: bool) -> Select[Any]:
    """One page of units with all that is shown of them."""
    key = _ORDERS[sort]
    order = [key.desc() if descending else key.asc(), UNITS.c.label.asc()]
    chosen = (
        select(UNITS.c.unit_id)
        .select_from(_source(shape, sort))
        .where(*_conditions(shape))
        .order_by(*order)
        .limit(LIMIT)
        .offset(OFFSET)
        .subquery("chosen")
    )
    rows = named(chosen.join(UNITS, UNITS.c.unit_id == chosen.c.unit_id))
    return select(*COLUMNS).select_from(rows).order_by(*order)


@lru_cache(maxsize=SHAPES_REMEMBERED)
def count(shape: Shape) -> Select[Any]:
    """How many units match."""
    return select(func.count()).select_from(_source(shape)).where(*_conditions(shape))


@lru_cache(maxsize=SHAPES_REMEMBERED)
def ids(shape: Shape) -> Select[Any]:
    """Every unit that matches."""
    query = select(UNITS.c.unit_id).select_from(_source(shape)).where(*_conditions(shape))
    return query.order_by(UNITS.c.label)


@cache
def one() -> Select[Any]:
    """A unit."""
    return (
        select(*COLUMNS)
        .select_from(named(UNITS))
        .where(UNITS.c.organisation_id == ORGANISATION, UNITS.c.unit_id == bindparam("unit_id"))
    )
