"""Sites in the relational store."""

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.errors import ConflictError
from hashyard_cloud.services.ports.sites import SiteRow
from hashyard_cloud.storage.rows import values
from hashyard_cloud.storage.tables.sites import SITES


def _row(record: Row[tuple[object, ...]]) -> SiteRow:
    return SiteRow(**record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so


class SitesStore:
    """SQL for sites; implements `services.ports.sites.SitesStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: SiteRow) -> None:
        try:
            await self._connection.execute(insert(SITES).values(values(row)))
        except IntegrityError as error:
            raise ConflictError(f"There is already a site called {row.name}.", field="name") from error

    async def get(self, organisation_id: str, site_id: str) -> SiteRow | None:
        query = select(SITES).where(SITES.c.organisation_id == organisation_id, SITES.c.site_id == site_id)
        record = (await self._connection.execute(query)).one_or_none()
        return _row(record) if record else None

    async def all(self, organisation_id: str) -> list[SiteRow]:
        query = select(SITES).where(SITES.c.organisation_id == organisation_id).order_by(SITES.c.name)
        return [_row(record) for record in (await self._connection.execute(query)).all()]

    async def update(self, row: SiteRow) -> None:
        query = update(SITES).where(SITES.c.organisation_id == row.organisation_id, SITES.c.site_id == row.site_id)
        try:
            await self._connection.execute(query.values(values(row)))
        except IntegrityError as error:
            raise ConflictError(f"There is already a site called {row.name}.", field="name") from error
