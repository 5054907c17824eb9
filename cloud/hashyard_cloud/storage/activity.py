"""The activity log in the relational store."""

from collections.abc import Callable

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.activity import ActivityRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.activity import ACTIVITY
from hashyard_cloud.storage.tables.organisations import ORGANISATIONS


class ActivityStore:
    """SQL for the activity log; implements `services.ports.activity.ActivityStore`. No update and no delete.

    `on_change` hears of each organisation that something is told of: its open pages look again.
    """

    def __init__(self, connection: AsyncConnection, on_change: Callable[[str], None]) -> None:
        self._connection = connection
        self._on_change = on_change

    async def last(self, organisation_id: str) -> ActivityRow | None:
        # Two transactions that append to one chain must follow each other; locking the last line would not do,
        # because the one that waited would still see it as the last.
        one_after_the_other = select(ORGANISATIONS.c.organisation_id).where(
            ORGANISATIONS.c.organisation_id == organisation_id
        )
        await self._connection.execute(one_after_the_other.with_for_update(key_share=True))
        query = (
            select(ACTIVITY)
            .where(ACTIVITY.c.organisation_id == organisation_id)
            .order_by(ACTIVITY.c.position.desc())
            .limit(1)
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(ActivityRow, record) if record else None

    async def append(self, row: ActivityRow) -> None:
        await self._connection.execute(insert(ACTIVITY).values(values(row)))
        self._on_change(row.organisation_id)

    async def all(
        self,
        organisation_id: str,
        *,
        customer_id: str | None = None,
        action: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[ActivityRow]:
        query = select(ACTIVITY).where(ACTIVITY.c.organisation_id == organisation_id)
        if customer_id is not None:
            query = query.where(ACTIVITY.c.customer_id == customer_id)
        if action is not None:
            query = query.where(ACTIVITY.c.action.startswith(action, autoescape=True))
        if before is not None:
            query = query.where(ACTIVITY.c.position < before)
        query = query.order_by(ACTIVITY.c.position.desc()).limit(limit)
        return [loaded(ActivityRow, record) for record in (await self._connection.execute(query)).all()]

    async def actions(self, organisation_id: str, customer_id: str) -> list[str]:
        query = (
            select(ACTIVITY.c.action)
            .distinct()
            .where(ACTIVITY.c.organisation_id == organisation_id, ACTIVITY.c.customer_id == customer_id)
        )
        return list((await self._connection.execute(query)).scalars())

    async def chain(self, organisation_id: str, start: int, limit: int) -> list[ActivityRow]:
        query = (
            select(ACTIVITY)
            .where(ACTIVITY.c.organisation_id == organisation_id, ACTIVITY.c.position >= start)
            .order_by(ACTIVITY.c.position)
            .limit(limit)
        )
        return [loaded(ActivityRow, record) for record in (await self._connection.execute(query)).all()]
