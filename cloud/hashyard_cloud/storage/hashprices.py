"""The hashprice series in the relational store."""

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.hashprices import HashpriceRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.hashprices import HASHPRICES


class HashpricesStore:
    """SQL for hashprices; implements `services.ports.hashprices.HashpricesStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(self, row: HashpriceRow) -> None:
        await self._connection.execute(
            delete(HASHPRICES).where(
                HASHPRICES.c.organisation_id == row.organisation_id,
                HASHPRICES.c.currency == row.currency,
                HASHPRICES.c.day == row.day,
            )
        )
        await self._connection.execute(insert(HASHPRICES).values(values(row)))

    async def at(self, organisation_id: str, currency: str, day: str) -> HashpriceRow | None:
        query = (
            select(HASHPRICES)
            .where(
                HASHPRICES.c.organisation_id == organisation_id,
                HASHPRICES.c.currency == currency,
                HASHPRICES.c.day <= day,
            )
            .order_by(HASHPRICES.c.day.desc())
            .limit(1)
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(HashpriceRow, record) if record else None

    async def all(self, organisation_id: str, currency: str) -> list[HashpriceRow]:
        query = select(HASHPRICES).where(
            HASHPRICES.c.organisation_id == organisation_id, HASHPRICES.c.currency == currency
        )
        query = query.order_by(HASHPRICES.c.day.desc())
        return [loaded(HashpriceRow, record) for record in (await self._connection.execute(query)).all()]
