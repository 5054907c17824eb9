"""Units with owner and newest reading, in the relational store. See `services.ports.fleet`."""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.fleet import (
    DEGRADED_BELOW,
    STALE_FLOOR_S,
    STALE_INTERVALS,
    FoundMiner,
    Health,
    Totals,
    TotalsBy,
    UnitFilter,
    UnitSort,
    UnitView,
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
MAX_LIMIT: Final = 500
RETIRED: Final = "retired"

_OWNED = UNITS.outerjoin(
    UNIT_ASSIGNMENTS, and_(UNIT_ASSIGNMENTS.c.unit_id == UNITS.c.unit_id, UNIT_ASSIGNMENTS.c.to_us.is_(None))
)
_READ = _OWNED.outerjoin(
    MINERS, and_(MINERS.c.organisation_id == UNITS.c.organisation_id, MINERS.c.mac == UNITS.c.mac)
).outerjoin(LATEST, LATEST.c.miner_no == MINERS.c.miner_no)
_NAMED = (
    _READ.join(SITES, SITES.c.site_id == UNITS.c.site_id)
    .outerjoin(CUSTOMERS, CUSTOMERS.c.customer_id == UNIT_ASSIGNMENTS.c.customer_id)
    .outerjoin(CONTRACTS, CONTRACTS.c.contract_id == UNIT_ASSIGNMENTS.c.contract_id)
    .outerjoin(POOLS_SEEN, POOLS_SEEN.c.pool_no == LATEST.c.pool_no)
    .outerjoin(
        REDIRECT_UNITS,
        and_(
            REDIRECT_UNITS.c.unit_id == UNITS.c.unit_id,
            REDIRECT_UNITS.c.organisation_id == UNITS.c.organisation_id,
        ),
    )
)


def _fresh(now_us: int) -> ColumnElement[bool]:
    allowed_us = LATEST.c.interval_ms * (1_000 * STALE_INTERVALS)
    floor_us = STALE_FLOOR_S * US_PER_S
    return LATEST.c.at_us >= now_us - case((allowed_us > floor_us, allowed_us), else_=floor_us)


def _health(now_us: int) -> ColumnElement[str]:
    low = and_(
        UNITS.c.expected_hashrate_ths.is_not(None),
        LATEST.c.hashrate_cths < UNITS.c.expected_hashrate_ths * (CENTI * DEGRADED_BELOW),
    )
    return _health_of(now_us, low)


def _health_of(now_us: int, low: ColumnElement[bool]) -> ColumnElement[str]:
    return case(
        (LATEST.c.miner_no.is_(None), Health.UNSEEN.value),
        (~_fresh(now_us), Health.STALE.value),
        (LATEST.c.state == int(MinerState.UNREACHABLE), Health.UNREACHABLE.value),
        (LATEST.c.state == int(MinerState.MISREAD), Health.MISREAD.value),
        (LATEST.c.state == int(MinerState.UNIDENTIFIED), Health.UNIDENTIFIED.value),
        (LATEST.c.hashrate_cths == 0, Health.STOPPED.value),
        (or_(LATEST.c.state == int(MinerState.DEGRADED), low), Health.DEGRADED.value),
        else_=Health.ONLINE.value,
    )


def _now(column: ColumnElement[Any], now_us: int) -> ColumnElement[Any]:
    return case((_fresh(now_us), column), else_=null())


def _columns(now_us: int) -> list[ColumnElement[Any]]:
    return [
        UNITS.c.unit_id,
        UNITS.c.label,
        UNITS.c.position,
        UNITS.c.serial,
        UNITS.c.mac,
        UNITS.c.model,
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
        _health(now_us).label("health"),
        LATEST.c.at_us,
        (_now(LATEST.c.hashrate_cths, now_us) / float(CENTI)).label("hashrate_ths"),
        *(
            _now(LATEST.c[name], now_us).label(name)
            for name in ("power_w", "temp_chip_c", "fan_rpm", "uptime_s", "shares_accepted", "shares_rejected")
        ),
        POOLS_SEEN.c.url.label("pool_url"),
        POOLS_SEEN.c.worker.label("pool_worker"),
        REDIRECT_UNITS.c.at_pool_us,
    ]


def _like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped.lower()}%"


