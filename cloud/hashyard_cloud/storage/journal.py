"""The cloud's copy of the agents' journals in the relational store."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.journal import JournalHeadRow, PublicationRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.journal import JOURNAL_HEADS, JOURNAL_LINES, JOURNAL_PUBLICATIONS
from hashyard_shared.journal import JournalLine


class JournalStore:
    """SQL for the journal; implements `services.ports.journal.JournalStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def head(self, organisation_id: str, agent_id: str) -> JournalHeadRow | None:
        query = select(JOURNAL_HEADS).where(
            JOURNAL_HEADS.c.organisation_id == organisation_id, JOURNAL_HEADS.c.agent_id == agent_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(JournalHeadRow, record) if record else None

    async def heads(self, organisation_id: str) -> list[JournalHeadRow]:
        query = select(JOURNAL_HEADS).where(JOURNAL_HEADS.c.organisation_id == organisation_id)
        query = query.order_by(JOURNAL_HEADS.c.agent_id)
        return [loaded(JournalHeadRow, record) for record in (await self._connection.execute(query)).all()]

    async def put_head(self, row: JournalHeadRow) -> None:
        await self._connection.execute(
            delete(JOURNAL_HEADS).where(
                JOURNAL_HEADS.c.organisation_id == row.organisation_id, JOURNAL_HEADS.c.agent_id == row.agent_id
            )
        )
        await self._connection.execute(insert(JOURNAL_HEADS).values(values(row)))

    async def append(
        self, organisation_id: str, agent_id: str, lines: Sequence[JournalLine], received_us: int
    ) -> None:
        rows = [
            {
                "organisation_id": organisation_id,
                "agent_id": agent_id,
                "index": line.index,
                "text": line.text,
                "hash": line.hash,
                "received_us": received_us,
            }
            for line in lines
        ]
        if rows:
            await self._connection.execute(insert(JOURNAL_LINES), rows)

    async def add_publication(self, row: PublicationRow) -> None:
        await self._connection.execute(insert(JOURNAL_PUBLICATIONS).values(values(row)))

    async def publications(self, organisation_id: str, customer_id: str | None = None) -> list[PublicationRow]:
        query = select(JOURNAL_PUBLICATIONS).where(JOURNAL_PUBLICATIONS.c.organisation_id == organisation_id)
        if customer_id is not None:
            query = query.where(JOURNAL_PUBLICATIONS.c.customer_id == customer_id)
        query = query.order_by(JOURNAL_PUBLICATIONS.c.published_us.desc(), JOURNAL_PUBLICATIONS.c.agent_id)
        return [loaded(PublicationRow, record) for record in (await self._connection.execute(query)).all()]

    async def line(self, organisation_id: str, agent_id: str, index: int) -> JournalLine | None:
        found = await self.lines(organisation_id, agent_id, index, 1)
        return found[0] if found and found[0].index == index else None

    async def lines(self, organisation_id: str, agent_id: str, start: int, limit: int) -> list[JournalLine]:
        query = (
            select(JOURNAL_LINES.c.index, JOURNAL_LINES.c.text, JOURNAL_LINES.c.hash)
            .where(
                JOURNAL_LINES.c.organisation_id == organisation_id,
                JOURNAL_LINES.c.agent_id == agent_id,
                JOURNAL_LINES.c.index >= start,
            )
            .order_by(JOURNAL_LINES.c.index)
            .limit(limit)
        )
        records = (await self._connection.execute(query)).all()
        return [JournalLine(index=record[0], text=record[1], hash=record[2]) for record in records]
