"""The table of due work in the relational store."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.jobs import JobRow
from hashyard_cloud.storage.rows import loaded
from hashyard_cloud.storage.tables.jobs import JOBS
from hashyard_cloud.storage.upserts import insert_or_ignore


class JobsStore:
    """SQL for due work; implements `services.ports.jobs.JobsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ensure(self, name: str, due_us: int) -> None:
        statement = insert_or_ignore(self._connection, JOBS).values(
            name=name, due_us=due_us, lease_owner="", lease_until_us=0, last_error="", runs=0
        )
        await self._connection.execute(statement)

    async def claim(self, name: str, owner: str, now_us: int, lease_until_us: int) -> bool:
        query = (
            update(JOBS)
            .where(JOBS.c.name == name, JOBS.c.due_us <= now_us, JOBS.c.lease_until_us <= now_us)
            .values(lease_owner=owner, lease_until_us=lease_until_us, last_start_us=now_us)
            .returning(JOBS.c.name)
        )
        return (await self._connection.execute(query)).one_or_none() is not None

    async def renew(self, name: str, owner: str, lease_until_us: int) -> None:
        query = update(JOBS).where(JOBS.c.name == name, JOBS.c.lease_owner == owner)
        await self._connection.execute(query.values(lease_until_us=lease_until_us))

    async def finish(self, name: str, owner: str, now_us: int, due_us: int, error: str) -> None:
        query = (
            update(JOBS)
            .where(JOBS.c.name == name, JOBS.c.lease_owner == owner)
            .values(
                due_us=due_us,
                lease_owner="",
                lease_until_us=0,
                last_end_us=now_us,
                last_error=error,
                runs=JOBS.c.runs + 1,
            )
        )
        await self._connection.execute(query)

    async def hurry(self, name: str, now_us: int) -> None:
        await self._connection.execute(
            update(JOBS).where(JOBS.c.name == name, JOBS.c.due_us > now_us).values(due_us=now_us)
        )

    async def all(self) -> list[JobRow]:
        query = select(JOBS).order_by(JOBS.c.name)
        return [loaded(JobRow, record) for record in (await self._connection.execute(query)).all()]
