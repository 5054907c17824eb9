"""Actions on many rows, in the relational store."""

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.bulk import BulkItemRow, BulkRow, BulkState, RowState
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.bulk import BULK_ACTIONS, BULK_ITEMS


class BulkStore:
    """SQL for bulk actions; implements `services.ports.bulk.BulkStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: BulkRow, items: Sequence[BulkItemRow]) -> None:
        await self._connection.execute(insert(BULK_ACTIONS).values(values(row)))
        if items:
            await self._connection.execute(insert(BULK_ITEMS), [values(item) for item in items])

    async def get(self, organisation_id: str, bulk_id: str) -> BulkRow | None:
        query = select(BULK_ACTIONS).where(
            BULK_ACTIONS.c.organisation_id == organisation_id, BULK_ACTIONS.c.bulk_id == bulk_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(BulkRow, record) if record else None

    async def update(self, row: BulkRow) -> None:
        query = update(BULK_ACTIONS).where(
            BULK_ACTIONS.c.organisation_id == row.organisation_id, BULK_ACTIONS.c.bulk_id == row.bulk_id
        )
        await self._connection.execute(query.values(values(row)))

    async def items(
        self, organisation_id: str, bulk_id: str, *, state: RowState | None = None, limit: int, offset: int = 0
    ) -> list[BulkItemRow]:
        query = select(BULK_ITEMS).where(
            BULK_ITEMS.c.organisation_id == organisation_id, BULK_ITEMS.c.bulk_id == bulk_id
        )
        if state is not None:
            query = query.where(BULK_ITEMS.c.state == state.value)
        query = query.order_by(BULK_ITEMS.c.position).limit(limit).offset(offset)
        return [loaded(BulkItemRow, record) for record in (await self._connection.execute(query)).all()]

    async def counts(self, organisation_id: str, bulk_id: str) -> dict[RowState, int]:
        query = (
            select(BULK_ITEMS.c.state, func.count())
            .where(BULK_ITEMS.c.organisation_id == organisation_id, BULK_ITEMS.c.bulk_id == bulk_id)
            .group_by(BULK_ITEMS.c.state)
        )
        return {RowState(state): count for state, count in (await self._connection.execute(query)).all()}

    async def put_items(self, rows: Sequence[BulkItemRow]) -> None:
        if not rows:
            return
        query = (
            update(BULK_ITEMS)
            .where(
                BULK_ITEMS.c.organisation_id == bindparam("whose"),
                BULK_ITEMS.c.bulk_id == bindparam("which"),
                BULK_ITEMS.c.position == bindparam("place"),
            )
            .values(
                {
                    name: bindparam(f"new_{name}")
                    for name in ("object_id", "label", "state", "text", "before", "after_us")
                }
            )
        )
        given = []
        for row in rows:
            found = values(row)
            ids = {"whose": row.organisation_id, "which": row.bulk_id, "place": row.position}
            names = ("object_id", "label", "state", "text", "before", "after_us")
            given.append(ids | {f"new_{name}": found[name] for name in names})
        await self._connection.execute(query, given)

    async def recent(self, organisation_id: str, limit: int) -> list[BulkRow]:
        query = (
            select(BULK_ACTIONS)
            .where(
                BULK_ACTIONS.c.organisation_id == organisation_id, BULK_ACTIONS.c.state != BulkState.ASKED.value
            )
            .order_by(BULK_ACTIONS.c.created_us.desc())
            .limit(limit)
        )
        return [loaded(BulkRow, record) for record in (await self._connection.execute(query)).all()]

    async def drop_before(self, before_us: int) -> None:
        old = select(BULK_ACTIONS.c.bulk_id).where(BULK_ACTIONS.c.created_us < before_us)
        await self._connection.execute(delete(BULK_ITEMS).where(BULK_ITEMS.c.bulk_id.in_(old)))
        await self._connection.execute(delete(BULK_ACTIONS).where(BULK_ACTIONS.c.created_us < before_us))
