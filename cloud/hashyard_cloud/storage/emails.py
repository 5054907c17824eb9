"""The e-mail outbox in the relational store."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.emails import EmailRow, EmailState
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.emails import EMAILS


class EmailsStore:
    """SQL for the outbox; implements `services.ports.emails.EmailsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: EmailRow) -> None:
        await self._connection.execute(insert(EMAILS).values(values(row)))

    async def get(self, organisation_id: str, email_id: str) -> EmailRow | None:
        query = select(EMAILS).where(EMAILS.c.organisation_id == organisation_id, EMAILS.c.email_id == email_id)
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(EmailRow, record) if record else None

    async def due(self, now_us: int, limit: int) -> list[EmailRow]:
        query = (
            select(EMAILS)
            .where(EMAILS.c.state == EmailState.QUEUED.value, EMAILS.c.due_us <= now_us)
            .order_by(EMAILS.c.due_us, EMAILS.c.email_id)
            .limit(limit)
        )
        return [loaded(EmailRow, record) for record in (await self._connection.execute(query)).all()]

    async def all(self, organisation_id: str, limit: int) -> list[EmailRow]:
        query = (
            select(EMAILS)
            .where(EMAILS.c.organisation_id == organisation_id)
            .order_by(EMAILS.c.created_us.desc(), EMAILS.c.email_id.desc())
            .limit(limit)
        )
        return [loaded(EmailRow, record) for record in (await self._connection.execute(query)).all()]

    async def update(self, row: EmailRow) -> None:
        query = update(EMAILS).where(
            EMAILS.c.organisation_id == row.organisation_id, EMAILS.c.email_id == row.email_id
        )
        await self._connection.execute(query.values(values(row)))