def _matching(search: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    pattern = _like(search.strip())
    return or_(*(func.lower(column).like(pattern, escape="\\") for column in columns))


def _conditions(organisation_id: str, wanted: UnitFilter, now_us: int) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [UNITS.c.organisation_id == organisation_id]
    for column, value in (
        (UNITS.c.site_id, wanted.site_id),
        (UNIT_ASSIGNMENTS.c.customer_id, wanted.customer_id),
        (UNIT_ASSIGNMENTS.c.contract_id, wanted.contract_id),
        (UNITS.c.state, wanted.lifecycle),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.assignable:
        found.append(UNITS.c.state.in_(("staged", "unassigned")))
    if wanted.lifecycle is None:
        found.append(UNITS.c.state != RETIRED)
    if wanted.health is not None:
        found.append(_health(now_us) == wanted.health.value)
    if wanted.below_expected:
        found.append(_health(now_us) != Health.ONLINE.value)
        found.append(LATEST.c.miner_no.is_not(None))
    if wanted.assigned is not None:
        assigned = UNIT_ASSIGNMENTS.c.assignment_id.is_not(None)
        found.append(assigned if wanted.assigned else ~assigned)
    if wanted.search.strip():
        columns = (UNITS.c.label, UNITS.c.position, UNITS.c.serial, UNITS.c.mac, UNITS.c.model, CUSTOMERS.c.name)
        found.append(_matching(wanted.search, *columns))
    return found


def _order(wanted: UnitFilter, now_us: int) -> list[ColumnElement[Any]]:
    current = func.coalesce(_now(LATEST.c.hashrate_cths, now_us), 0)
    lost = func.coalesce(UNITS.c.expected_hashrate_ths, 0) * CENTI - current
    column: ColumnElement[Any] = {
        UnitSort.ATTENTION: -lost,
        UnitSort.LABEL: UNITS.c.label,
        UnitSort.MODEL: UNITS.c.model,
        UnitSort.CUSTOMER: CUSTOMERS.c.name,
        UnitSort.SITE: SITES.c.name,
        UnitSort.HASHRATE: current,
        UnitSort.TEMPERATURE: func.coalesce(_now(LATEST.c.temp_chip_c, now_us), -1),
        UnitSort.STATE: _health(now_us),
    }[wanted.sort]
    return [column.desc() if wanted.descending else column.asc(), UNITS.c.label.asc()]


def _needed(wanted: UnitFilter) -> FromClause:
    """What has to be joined to tell which units match: a count of 10,000 need not read their readings."""
    if wanted.search.strip():
        return _NAMED
    if wanted.health is not None or wanted.below_expected:
        return _READ
    owned = wanted.customer_id is not None or wanted.contract_id is not None or wanted.assigned is not None
    return _OWNED if owned else UNITS


def _view(record: Any) -> UnitView:
    found = dict(record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so
    found["health"] = Health(found["health"])
    return UnitView(**found)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(cast(condition, Integer)), 0)


class FleetStore:
    """SQL for lists and totals; implements `services.ports.fleet.FleetStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def units(self, organisation_id: str, wanted: UnitFilter, now_us: int) -> tuple[list[UnitView], int]:
        conditions = _conditions(organisation_id, wanted, now_us)
        query = (
            select(*_columns(now_us))
            .select_from(_NAMED)
            .where(*conditions)
            .order_by(*_order(wanted, now_us))
            .limit(min(wanted.limit, MAX_LIMIT))
            .offset(wanted.offset)
        )
        rows = [_view(record) for record in (await self._connection.execute(query)).all()]
        if not wanted.offset and len(rows) < wanted.limit:
            return rows, len(rows)
        counted = select(func.count()).select_from(_needed(wanted)).where(*conditions)
        return rows, (await self._connection.execute(counted)).scalar_one()

    async def unit(self, organisation_id: str, unit_id: str, now_us: int) -> UnitView | None:
        query = (
            select(*_columns(now_us))
            .select_from(_NAMED)
            .where(UNITS.c.organisation_id == organisation_id, UNITS.c.unit_id == unit_id)
        )
        record = (await self._connection.execute(query)).first()
        return _view(record) if record else None

    async def unit_ids(self, organisation_id: str, wanted: UnitFilter, now_us: int) -> list[str]:
        query = (
            select(UNITS.c.unit_id)
            .select_from(_NAMED)
            .where(*_conditions(organisation_id, wanted, now_us))
            .order_by(UNITS.c.label)
        )
        return list((await self._connection.execute(query)).scalars())

    async def totals(
        self, organisation_id: str, by: TotalsBy, now_us: int, only: str | None = None
    ) -> dict[str, Totals]:
        group: ColumnElement[Any] = {
            TotalsBy.SITE: UNITS.c.site_id,
            TotalsBy.CUSTOMER: UNIT_ASSIGNMENTS.c.customer_id,
            TotalsBy.CONTRACT: UNIT_ASSIGNMENTS.c.contract_id,
        }[by]
        health = _health(now_us)
        hashrate = _now(LATEST.c.hashrate_cths, now_us)
        at_pool = and_(REDIRECT_UNITS.c.at_pool_us.is_not(None))
        source = _READ.outerjoin(
            REDIRECT_UNITS,
            and_(
                REDIRECT_UNITS.c.organisation_id == UNITS.c.organisation_id,
                REDIRECT_UNITS.c.unit_id == UNITS.c.unit_id,
            ),
        )
        query = (
            select(
                group.label("key"),
                func.count().label("units"),
                _count(hashrate.is_not(None)).label("known"),
                _count(health == Health.ONLINE.value).label("online"),
                _count(or_(health == Health.DEGRADED.value, health == Health.MISREAD.value)).label("degraded"),
                _count(health == Health.STOPPED.value).label("stopped"),
                _count(or_(health == Health.UNREACHABLE.value, health == Health.STALE.value)).label("unreachable"),
                _count(or_(health == Health.UNSEEN.value, health == Health.UNIDENTIFIED.value)).label("unseen"),
                func.coalesce(func.sum(hashrate), 0).label("cths"),
                func.coalesce(func.sum(UNITS.c.expected_hashrate_ths), 0).label("expected"),
                func.coalesce(func.sum(_now(LATEST.c.power_w, now_us)), 0).label("power"),
                _count(at_pool).label("at_pool"),
                func.coalesce(func.sum(case((at_pool, hashrate), else_=literal(0))), 0).label("at_pool_cths"),
                func.max(LATEST.c.at_us).label("newest"),
            )
            .select_from(source)
            .where(UNITS.c.organisation_id == organisation_id, UNITS.c.state != RETIRED, group.is_not(None))
            .group_by(group)
        )
        if only is not None:
            query = query.where(group == only)
        return {record.key: _totals(record) for record in (await self._connection.execute(query)).all()}

    async def counts(self, organisation_id: str, site_id: str | None = None) -> dict[str, int]:
        query = select(UNITS.c.state, func.count()).where(UNITS.c.organisation_id == organisation_id)
        if site_id is not None:
            query = query.where(UNITS.c.site_id == site_id)
        return {record[0]: record[1] for record in await self._connection.execute(query.group_by(UNITS.c.state))}

    async def sites_of_customers(self, organisation_id: str) -> dict[str, list[str]]:
        query = (
            select(UNIT_ASSIGNMENTS.c.customer_id, SITES.c.name)
            .distinct()
            .select_from(_OWNED.join(SITES, SITES.c.site_id == UNITS.c.site_id))
            .where(UNITS.c.organisation_id == organisation_id, UNIT_ASSIGNMENTS.c.customer_id.is_not(None))
            .order_by(SITES.c.name)
        )
        found: dict[str, list[str]] = {}
        for customer_id, name in (await self._connection.execute(query)).all():
            found.setdefault(customer_id, []).append(name)
        return found

    async def miner_nos(
        self, organisation_id: str, *, site_id: str | None = None, customer_id: str | None = None
    ) -> list[int]:
        query = select(MINERS.c.miner_no).select_from(_READ).where(UNITS.c.organisation_id == organisation_id)
        query = query.where(MINERS.c.miner_no.is_not(None), UNITS.c.state != RETIRED)
        if site_id is not None:
            query = query.where(UNITS.c.site_id == site_id)
        if customer_id is not None:
            query = query.where(UNIT_ASSIGNMENTS.c.customer_id == customer_id)
        return list((await self._connection.execute(query)).scalars())

    async def found(
        self, organisation_id: str, now_us: int, *, site_id: str | None, search: str, limit: int, offset: int
    ) -> tuple[list[FoundMiner], int]:
        bound = and_(UNITS.c.organisation_id == MINERS.c.organisation_id, UNITS.c.mac == MINERS.c.mac)
        low = and_(
            MINERS.c.expected_hashrate_ths.is_not(None),
            LATEST.c.hashrate_cths < MINERS.c.expected_hashrate_ths * (CENTI * DEGRADED_BELOW),
        )
        source = (
            MINERS.join(SITES, SITES.c.site_id == MINERS.c.site_id)
            .outerjoin(LATEST, LATEST.c.miner_no == MINERS.c.miner_no)
            .outerjoin(UNITS, bound)
        )
        conditions = [MINERS.c.organisation_id == organisation_id, UNITS.c.unit_id.is_(None)]
        if site_id is not None:
            conditions.append(MINERS.c.site_id == site_id)
        if search.strip():
            conditions.append(_matching(search, MINERS.c.mac, MINERS.c.serial, MINERS.c.ip, MINERS.c.model))
        query: Select[Any] = (
            select(
                *(MINERS.c[name] for name in ("miner_no", "miner_id", "site_id", "mac", "serial", "ip", "make")),
                *(MINERS.c[name] for name in ("model", "firmware", "expected_hashrate_ths", "first_seen_us")),
                SITES.c.name.label("site_name"),
                _health_of(now_us, low).label("health"),
                (_now(LATEST.c.hashrate_cths, now_us) / float(CENTI)).label("hashrate_ths"),
                LATEST.c.at_us,
            )
            .select_from(source)
            .where(*conditions)
            .order_by(MINERS.c.first_seen_us.desc(), MINERS.c.miner_id)
        )
        records = (await self._connection.execute(query.limit(limit).offset(offset))).all()
        total = select(func.count()).select_from(source).where(*conditions)
        return [_found(record) for record in records], (await self._connection.execute(total)).scalar_one()


def _found(record: Any) -> FoundMiner:
    found = dict(record._mapping)  # noqa: SLF001 - as above
    found["health"] = Health(found["health"])
    return FoundMiner(**found)


def _totals(record: Any) -> Totals:
    return Totals(
        units=record.units,
        known=record.known,
        online=record.online,
        degraded=record.degraded,
        stopped=record.stopped,
        unreachable=record.unreachable,
        unseen=record.unseen,
        hashrate_ths=float(record.cths) / CENTI,
        expected_ths=float(record.expected),
        power_w=int(record.power),
        at_pool=record.at_pool,
        at_pool_ths=float(record.at_pool_cths) / CENTI,
        newest_us=record.newest,
    )
