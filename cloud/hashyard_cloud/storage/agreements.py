"""Agreements in the relational store."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.agreements import AcceptanceRow, AgreementRow, AgreementVersionRow
from hashyard_cloud.storage.rows import values
from hashyard_cloud.storage.tables.agreements import ACCEPTANCES, AGREEMENT_VERSIONS, AGREEMENTS


class AgreementsStore:
    """SQL for agreements; implements `services.ports.agreements.AgreementsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: AgreementRow) -> None:
        await self._connection.execute(insert(AGREEMENTS).values(values(row)))

    async def get(self, organisation_id: str, agreement_id: str) -> AgreementRow | None:
        query = select(AGREEMENTS).where(
            AGREEMENTS.c.organisation_id == organisation_id, AGREEMENTS.c.agreement_id == agreement_id
        )
        record = (await self._connection.execute(query)).mappings().one_or_none()
        return AgreementRow(**record) if record else None

    async def all(self, organisation_id: str) -> list[AgreementRow]:
        query = select(AGREEMENTS).where(AGREEMENTS.c.organisation_id == organisation_id)
        records = (await self._connection.execute(query.order_by(AGREEMENTS.c.title))).mappings()
        return [AgreementRow(**record) for record in records]

    async def update(self, row: AgreementRow) -> None:
        query = update(AGREEMENTS).where(
            AGREEMENTS.c.organisation_id == row.organisation_id, AGREEMENTS.c.agreement_id == row.agreement_id
        )
        await self._connection.execute(query.values(values(row)))

    async def add_version(self, row: AgreementVersionRow) -> None:
        await self._connection.execute(insert(AGREEMENT_VERSIONS).values(values(row)))

    async def versions(self, organisation_id: str) -> list[AgreementVersionRow]:
        query = select(AGREEMENT_VERSIONS).where(AGREEMENT_VERSIONS.c.organisation_id == organisation_id)
        records = (await self._connection.execute(query.order_by(AGREEMENT_VERSIONS.c.version))).mappings()
        return [AgreementVersionRow(**record) for record in records]

    async def version(self, organisation_id: str, version_id: str) -> AgreementVersionRow | None:
        query = select(AGREEMENT_VERSIONS).where(
            AGREEMENT_VERSIONS.c.organisation_id == organisation_id, AGREEMENT_VERSIONS.c.version_id == version_id
        )
        record = (await self._connection.execute(query)).mappings().one_or_none()
        return AgreementVersionRow(**record) if record else None

    async def accept(self, row: AcceptanceRow) -> bool:
        query = select(ACCEPTANCES.c.acceptance_id).where(
            ACCEPTANCES.c.customer_id == row.customer_id, ACCEPTANCES.c.version_id == row.version_id
        )
        if (await self._connection.execute(query)).first() is not None:
            return False
        await self._connection.execute(insert(ACCEPTANCES).values(values(row)))
        return True

    async def acceptances(self, organisation_id: str, customer_id: str | None = None) -> list[AcceptanceRow]:
        query = select(ACCEPTANCES).where(ACCEPTANCES.c.organisation_id == organisation_id)
        if customer_id is not None:
            query = query.where(ACCEPTANCES.c.customer_id == customer_id)
        records = (await self._connection.execute(query.order_by(ACCEPTANCES.c.at_us.desc()))).mappings()
        return [AcceptanceRow(**record) for record in records]
