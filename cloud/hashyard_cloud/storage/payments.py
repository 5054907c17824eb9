"""Payments in the relational store."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.payments import PaymentRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.payments import PAYMENTS


class PaymentsStore:
    """SQL for payments; implements `services.ports.payments.PaymentsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: PaymentRow) -> None:
        await self._connection.execute(insert(PAYMENTS).values(values(row)))

    async def get(self, organisation_id: str, payment_id: str) -> PaymentRow | None:
        query = select(PAYMENTS).where(
            PAYMENTS.c.organisation_id == organisation_id, PAYMENTS.c.payment_id == payment_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(PaymentRow, record) if record else None

    async def by_key(self, organisation_id: str, idempotency_key: str) -> PaymentRow | None:
        query = select(PAYMENTS).where(
            PAYMENTS.c.organisation_id == organisation_id, PAYMENTS.c.idempotency_key == idempotency_key
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(PaymentRow, record) if record else None

    async def all(self, organisation_id: str, customer_id: str | None = None) -> list[PaymentRow]:
        query = select(PAYMENTS).where(PAYMENTS.c.organisation_id == organisation_id)
        if customer_id is not None:
            query = query.where(PAYMENTS.c.customer_id == customer_id)
        query = query.order_by(PAYMENTS.c.received_us.desc(), PAYMENTS.c.payment_id.desc())
        return [loaded(PaymentRow, record) for record in (await self._connection.execute(query)).all()]

    async def update(self, row: PaymentRow) -> None:
        query = update(PAYMENTS).where(
            PAYMENTS.c.organisation_id == row.organisation_id, PAYMENTS.c.payment_id == row.payment_id
        )
        await self._connection.execute(query.values(values(row)))
