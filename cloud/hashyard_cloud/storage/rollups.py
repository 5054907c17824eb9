"""Hours and days in the relational store."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Row, Table, cast, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.rollups import DAY_US, RollupRow, RollupValues
from hashyard_cloud.storage.tables.miners import MINERS, POOLS_SEEN
from hashyard_cloud.storage.tables.rollups import DAILY, HOURLY, ROLLUP_CHANGES, SUMS
from hashyard_cloud.storage.upserts import adding, execute_tuples, pieces, upsert

_HOUR_NAMES: Final = [column.name for column in HOURLY.columns]
_READ_NAMES: Final = ["miner_id", "start_us", "pool_url", "pool_worker", *SUMS]
"""What `_read` selects, in its order."""
_CTHS_MS_PER_THS_H: Final = 100 * 3_600_000
_W_MS_PER_WH: Final = 3_600_000


class RollupsStore:
    """SQL for rollups; implements `services.ports.rollups.RollupsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add_hours(self, rows: Sequence[RollupValues]) -> None:
        await execute_tuples(self._connection, adding(self._connection, HOURLY, SUMS), _HOUR_NAMES, rows)

    async def sum_changed_days(self) -> None:
        table = ROLLUP_CHANGES.c
        stale = table.stale == 1
        changed = await self._connection.execute(
            select(table.organisation_id, table.day_us).where(stale).distinct()
        )
        for organisation_id, day_us in changed.all():
            await self._sum_day(organisation_id, day_us)
        await self._connection.execute(update(ROLLUP_CHANGES).where(stale).values(stale=0))

    async def _sum_day(self, organisation_id: str, day_us: int) -> None:
        hours = HOURLY.c
        names = [column.name for column in DAILY.columns]
        sums = (
            select(
                hours.miner_no,
                cast(literal(day_us), DAILY.c.day_us.type),
                hours.pool_no,
                *(cast(func.sum(hours[name]), BigInteger) for name in SUMS),
            )
            .join(MINERS, MINERS.c.miner_no == hours.miner_no)
            .where(
                MINERS.c.organisation_id == organisation_id,
                hours.hour_us >= day_us,
                hours.hour_us < day_us + DAY_US,
            )
            .group_by(hours.miner_no, hours.pool_no)
        )
        await self._connection.execute(upsert(self._connection, DAILY, SUMS).from_select(names, sums))

    async def mark_changed(self, changes: Sequence[tuple[str, str, int]], at_us: int) -> None:
        names = ["organisation_id", "site_id", "day_us", "changed_at_us"]
        statement = upsert(self._connection, ROLLUP_CHANGES, ["changed_at_us", "stale"])
        rows = [(*change, at_us, 1) for change in changes]
        await execute_tuples(self._connection, statement, [*names, "stale"], rows)

    async def changed_since(
        self, organisation_id: str, site_id: str, from_us: int, to_us: int, since_us: int
    ) -> bool:
        table = ROLLUP_CHANGES.c
        query = select(func.count()).where(
            table.organisation_id == organisation_id,
            table.site_id == site_id,
            table.day_us > from_us - DAY_US,
            table.day_us < to_us,
            table.changed_at_us > since_us,
        )
        return bool(await self._connection.scalar(query))

    async def hours(
        self, organisation_id: str, miner_ids: Sequence[str], from_us: int, to_us: int
    ) -> list[RollupRow]:
        return await self._read(HOURLY, "hour_us", organisation_id, miner_ids, (from_us, to_us))

    async def days(
        self, organisation_id: str, miner_ids: Sequence[str], from_us: int, to_us: int
    ) -> list[RollupRow]:
        return await self._read(DAILY, "day_us", organisation_id, miner_ids, (from_us, to_us))

    async def _read(
        self, table: Table, start: str, organisation_id: str, miner_ids: Sequence[str], span: tuple[int, int]
    ) -> list[RollupRow]:
        found: list[RollupRow] = []
        for piece in pieces(miner_ids):
            query = (
                select(
                    MINERS.c.miner_id,
                    table.c[start].label("start_us"),
                    POOLS_SEEN.c.url.label("pool_url"),
                    POOLS_SEEN.c.worker.label("pool_worker"),
                    *(table.c[name] for name in SUMS),
                )
                .join(MINERS, MINERS.c.miner_no == table.c.miner_no)
                .outerjoin(POOLS_SEEN, POOLS_SEEN.c.pool_no == table.c.pool_no)
                .where(
                    MINERS.c.organisation_id == organisation_id,
                    MINERS.c.miner_id.in_(piece),
                    table.c[start] >= span[0],
                    table.c[start] < span[1],
                )
            )
            found += [_row(record) for record in await self._connection.execute(query)]
        return sorted(found, key=lambda row: (row.miner_id, row.start_us, row.pool_url or ""))


def _row(record: Row[Any]) -> RollupRow:
    found = dict(zip(_READ_NAMES, record, strict=True))
    hashrate = found.pop("hashrate_cths_ms")
    power = found.pop("power_w_ms")
    return RollupRow(**found, hashrate_ths_h=hashrate / _CTHS_MS_PER_THS_H, energy_wh=power / _W_MS_PER_WH)
