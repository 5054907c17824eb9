"""Units with owner and newest reading, in the relational store. See `services.ports.fleet`."""

from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.fleet import (
    DEGRADED_BELOW,
    FoundMiner,
    Health,
    Totals,
    TotalsBy,
    UnitFilter,
    UnitView,
)
from hashyard_cloud.storage import fleet_sql as sql
from hashyard_cloud.storage.tables.equipment import UNIT_ASSIGNMENTS, UNITS
from hashyard_cloud.storage.tables.miners import LATEST, MINERS
from hashyard_cloud.storage.tables.redirects import REDIRECT_UNITS
from hashyard_cloud.storage.tables.sites import SITES

MAX_LIMIT: Final = 500
_HEALTHS: Final = {one.value: one for one in Health}
_PLACE_OF_HEALTH: Final = sql.NAMES.index("health")
_GROUPS: Final = {
    TotalsBy.SITE: UNITS.c.site_id,
    TotalsBy.CUSTOMER: UNIT_ASSIGNMENTS.c.customer_id,
    TotalsBy.CONTRACT: UNIT_ASSIGNMENTS.c.contract_id,
}
_STATES: Final = {
    Health.ONLINE: "online",
    Health.DEGRADED: "degraded",
    Health.MISREAD: "degraded",
    Health.STOPPED: "stopped",
    Health.UNREACHABLE: "unreachable",
    Health.STALE: "unreachable",
    Health.UNSEEN: "unseen",
    Health.UNIDENTIFIED: "unseen",
}
"""Under which heading of the totals each state of a unit counts."""


def _view(record: Any) -> UnitView:
    found = dict(zip(sql.NAMES, record, strict=True))
    found["health"] = _HEALTHS[record[_PLACE_OF_HEALTH]]
    return UnitView(**found)


