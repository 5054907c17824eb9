"""Commands to miners in the relational store."""

from collections.abc import Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.commands import CommandRow, CommandState
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.commands import COMMANDS


class CommandsStore:
    """SQL for commands; implements `services.ports.commands.CommandsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[CommandRow]) -> None:
        if rows:
            await self._connection.execute(insert(COMMANDS), [values(row) for row in rows])

    async def get(self, organisation_id: str, command_id: str) -> CommandRow | None:
        query = select(COMMANDS).where(
            COMMANDS.c.organisation_id == organisation_id, COMMANDS.c.command_id == command_id
        )
        record = (await self._connection.execute(query)).first()
        return loaded(CommandRow, record) if record else None

    async def update(self, row: CommandRow) -> None:
        await self._connection.execute(
            update(COMMANDS)
            .where(COMMANDS.c.organisation_id == row.organisation_id, COMMANDS.c.command_id == row.command_id)
            .values(values(row))
        )

    async def open(self, organisation_id: str, site_id: str, now_us: int) -> list[CommandRow]:
        query = select(COMMANDS).where(
            COMMANDS.c.organisation_id == organisation_id,
            COMMANDS.c.site_id == site_id,
            COMMANDS.c.expires_us > now_us,
            COMMANDS.c.state == CommandState.ASKED.value,
        )
        records = (await self._connection.execute(query.order_by(COMMANDS.c.command_id))).all()
        return [loaded(CommandRow, record) for record in records]

    async def newest(
        self,
        organisation_id: str,
        limit: int,
        *,
        unit_id: str | None = None,
        customer_id: str | None = None,
        before_id: str | None = None,
    ) -> list[CommandRow]:
        query = select(COMMANDS).where(COMMANDS.c.organisation_id == organisation_id)
        if unit_id is not None:
            query = query.where(COMMANDS.c.unit_id == unit_id)
        if customer_id is not None:
            query = query.where(COMMANDS.c.customer_id == customer_id)
        if before_id is not None:
            query = query.where(COMMANDS.c.command_id < before_id)
        query = query.order_by(COMMANDS.c.command_id.desc()).limit(limit)
        return [loaded(CommandRow, record) for record in (await self._connection.execute(query)).all()]
