"""Customers' normal pools in the relational store."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.customer_pools import CustomerPoolRow, CustomerPoolSiteRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.customer_pools import CUSTOMER_POOL_SITES, CUSTOMER_POOLS
from hashyard_cloud.storage.upserts import upsert


class CustomerPoolsStore:
    """SQL for customers' pools; implements `services.ports.customer_pools.CustomerPoolsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def replace(self, organisation_id: str, customer_id: str, rows: Sequence[CustomerPoolRow]) -> None:
        await self._connection.execute(
            delete(CUSTOMER_POOLS).where(
                CUSTOMER_POOLS.c.organisation_id == organisation_id, CUSTOMER_POOLS.c.customer_id == customer_id
            )
        )
        if rows:
            await self._connection.execute(insert(CUSTOMER_POOLS), [values(row) for row in rows])

    async def all(self, organisation_id: str, customer_id: str) -> list[CustomerPoolRow]:
        query = select(CUSTOMER_POOLS).where(
            CUSTOMER_POOLS.c.organisation_id == organisation_id, CUSTOMER_POOLS.c.customer_id == customer_id
        )
        query = query.order_by(CUSTOMER_POOLS.c.position)
        return [loaded(CustomerPoolRow, record) for record in (await self._connection.execute(query)).all()]

    async def put_site(self, row: CustomerPoolSiteRow) -> None:
        statement = upsert(self._connection, CUSTOMER_POOL_SITES, ("recorded_us", "assigned_us", "actor"))
        await self._connection.execute(statement, [values(row)])

    async def sites(self, organisation_id: str, customer_id: str) -> list[CustomerPoolSiteRow]:
        query = select(CUSTOMER_POOL_SITES).where(
            CUSTOMER_POOL_SITES.c.organisation_id == organisation_id,
            CUSTOMER_POOL_SITES.c.customer_id == customer_id,
        )
        query = query.order_by(CUSTOMER_POOL_SITES.c.site_id)
        return [loaded(CustomerPoolSiteRow, record) for record in (await self._connection.execute(query)).all()]
