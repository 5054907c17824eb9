"""Organisations in the relational store."""

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.errors import ConflictError
from hashyard_cloud.services.ports.organisations import LogoRow, OrganisationRow
from hashyard_cloud.storage.rows import values
from hashyard_cloud.storage.tables.organisations import LOGOS, OLD_SLUGS, ORGANISATIONS


def _row(record: Row[tuple[object, ...]]) -> OrganisationRow:
    return OrganisationRow(**record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so


class OrganisationsStore:
    """SQL for organisations; implements `services.ports.organisations.OrganisationsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: OrganisationRow) -> None:
        await self._connection.execute(insert(ORGANISATIONS).values(values(row)))

    async def get(self, organisation_id: str) -> OrganisationRow | None:
        query = select(ORGANISATIONS).where(ORGANISATIONS.c.organisation_id == organisation_id)
        record = (await self._connection.execute(query)).one_or_none()
        return _row(record) if record else None

    async def by_slug(self, slug: str) -> tuple[OrganisationRow, bool] | None:
        query = select(ORGANISATIONS).where(ORGANISATIONS.c.slug == slug)
        record = (await self._connection.execute(query)).one_or_none()
        if record:
            return _row(record), True
        old = select(OLD_SLUGS.c.organisation_id).where(OLD_SLUGS.c.slug == slug)
        organisation_id = (await self._connection.execute(old)).scalar_one_or_none()
        row = await self.get(organisation_id) if organisation_id else None
        return (row, False) if row else None

    async def all(self) -> list[OrganisationRow]:
        query = select(ORGANISATIONS).order_by(ORGANISATIONS.c.created_us)
        return [_row(record) for record in (await self._connection.execute(query)).all()]

    async def update(self, row: OrganisationRow) -> None:
        before = await self.get(row.organisation_id)
        if before and before.slug and before.slug != row.slug:
            await self._connection.execute(
                insert(OLD_SLUGS).values(slug=before.slug, organisation_id=row.organisation_id)
            )
        if row.slug:
            # Taking one's own old slug back frees it; another host's stays reserved.
            await self._connection.execute(
                delete(OLD_SLUGS).where(
                    OLD_SLUGS.c.slug == row.slug, OLD_SLUGS.c.organisation_id == row.organisation_id
                )
            )
            taken = await self.by_slug(row.slug)
            if taken and taken[0].organisation_id != row.organisation_id:
                raise ConflictError("This slug is taken.", field="slug")
        query = update(ORGANISATIONS).where(ORGANISATIONS.c.organisation_id == row.organisation_id)
        try:
            await self._connection.execute(query.values(values(row)))
        except IntegrityError as error:
            raise ConflictError("This slug is taken.", field="slug") from error

    async def logo(self, organisation_id: str) -> LogoRow | None:
        query = select(LOGOS.c.media_type, LOGOS.c.sha256, LOGOS.c.body).where(
            LOGOS.c.organisation_id == organisation_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return LogoRow(media_type=record[0], sha256=record[1], body=record[2]) if record else None

    async def has_logo(self, organisation_id: str) -> bool:
        query = select(LOGOS.c.sha256).where(LOGOS.c.organisation_id == organisation_id)
        return (await self._connection.execute(query)).first() is not None

    async def set_logo(self, organisation_id: str, logo: LogoRow | None) -> None:
        await self._connection.execute(delete(LOGOS).where(LOGOS.c.organisation_id == organisation_id))
        if logo:
            await self._connection.execute(insert(LOGOS).values(organisation_id=organisation_id, **values(logo)))
