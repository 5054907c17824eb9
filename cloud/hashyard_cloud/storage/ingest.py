"""Batches, rosters and blocks in the relational store."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.ingest import BatchRow, BatchState, BlockRow, IngestCounts, NewBatch
from hashyard_cloud.storage.tables.ingest import BATCH_BODIES, BATCHES, BLOCKS, ROSTERS
from hashyard_cloud.storage.upserts import execute_tuples, insert_or_ignore, pieces

_COLUMNS: Final = [
    BATCHES.c[name]
    for name in (
        "batch_no",
        "organisation_id",
        "agent_id",
        "epoch",
        "seq",
        "kind",
        "cycle_at_us",
        "count",
        "received_at_us",
        "block_no",
        "roster_id",
    )
]


def _row(record: Row[Any]) -> BatchRow:
    return BatchRow(**record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so


class IngestStore:
    """SQL for what was received; implements `services.ports.ingest.IngestStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def insert(
        self, agent: AgentRow, batches: Sequence[NewBatch], received_at_us: int
    ) -> dict[tuple[int, int], int]:
        rows = [_new_row(agent, batch, received_at_us) for batch in batches]
        known = set(await self.hashes(agent.agent_id, [(row[3], row[4]) for row in rows]))
        fresh = {(row[3], row[4]): (row, batch) for row, batch in zip(rows, batches, strict=True)}
        new = {key: pair for key, pair in fresh.items() if key not in known}
        statement = insert_or_ignore(self._connection, BATCHES)
        await execute_tuples(self._connection, statement, _NEW_NAMES, [row for row, _ in new.values()])
        numbers: dict[tuple[int, int], int] = {}
        for piece in pieces(list(new)):
            query = select(BATCHES.c.epoch, BATCHES.c.seq, BATCHES.c.sha256, BATCHES.c.batch_no).where(
                BATCHES.c.agent_id == agent.agent_id, tuple_(BATCHES.c.epoch, BATCHES.c.seq).in_(piece)
            )
            for epoch, seq, sha256, number in await self._connection.execute(query):
                # On PostgreSQL another delivery may have been first; its body is the one that counts.
                if sha256 == new[epoch, seq][1].header.sha256:
                    numbers[epoch, seq] = number
        bodies = [(number, new[key][1].body) for key, number in numbers.items()]
        statement = insert_or_ignore(self._connection, BATCH_BODIES)
        await execute_tuples(self._connection, statement, ["batch_no", "body"], bodies)
        return numbers

    async def hashes(self, agent_id: str, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], str]:
        found: dict[tuple[int, int], str] = {}
        for piece in pieces(keys):
            query = select(BATCHES.c.epoch, BATCHES.c.seq, BATCHES.c.sha256).where(
                BATCHES.c.agent_id == agent_id, tuple_(BATCHES.c.epoch, BATCHES.c.seq).in_(piece)
            )
            found |= {(epoch, seq): sha for epoch, seq, sha in await self._connection.execute(query)}
        return found

    async def pending(self, kinds: Sequence[str], limit: int) -> list[BatchRow]:
        query = (
            select(*_COLUMNS)
            .where(BATCHES.c.state == BatchState.PENDING, BATCHES.c.kind.in_(kinds))
            .order_by(BATCHES.c.batch_no)
            .limit(limit)
        )
        return [_row(record) for record in await self._connection.execute(query)]

    async def bodies(self, batch_nos: Sequence[int]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for piece in pieces(batch_nos):
            query = select(BATCH_BODIES.c.batch_no, BATCH_BODIES.c.body).where(BATCH_BODIES.c.batch_no.in_(piece))
            found |= {key: value for key, value in await self._connection.execute(query)}  # noqa: C416 - rows are no pairs to mypy
        return found

    async def mark(self, batch_nos: Sequence[int], state: BatchState, problem: str | None = None) -> None:
        for piece in pieces(batch_nos):
            query = update(BATCHES).where(BATCHES.c.batch_no.in_(piece))
            await self._connection.execute(query.values(state=int(state), problem=problem))

    async def wait_for_roster(self, rosters: Mapping[int, str]) -> None:
        for batch_no, roster_id in rosters.items():
            query = update(BATCHES).where(BATCHES.c.batch_no == batch_no)
            await self._connection.execute(
                query.values(state=int(BatchState.WAITING_FOR_ROSTER), roster_id=roster_id)
            )

    async def rosters_wanted(self, agent_id: str, limit: int) -> list[str]:
        waiting = BATCHES.c.state == int(BatchState.WAITING_FOR_ROSTER)
        query = select(BATCHES.c.roster_id).where(waiting, BATCHES.c.agent_id == agent_id).distinct().limit(limit)
        return [str(roster_id) for (roster_id,) in await self._connection.execute(query)]

    async def add_roster(
        self, agent: AgentRow, roster_id: str, miner_nos: Sequence[int], received_at_us: int
    ) -> None:
        row = {
            "agent_id": agent.agent_id,
            "roster_id": roster_id,
            "organisation_id": agent.organisation_id,
            "miner_nos": array("I", miner_nos).tobytes(),
            "received_at_us": received_at_us,
        }
        await self._connection.execute(insert_or_ignore(self._connection, ROSTERS).values(row))
        release = update(BATCHES).where(
            BATCHES.c.state == int(BatchState.WAITING_FOR_ROSTER),
            BATCHES.c.agent_id == agent.agent_id,
            BATCHES.c.roster_id == roster_id,
        )
        await self._connection.execute(release.values(state=int(BatchState.PENDING)))

    async def rosters(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = {}
        for piece in pieces(keys):
            query = select(ROSTERS.c.agent_id, ROSTERS.c.roster_id, ROSTERS.c.miner_nos).where(
                tuple_(ROSTERS.c.agent_id, ROSTERS.c.roster_id).in_(piece)
            )
            for agent_id, roster_id, packed in await self._connection.execute(query):
                found[agent_id, roster_id] = array("I", packed).tolist()
        return found

    async def new_block(self, batch_nos: Sequence[int], samples: int, at_us: int) -> BlockRow:
        query = insert(BLOCKS).values(created_at_us=at_us, samples=samples).returning(BLOCKS.c.block_no)
        block_no = (await self._connection.execute(query)).scalar_one()
        for piece in pieces(batch_nos):
            change = update(BATCHES).where(BATCHES.c.batch_no.in_(piece))
            await self._connection.execute(change.values(block_no=block_no, state=int(BatchState.IN_BLOCK)))
        return BlockRow(block_no=block_no, samples=samples)

    async def done_blocks(self, below: int | None, limit: int) -> list[BlockRow]:
        query = select(BLOCKS.c.block_no, BLOCKS.c.samples).where(BLOCKS.c.done_at_us.is_not(None))
        if below is not None:
            query = query.where(BLOCKS.c.block_no < below)
        found = await self._connection.execute(query.order_by(BLOCKS.c.block_no.desc()).limit(limit))
        return [BlockRow(block_no=record.block_no, samples=record.samples) for record in found]

    async def drop_bodies(self, received_before_us: int, limit: int) -> int:
        query = (
            select(BATCH_BODIES.c.batch_no)
            .join(BATCHES, BATCHES.c.batch_no == BATCH_BODIES.c.batch_no)
            .where(BATCHES.c.state == int(BatchState.DONE), BATCHES.c.received_at_us < received_before_us)
            .order_by(BATCH_BODIES.c.batch_no)
            .limit(limit)
        )
        numbers = list((await self._connection.scalars(query)).all())
        for piece in pieces(numbers):
            await self._connection.execute(delete(BATCH_BODIES).where(BATCH_BODIES.c.batch_no.in_(piece)))
        return len(numbers)

    async def unfinished_block(self) -> BlockRow | None:
        query = (
            select(BLOCKS.c.block_no, BLOCKS.c.samples)
            .where(BLOCKS.c.done_at_us.is_(None))
            .order_by(BLOCKS.c.block_no)
            .limit(1)
        )
        record = (await self._connection.execute(query)).one_or_none()
        return BlockRow(block_no=record.block_no, samples=record.samples) if record else None

    async def block_batches(self, block_no: int) -> list[BatchRow]:
        query = select(*_COLUMNS).where(BATCHES.c.block_no == block_no).order_by(BATCHES.c.batch_no)
        return [_row(record) for record in await self._connection.execute(query)]

    async def finish_block(self, block_no: int, at_us: int) -> None:
        await self._connection.execute(
            update(BATCHES).where(BATCHES.c.block_no == block_no).values(state=int(BatchState.DONE))
        )
        await self._connection.execute(
            update(BLOCKS).where(BLOCKS.c.block_no == block_no).values(done_at_us=at_us)
        )

    async def counts(self) -> IngestCounts:
        unfinished = [int(BatchState.PENDING), int(BatchState.IN_BLOCK)]
        counted: dict[int, int] = dict(
            (await self._connection.execute(select(BATCHES.c.state, func.count()).group_by(BATCHES.c.state))).all()
        )
        oldest = await self._connection.scalar(
            select(func.min(BATCHES.c.received_at_us)).where(BATCHES.c.state.in_(unfinished))
        )
        return IngestCounts(
            pending=sum(counted.get(state, 0) for state in unfinished),
            waiting=counted.get(int(BatchState.WAITING_FOR_ROSTER), 0),
            set_aside=counted.get(int(BatchState.SET_ASIDE), 0),
            oldest_received_at_us=oldest,
        )


_NEW_NAMES: Final = (
    "organisation_id",
    "agent_id",
    "kind",
    "epoch",
    "seq",
    "cycle_at_us",
    "count",
    "sha256",
    "received_at_us",
    "state",
    "problem",
)


def _new_row(agent: AgentRow, batch: NewBatch, received_at_us: int) -> tuple[Any, ...]:
    header = batch.header
    return (
        agent.organisation_id,
        agent.agent_id,
        header.kind,
        header.epoch,
        header.seq,
        header.cycle_at_us,
        header.count,
        header.sha256,
        received_at_us,
        int(batch.state),
        batch.problem,
    )
