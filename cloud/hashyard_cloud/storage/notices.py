"""Notices in the relational store."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.notices import NoticeRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.notices import NOTICE_PROOFS, NOTICES


class NoticesStore:
    """SQL for notices; implements `services.ports.notices.NoticesStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: NoticeRow) -> None:
        await self._connection.execute(insert(NOTICES).values(values(row)))

    async def get(self, organisation_id: str, notice_id: str) -> NoticeRow | None:
        query = select(NOTICES).where(
            NOTICES.c.organisation_id == organisation_id, NOTICES.c.notice_id == notice_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(NoticeRow, record) if record else None

    async def by_email(self, organisation_id: str, email_id: str) -> NoticeRow | None:
        query = select(NOTICES).where(NOTICES.c.organisation_id == organisation_id, NOTICES.c.email_id == email_id)
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(NoticeRow, record) if record else None

    async def all(
        self,
        organisation_id: str,
        *,
        customer_id: str | None = None,
        case_id: str | None = None,
        invoice_id: str | None = None,
    ) -> list[NoticeRow]:
        query = select(NOTICES).where(NOTICES.c.organisation_id == organisation_id)
        for column, wanted in (
            (NOTICES.c.customer_id, customer_id),
            (NOTICES.c.case_id, case_id),
            (NOTICES.c.invoice_id, invoice_id),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        query = query.order_by(NOTICES.c.created_us, NOTICES.c.notice_id)
        return [loaded(NoticeRow, record) for record in (await self._connection.execute(query)).all()]

    async def update(self, row: NoticeRow) -> None:
        query = update(NOTICES).where(
            NOTICES.c.organisation_id == row.organisation_id, NOTICES.c.notice_id == row.notice_id
        )
        await self._connection.execute(query.values(values(row)))

    async def add_proof(self, organisation_id: str, notice_id: str, body: bytes) -> None:
        statement = insert(NOTICE_PROOFS).values(organisation_id=organisation_id, notice_id=notice_id, body=body)
        await self._connection.execute(statement)

    async def proof(self, organisation_id: str, notice_id: str) -> bytes | None:
        query = select(NOTICE_PROOFS.c.body).where(
            NOTICE_PROOFS.c.organisation_id == organisation_id, NOTICE_PROOFS.c.notice_id == notice_id
        )
        return (await self._connection.execute(query)).scalar_one_or_none()
