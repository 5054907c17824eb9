"""The holding pools' own figures in the relational store."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.pool_figures import PoolFigureRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.pool_figures import POOL_FIGURES
from hashyard_cloud.storage.upserts import pieces, upsert

_CHANGED: Final = ("hashrate_cths", "shares_accepted", "source", "source_sha256", "imported_us")


class PoolFiguresStore:
    """SQL for pool figures; implements `services.ports.pool_figures.PoolFiguresStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(self, rows: Sequence[PoolFigureRow]) -> None:
        if rows:
            statement = upsert(self._connection, POOL_FIGURES, _CHANGED)
            await self._connection.execute(statement, [values(row) for row in rows])

    async def of_workers(self, organisation_id: str, workers: Sequence[str]) -> list[PoolFigureRow]:
        found: list[PoolFigureRow] = []
        for piece in pieces(workers):
            query = select(POOL_FIGURES).where(
                POOL_FIGURES.c.organisation_id == organisation_id, POOL_FIGURES.c.worker.in_(piece)
            )
            found += [loaded(PoolFigureRow, record) for record in (await self._connection.execute(query)).all()]
        return sorted(found, key=lambda row: (row.day, row.worker, row.pool))
