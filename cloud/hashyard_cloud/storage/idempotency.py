"""Idempotency keys in the relational store."""

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.idempotency import IdempotencyKey, IdempotencyRow
from hashyard_cloud.storage.tables.idempotency import IDEMPOTENCY_KEYS as KEYS


def _is(key: IdempotencyKey) -> ColumnElement[bool]:
    return and_(
        KEYS.c.organisation_id == key.organisation_id,
        KEYS.c.actor_id == key.actor_id,
        KEYS.c.route == key.route,
        KEYS.c.idempotency_key == key.key,
    )


class IdempotencyStore:
    """SQL for idempotency keys; implements `services.ports.idempotency.IdempotencyStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, key: IdempotencyKey) -> IdempotencyRow | None:
        record = (await self._connection.execute(select(KEYS).where(_is(key)))).one_or_none()
        if record is None:
            return None
        return IdempotencyRow(
            key=key,
            body_hash=record.body_hash,
            status=record.status,
            answer=record.answer,
            created_us=record.created_us,
        )

    async def add(self, row: IdempotencyRow) -> None:
        await self._connection.execute(
            insert(KEYS).values(
                organisation_id=row.key.organisation_id,
                actor_id=row.key.actor_id,
                route=row.key.route,
                idempotency_key=row.key.key,
                body_hash=row.body_hash,
                status=row.status,
                answer=row.answer,
                created_us=row.created_us,
            )
        )

    async def complete(self, key: IdempotencyKey, status: int, answer: str | None) -> None:
        await self._connection.execute(update(KEYS).where(_is(key)).values(status=status, answer=answer))

    async def drop(self, key: IdempotencyKey) -> None:
        await self._connection.execute(delete(KEYS).where(_is(key)))

    async def drop_before(self, before_us: int) -> None:
        await self._connection.execute(delete(KEYS).where(KEYS.c.created_us < before_us))
