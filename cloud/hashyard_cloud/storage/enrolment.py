"""Enrolment codes in the relational store."""

from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.enrolment import CodeRow
from hashyard_cloud.storage.rows import values
from hashyard_cloud.storage.tables.enrolment import ENROLMENT_CODES


def _row(record: Row[Any]) -> CodeRow:
    return CodeRow(**record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so


class EnrolmentStore:
    """SQL for codes; implements `services.ports.enrolment.EnrolmentStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: CodeRow) -> None:
        await self._connection.execute(insert(ENROLMENT_CODES).values(values(row)))

    async def by_hash(self, code_hash: str) -> CodeRow | None:
        query = select(ENROLMENT_CODES).where(ENROLMENT_CODES.c.code_hash == code_hash)
        record = (await self._connection.execute(query)).one_or_none()
        return _row(record) if record else None

    async def use(self, code_hash: str, at_us: int, agent_id: str) -> bool:
        query = update(ENROLMENT_CODES).where(
            ENROLMENT_CODES.c.code_hash == code_hash, ENROLMENT_CODES.c.used_at_us.is_(None)
        )
        done = await self._connection.execute(query.values(used_at_us=at_us, used_by_agent_id=agent_id))
        return done.rowcount == 1

    async def open_codes(self, organisation_id: str, site_id: str, now_us: int) -> list[CodeRow]:
        table = ENROLMENT_CODES.c
        query = select(ENROLMENT_CODES).where(
            table.organisation_id == organisation_id,
            table.site_id == site_id,
            table.used_at_us.is_(None),
            table.expires_at_us > now_us,
        )
        records = await self._connection.execute(query.order_by(table.created_at_us))
        return [_row(record) for record in records]