class FleetStore:
    """SQL for lists and totals; implements `services.ports.fleet.FleetStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def units(self, organisation_id: str, wanted: UnitFilter, now_us: int) -> tuple[list[UnitView], int]:
        shape, values = sql.shape_of(wanted), sql.values_of(organisation_id, wanted, now_us)
        limit = min(wanted.limit, MAX_LIMIT)
        rows = await self._page(shape, values, wanted, limit)
        if len(rows) < limit and (rows or not wanted.offset):
            return rows, wanted.offset + len(rows)
        return rows, (await self._connection.execute(sql.count(shape), values)).scalar_one()

    async def _page(
        self, shape: sql.Shape, values: dict[str, Any], wanted: UnitFilter, limit: int
    ) -> list[UnitView]:
        query = sql.page(shape, wanted.sort, wanted.descending)
        given = values | {"limit": limit, "offset": wanted.offset}
        return [_view(record) for record in (await self._connection.execute(query, given)).all()]

    async def unit(self, organisation_id: str, unit_id: str, now_us: int) -> UnitView | None:
        given = {"organisation_id": organisation_id, "unit_id": unit_id, "now_us": now_us}
        record = (await self._connection.execute(sql.one(), given)).first()
        return _view(record) if record else None

    async def unit_ids(self, organisation_id: str, wanted: UnitFilter, now_us: int) -> list[str]:
        given = sql.values_of(organisation_id, wanted, now_us)
        return list((await self._connection.execute(sql.ids(sql.shape_of(wanted)), given)).scalars())

    async def totals(
        self, organisation_id: str, by: TotalsBy, now_us: int, only: str | None = None
    ) -> dict[str, Totals]:
        given = {"organisation_id": organisation_id, "now_us": now_us}
        if only is not None:
            given["only"] = only
        records = (await self._connection.execute(_totals_query(by, only is not None), given)).all()
        found: dict[str, _Sum] = {}
        for record in records:
            found.setdefault(record[0], _Sum()).add(record)
        return {key: each.totals() for key, each in found.items()}

    async def counts(self, organisation_id: str, site_id: str | None = None) -> dict[str, int]:
        query = select(UNITS.c.state, func.count()).where(UNITS.c.organisation_id == organisation_id)
        if site_id is not None:
            query = query.where(UNITS.c.site_id == site_id)
        return {record[0]: record[1] for record in await self._connection.execute(query.group_by(UNITS.c.state))}

    async def models(self, organisation_id: str) -> list[str]:
        query = (
            select(UNITS.c.model)
            .distinct()
            .where(UNITS.c.organisation_id == organisation_id, UNITS.c.state != sql.RETIRED, UNITS.c.model != "")
        )
        return sorted((await self._connection.execute(query)).scalars())

    async def sites_of_customers(self, organisation_id: str) -> dict[str, list[str]]:
        query = (
            select(UNIT_ASSIGNMENTS.c.customer_id, SITES.c.name)
            .distinct()
            .select_from(sql.owned(UNITS).join(SITES, SITES.c.site_id == UNITS.c.site_id))
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
        given = {"organisation_id": organisation_id}
        given |= {} if site_id is None else {"site_id": site_id}
        given |= {} if customer_id is None else {"customer_id": customer_id}
        query = _miner_nos_query(site_id is not None, customer_id is not None)
        return list((await self._connection.execute(query, given)).scalars())

    async def found(
        self, organisation_id: str, now_us: int, *, site_id: str | None, search: str, limit: int, offset: int
    ) -> tuple[list[FoundMiner], int]:
        searched = bool(search.strip())
        given: dict[str, Any] = {"organisation_id": organisation_id, "now_us": now_us}
        given |= {"limit": min(limit, MAX_LIMIT), "offset": offset}
        given |= {} if site_id is None else {"site_id": site_id}
        given |= {"pattern": sql.like(search)} if searched else {}
        records = (await self._connection.execute(_found_query(site_id is not None, searched), given)).all()
        if records or not offset:
            return [_found(record) for record in records], records[0].total if records else 0
        # Beyond the end: how many there are is told by the first of them.
        _, total = await self.found(organisation_id, now_us, site_id=site_id, search=search, limit=1, offset=0)
        return [], total


@lru_cache(maxsize=sql.SHAPES_REMEMBERED)
def _totals_query(by: TotalsBy, one: bool) -> Select[Any]:
    """Sums by group and state: a state is told once for each unit, and added up from there."""
    group = _GROUPS[by]
    at_pool = REDIRECT_UNITS.c.at_pool_us.is_not(None)
    hashrate = sql.now(LATEST.c.hashrate_cths)
    query = (
        select(
            group.label("key"),
            sql.HEALTH.label("health"),
            func.count().label("units"),
            func.count(hashrate).label("known"),
            func.coalesce(func.sum(hashrate), 0).label("cths"),
            func.coalesce(func.sum(UNITS.c.expected_hashrate_ths), 0).label("expected"),
            func.coalesce(func.sum(sql.now(LATEST.c.power_w)), 0).label("power"),
            func.count(REDIRECT_UNITS.c.at_pool_us).label("at_pool"),
            func.coalesce(func.sum(case((at_pool, hashrate), else_=0)), 0).label("at_pool_cths"),
            func.max(LATEST.c.at_us).label("newest"),
        )
        .select_from(sql.redirected(sql.bound(UNITS if by is TotalsBy.SITE else sql.owned(UNITS))))
        .where(UNITS.c.organisation_id == sql.ORGANISATION, UNITS.c.state != sql.RETIRED)
    )
    if by is not TotalsBy.SITE:
        query = query.where(UNIT_ASSIGNMENTS.c.organisation_id == sql.ORGANISATION)
    if one:
        query = query.where(group == bindparam("only"))
    return query.group_by(group, sql.HEALTH)


class _Sum:
    """Adds up the states of one group."""

    def __init__(self) -> None:
        self._numbers = dict.fromkeys(("units", "known", "at_pool", *_STATES.values()), 0)
        self._cths = self._expected = self._power = self._at_pool_cths = 0.0
        self._newest_us: int | None = None

    def add(self, record: Any) -> None:
        self._numbers[_STATES[_HEALTHS[record.health]]] += record.units
        for name in ("units", "known", "at_pool"):
            self._numbers[name] += getattr(record, name)
        self._cths += float(record.cths)
        self._expected += float(record.expected)
        self._power += float(record.power)
        self._at_pool_cths += float(record.at_pool_cths)
        if record.newest is not None:
            self._newest_us = max(self._newest_us or 0, record.newest)

    def totals(self) -> Totals:
        return Totals(
            **self._numbers,
            hashrate_ths=self._cths / sql.CENTI,
            expected_ths=self._expected,
            power_w=int(self._power),
            at_pool_ths=self._at_pool_cths / sql.CENTI,
            newest_us=self._newest_us,
        )


@lru_cache(maxsize=sql.SHAPES_REMEMBERED)
def _miner_nos_query(site: bool, customer: bool) -> Select[Any]:
    source = sql.owned(UNITS) if customer else UNITS
    same = and_(MINERS.c.organisation_id == UNITS.c.organisation_id, MINERS.c.mac == UNITS.c.mac)
    query = select(MINERS.c.miner_no).select_from(source.join(MINERS, same))
    query = query.where(UNITS.c.organisation_id == sql.ORGANISATION, UNITS.c.state != sql.RETIRED)
    if site:
        query = query.where(UNITS.c.site_id == bindparam("site_id"))
    if customer:
        query = query.where(
            UNIT_ASSIGNMENTS.c.organisation_id == sql.ORGANISATION,
            UNIT_ASSIGNMENTS.c.customer_id == bindparam("customer_id"),
        )
    return query


@cache
def _found_query(site: bool, searched: bool) -> Select[Any]:
    """Devices that are bound to no unit, newest first; each row tells how many there are in all."""
    bound = and_(UNITS.c.organisation_id == MINERS.c.organisation_id, UNITS.c.mac == MINERS.c.mac)
    conditions = [MINERS.c.organisation_id == sql.ORGANISATION, UNITS.c.unit_id.is_(None)]
    if site:
        conditions.append(MINERS.c.site_id == bindparam("site_id"))
    if searched:
        # The address first: it is the one column of these that is always there.
        conditions.append(sql.matching(MINERS.c.ip, MINERS.c.mac, MINERS.c.serial, MINERS.c.model))
    chosen = (
        select(MINERS.c.miner_no, func.count().over().label("total"))
        .select_from(MINERS.outerjoin(UNITS, bound))
        .where(*conditions)
        .order_by(MINERS.c.first_seen_us.desc(), MINERS.c.miner_id)
        .limit(sql.LIMIT)
        .offset(sql.OFFSET)
        .subquery("chosen")
    )
    low = and_(
        MINERS.c.expected_hashrate_ths.is_not(None),
        LATEST.c.hashrate_cths < MINERS.c.expected_hashrate_ths * (sql.CENTI * DEGRADED_BELOW),
    )
    rows = chosen.join(MINERS, MINERS.c.miner_no == chosen.c.miner_no)
    rows = rows.join(SITES, SITES.c.site_id == MINERS.c.site_id)
    return (
        select(
            *(MINERS.c[name] for name in ("miner_no", "miner_id", "site_id", "mac", "serial", "ip", "make")),
            *(MINERS.c[name] for name in ("model", "firmware", "expected_hashrate_ths", "first_seen_us")),
            SITES.c.name.label("site_name"),
            sql.health_of(low).label("health"),
            (sql.now(LATEST.c.hashrate_cths) / float(sql.CENTI)).label("hashrate_ths"),
            LATEST.c.at_us,
            chosen.c.total,
        )
        .select_from(rows.outerjoin(LATEST, LATEST.c.miner_no == MINERS.c.miner_no))
        .order_by(MINERS.c.first_seen_us.desc(), MINERS.c.miner_id)
    )


def _found(record: Any) -> FoundMiner:
    found = dict(record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so
    del found["total"]
    found["health"] = _HEALTHS[found["health"]]
    return FoundMiner(**found)
