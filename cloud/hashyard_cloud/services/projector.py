"""Projects what was received: rosters and events first, then telemetry in blocks.

One process owns this work (a lease says which). A block's composition is stored before it is inserted, and the
telemetry store takes each block number once; newest readings and hours change in the transaction that marks the
block as done. So a crash at any point repeats a step without doubling it.
"""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError

from hashyard_cloud.errors import CloudError, NotFoundError
from hashyard_cloud.services import event_batches, projection, telemetry_columns
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.events import EventSink
from hashyard_cloud.services.ports.ingest import BatchRow, BatchState, BlockRow
from hashyard_cloud.services.ports.telemetry import TelemetryStore
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.codec import decode_bytes
from hashyard_shared.errors import SharedError
from hashyard_shared.protocol import BatchKind
from hashyard_shared.telemetry import Roster

LOG: Final = logging.getLogger(__name__)
LEASE_NAME: Final = "projector"
LEASE_US: Final = 30 * US_PER_S
MAX_BLOCK_SAMPLES: Final = 500_000
MAX_BLOCK_BATCHES: Final = 2_000
MAX_SMALL_BATCHES: Final = 200
MAX_ATTEMPTS: Final = 5
FAILURE_PAUSE_S: Final = 1.0
DAYS_INTERVAL_US: Final = 20 * US_PER_S
_UNREADABLE: Final = (SharedError, CloudError, ValidationError)


class Projector:
    """`run` until cancelled; `notify` when there is new work; `settle` to finish all work now."""

    def __init__(
        self,
        database: Database,
        telemetry: TelemetryStore,
        clock: Clock,
        events: EventSink,
        owner: str,
        interval_s: float,
    ) -> None:
        self._database = database
        self._telemetry = telemetry
        self._clock = clock
        self._events = events
        self._owner = owner
        self._interval_s = interval_s
        self._work = asyncio.Event()
        self._attempts: Counter[int] = Counter()
        self._step_lock = asyncio.Lock()
        self._days_summed_us = 0

    def notify(self) -> None:
        """Something was received."""
        self._work.set()

    async def run(self) -> None:
        """Project what comes in until cancelled. A failure is logged and tried again after a pause."""
        while True:
            try:
                busy = await self.step()
            except Exception:  # whatever it was, what was received is durable and the next try may do better
                LOG.exception("projection failed; trying again in %s s", FAILURE_PAUSE_S)
                await asyncio.sleep(FAILURE_PAUSE_S)
                continue
            if not busy:
                await self._idle()

    async def settle(self) -> None:
        """Project everything that can be projected now, days included."""
        while await self.step():
            pass
        await self._sum_days()

    async def release(self) -> None:
        """Give the lease back, so that another process need not wait for its end."""
        async with self._database.transaction() as tx:
            await tx.leases.release(LEASE_NAME, self._owner)

    async def step(self) -> bool:
        """One piece of work; False when there was none, or it is another process's."""
        async with self._step_lock:
            self._work.clear()
            async with self._database.transaction() as tx:
                if not await tx.leases.take(LEASE_NAME, self._owner, self._clock.now_us(), LEASE_US):
                    return False
            if await self._small_batches():
                return True
            worked = await self._block()
            if self._clock.now_us() - self._days_summed_us >= DAYS_INTERVAL_US:
                await self._sum_days()
            return worked

    async def _idle(self) -> None:
        try:
            await asyncio.wait_for(self._work.wait(), self._interval_s)
        except TimeoutError:
            return

    async def _small_batches(self) -> bool:
        """Rosters and events, in the order in which they were received."""
        async with self._database.transaction() as tx:
            batches = await tx.ingest.pending([BatchKind.ROSTER, BatchKind.EVENTS], MAX_SMALL_BATCHES)
            bodies = await tx.ingest.bodies([batch.batch_no for batch in batches])
            for batch in batches:
                await self._apply(tx, batch, bodies[batch.batch_no])
        return bool(batches)

    async def _apply(self, tx: Transaction, batch: BatchRow, body: bytes) -> None:
        try:
            async with tx.savepoint():
                agent = await _agent(tx, batch)
                if batch.kind == BatchKind.ROSTER:
                    await _apply_roster(tx, agent, batch, body)
                else:
                    await self._apply_events(tx, agent, batch, body)
            await tx.ingest.mark([batch.batch_no], BatchState.DONE)
        except _UNREADABLE as error:
            await _set_aside(tx, batch, str(error))
        except Exception as error:
            # A fault of ours must neither block the site's other news nor be tried for ever.
            self._attempts[batch.batch_no] += 1
            LOG.exception("batch %s of agent %s could not be applied", batch.batch_no, batch.agent_id)
            if self._attempts[batch.batch_no] < MAX_ATTEMPTS:
                raise
            await _set_aside(tx, batch, f"{type(error).__name__}: {error}")

    async def _apply_events(self, tx: Transaction, agent: AgentRow, batch: BatchRow, body: bytes) -> None:
        for place, event in event_batches.parse(body).events:
            await self._events.apply(tx, agent, (batch.epoch, batch.seq, place), event)

    async def _block(self) -> bool:
        async with self._database.reading() as tx:
            block = await tx.ingest.unfinished_block()
        if block is None:
            block = await self._compose_block()
        if block is None:
            return False
        await self._project(block)
        return True

    async def _compose_block(self) -> BlockRow | None:
        """Fix which batches make the next block; None when none can be projected now."""
        async with self._database.transaction() as tx:
            pending = await tx.ingest.pending([BatchKind.TELEMETRY], MAX_BLOCK_BATCHES)
            chosen = _within(pending, MAX_BLOCK_SAMPLES)
            if not chosen:
                return None
            bodies = await tx.ingest.bodies([batch.batch_no for batch in chosen])
            readable = await asyncio.to_thread(_readable, chosen, bodies)
            for batch, problem in readable.unreadable:
                await _set_aside(tx, batch, problem)
            rosters = await tx.ingest.rosters(sorted(set(readable.roster_keys)))
            members: list[int] = []
            samples = 0
            waiting: dict[int, str] = {}
            for batch, key, size in zip(readable.batches, readable.roster_keys, readable.sizes, strict=True):
                if key not in rosters:
                    waiting[batch.batch_no] = key[1]
                elif len(rosters[key]) != size:
                    await _set_aside(tx, batch, f"{size} miners, but its roster has {len(rosters[key])}")
                else:
                    members.append(batch.batch_no)
                    samples += size
            await tx.ingest.wait_for_roster(waiting)
            if not members:
                # Everything looked at was parked or set aside; there may be more behind it.
                self._work.set()
                return None
            return await tx.ingest.new_block(members, samples, self._clock.now_us())

    async def _project(self, block: BlockRow) -> None:
        async with self._database.transaction() as tx:
            batches = await tx.ingest.block_batches(block.block_no)
            bodies = await tx.ingest.bodies([batch.batch_no for batch in batches])
            ordered = [bodies[batch.batch_no] for batch in batches]
            cycles = await asyncio.to_thread(telemetry_columns.parse, ordered)
            keys = [
                (batch.agent_id, roster_id) for batch, roster_id in zip(batches, cycles.roster_ids, strict=True)
            ]
            rosters = await tx.ingest.rosters(sorted(set(keys)))
            pools = await tx.miners.pool_numbers(sorted(set(projection.pools_of(batches, cycles))))
        members = [rosters[key] for key in keys]
        projected = await asyncio.to_thread(projection.project, batches, cycles, members, pools)
        await self._telemetry.insert_block(block.block_no, projected.samples)
        now_us = self._clock.now_us()
        async with self._database.transaction() as tx:
            await tx.miners.put_latest(projected.latest)
            await tx.rollups.add_hours(projected.hours)
            await tx.rollups.mark_changed(await _site_days(tx, projected.days), now_us)
            await tx.ingest.finish_block(block.block_no, now_us)

    async def _sum_days(self) -> None:
        self._days_summed_us = self._clock.now_us()
        async with self._database.transaction() as tx:
            await tx.rollups.sum_changed_days()


