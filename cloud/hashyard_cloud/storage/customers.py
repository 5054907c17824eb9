"""Customers in the relational store."""

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.storage.rows import values
from hashyard_cloud.storage.tables.customers import CUSTOMERS


def _row(record: Row[tuple[object, ...]]) -> CustomerRow:
    return CustomerRow(**record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so


class CustomersStore:
    """SQL for customers; implements `services.ports.customers.CustomersStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: CustomerRow) -> None:
        await self._connection.execute(insert(CUSTOMERS).values(values(row)))

    async def get(self, organisation_id: str, customer_id: str) -> CustomerRow | None:
        query = select(CUSTOMERS).where(
            CUSTOMERS.c.organisation_id == organisation_id, CUSTOMERS.c.customer_id == customer_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return _row(record) if record else None

    async def all(self, organisation_id: str) -> list[CustomerRow]:
        query = select(CUSTOMERS).where(CUSTOMERS.c.organisation_id == organisation_id).order_by(CUSTOMERS.c.name)
        return [_row(record) for record in (await self._connection.execute(query)).all()]

    async def by_email(self, organisation_id: str, email: str) -> CustomerRow | None:
        query = (
            select(CUSTOMERS)
            .where(CUSTOMERS.c.organisation_id == organisation_id, CUSTOMERS.c.email == email)
            .order_by(CUSTOMERS.c.created_us)
            .limit(1)
        )
        record = (await self._connection.execute(query)).one_or_none()
        return _row(record) if record else None

    async def update(self, row: CustomerRow) -> None:
        query = update(CUSTOMERS).where(
            CUSTOMERS.c.organisation_id == row.organisation_id, CUSTOMERS.c.customer_id == row.customer_id
        )
        await self._connection.execute(query.values(values(row)))
