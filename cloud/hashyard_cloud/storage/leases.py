"""Leases in the relational store."""

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.storage.tables.leases import LEASES
from hashyard_cloud.storage.upserts import insert_or_ignore


class LeasesStore:
    """SQL for leases; implements `services.ports.leases.LeasesStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(self, name: str, owner: str, now_us: int, ttl_us: int) -> bool:
        mine = update(LEASES).where(
            LEASES.c.name == name, (LEASES.c.owner == owner) | (LEASES.c.expires_at_us <= now_us)
        )
        done = await self._connection.execute(mine.values(owner=owner, expires_at_us=now_us + ttl_us))
        if done.rowcount == 1:
            return True
        fresh = insert_or_ignore(self._connection, LEASES).values(
            name=name, owner=owner, expires_at_us=now_us + ttl_us
        )
        return (await self._connection.execute(fresh)).rowcount == 1

    async def release(self, name: str, owner: str) -> None:
        await self._connection.execute(delete(LEASES).where(LEASES.c.name == name, LEASES.c.owner == owner))

    async def holder(self, name: str, now_us: int) -> str | None:
        query = select(LEASES.c.owner).where(LEASES.c.name == name, LEASES.c.expires_at_us > now_us)
        return (await self._connection.execute(query)).scalar_one_or_none()