class _Readable:
    """Batches that can be read, each with its roster and size; and those that cannot."""

    def __init__(self) -> None:
        self.batches: list[BatchRow] = []
        self.roster_keys: list[tuple[str, str]] = []
        self.sizes: list[int] = []
        self.unreadable: list[tuple[BatchRow, str]] = []

    def add(self, batches: Sequence[BatchRow], cycles: telemetry_columns.Cycles) -> None:
        self.batches += batches
        self.roster_keys += [
            (batch.agent_id, roster_id) for batch, roster_id in zip(batches, cycles.roster_ids, strict=True)
        ]
        self.sizes += cycles.sizes.tolist()


def _readable(batches: Sequence[BatchRow], bodies: dict[int, bytes]) -> _Readable:
    found = _Readable()
    try:
        found.add(batches, telemetry_columns.parse([bodies[batch.batch_no] for batch in batches]))
    except _UNREADABLE:
        # One of them is bad (they were checked when they came, so this is rare): one by one shows which.
        for batch in batches:
            try:
                found.add([batch], telemetry_columns.parse([bodies[batch.batch_no]]))
            except _UNREADABLE as error:
                found.unreadable.append((batch, str(error)))
    return found


def _within(batches: Sequence[BatchRow], most_samples: int) -> list[BatchRow]:
    """The first batches whose samples fit, at least one."""
    chosen: list[BatchRow] = []
    total = 0
    for batch in batches:
        total += batch.count
        if chosen and total > most_samples:
            break
        chosen.append(batch)
    return chosen


async def _agent(tx: Transaction, batch: BatchRow) -> AgentRow:
    agent = await tx.agents.get(batch.organisation_id, batch.agent_id)
    if agent is None:
        raise NotFoundError(f"agent {batch.agent_id} is not known")
    return agent


async def _apply_roster(tx: Transaction, agent: AgentRow, batch: BatchRow, body: bytes) -> None:
    text = decode_bytes(body)
    roster = Roster.model_validate_json(text)
    numbers = await tx.miners.upsert(agent, roster.miners, batch.cycle_at_us)
    # A newer agent's entries may have fields that the model here drops; the id it uses is that of what it sent.
    for roster_id in {roster.roster_id(), content_id(json.loads(text)["miners"])}:
        await tx.ingest.add_roster(agent, roster_id, numbers, batch.received_at_us)


def content_id(miners: list[dict[str, Any]]) -> str:
    """A roster's id from its entries as they came; see `hashyard_shared.telemetry.Roster.roster_id`."""
    text = json.dumps(miners, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def _set_aside(tx: Transaction, batch: BatchRow, problem: str) -> None:
    LOG.error("batch %s of agent %s is set aside: %s", batch.batch_no, batch.agent_id, problem)
    await tx.ingest.mark([batch.batch_no], BatchState.SET_ASIDE, problem[:500])


async def _site_days(tx: Transaction, days: set[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    sites: dict[str, str] = {}
    for organisation_id, agent_id, _ in days:
        if agent_id not in sites:
            agent = await tx.agents.get(organisation_id, agent_id)
            sites[agent_id] = agent.site_id if agent else ""
    return sorted({(organisation_id, sites[agent_id], day) for organisation_id, agent_id, day in days})
