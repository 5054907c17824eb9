"""Desired-state versions in the relational store."""

from collections.abc import Callable

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.storage.tables.desired import DESIRED_VERSIONS
from hashyard_cloud.storage.tables.sites import SITES
from hashyard_cloud.storage.upserts import adding, pieces


class DesiredStore:
    """SQL for versions; implements `services.ports.desired.DesiredStore`. `changed` hears of each bumped site."""

    def __init__(self, connection: AsyncConnection, changed: Callable[[str, str], None]) -> None:
        self._connection = connection
        self._changed = changed

    async def bump(self, organisation_id: str, site_id: str) -> int:
        statement = adding(self._connection, DESIRED_VERSIONS, ["version"])
        row = {"organisation_id": organisation_id, "site_id": site_id, "version": 1}
        done = await self._connection.execute(statement.values(row).returning(DESIRED_VERSIONS.c.version))
        self._changed(organisation_id, site_id)
        return int(done.scalar_one())

    async def bump_all(self, organisation_id: str) -> None:
        query = select(SITES.c.site_id).where(SITES.c.organisation_id == organisation_id)
        for site_id in (await self._connection.scalars(query)).all():
            await self.bump(organisation_id, site_id)

    async def version(self, organisation_id: str, site_id: str) -> int:
        return (await self.versions([(organisation_id, site_id)])).get((organisation_id, site_id), 0)

    async def versions(self, sites: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
        table = DESIRED_VERSIONS.c
        found: dict[tuple[str, str], int] = {}
        for piece in pieces(sites):
            query = select(table.organisation_id, table.site_id, table.version).where(
                tuple_(table.organisation_id, table.site_id).in_(piece)
            )
            found |= {(one, site): version for one, site, version in await self._connection.execute(query)}
        return found
