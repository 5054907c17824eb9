"""Holding pools in the relational store."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.holding_pools import HoldingPoolRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.holding_pools import HOLDING_POOLS


class HoldingPoolsStore:
    """SQL for holding pools; implements `services.ports.holding_pools.HoldingPoolsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: HoldingPoolRow) -> None:
        await self._connection.execute(insert(HOLDING_POOLS).values(values(row)))

    async def all(self, organisation_id: str) -> list[HoldingPoolRow]:
        query = select(HOLDING_POOLS).where(HOLDING_POOLS.c.organisation_id == organisation_id)
        query = query.order_by(HOLDING_POOLS.c.created_us, HOLDING_POOLS.c.reference)
        return [loaded(HoldingPoolRow, record) for record in (await self._connection.execute(query)).all()]

    async def by_reference(self, organisation_id: str, reference: str) -> HoldingPoolRow | None:
        query = select(HOLDING_POOLS).where(
            HOLDING_POOLS.c.organisation_id == organisation_id, HOLDING_POOLS.c.reference == reference
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(HoldingPoolRow, record) if record else None

    async def update(self, row: HoldingPoolRow) -> None:
        query = update(HOLDING_POOLS).where(
            HOLDING_POOLS.c.organisation_id == row.organisation_id, HOLDING_POOLS.c.pool_id == row.pool_id
        )
        await self._connection.execute(query.values(values(row)))
