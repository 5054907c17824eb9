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
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from hashyard_cloud.errors import CloudError, NotFoundError, StoreCorruptError
from hashyard_cloud.services import event_batches, projection, telemetry_columns
from hashyard_cloud.services.parsed_cycles import Origin, ParsedCycles
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.events import EventSink
from hashyard_cloud.services.ports.ingest import BatchRow, BatchState, BlockRow
from hashyard_cloud.services.ports.telemetry import TelemetryStore
from hashyard_cloud.services.projection import Projected
from hashyard_cloud.services.telemetry_columns import CycleColumns
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.codec import decode_bytes
from hashyard_shared.errors import SharedError
from hashyard_shared.protocol import BatchKind
from hashyard_shared.telemetry import Roster, RosterEntry

LOG: Final = logging.getLogger(__name__)
LEASE_NAME: Final = "projector"
LEASE_US: Final = 30 * US_PER_S
MAX_BLOCK_SAMPLES: Final = 1_000_000
BIG_BLOCK_SAMPLES: Final = 50_000
BIG_BLOCK_INTERVAL_S: Final = 3.0
"""Under load blocks grow instead of following faster: newest readings and hours cost by device, not by sample."""
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
        parsed: ParsedCycles,
        owner: str,
        interval_s: float,
    ) -> None:
        self._database = database
        self._telemetry = telemetry
        self._clock = clock
        self._events = events
        self._parsed = parsed
        self._owner = owner
        self._interval_s = interval_s
        self._work = asyncio.Event()
        self._attempts: Counter[int] = Counter()
        self._step_lock = asyncio.Lock()
        self._days_summed_us = 0
        self._leased_us = -LEASE_US
        self._big_block_s = -BIG_BLOCK_INTERVAL_S

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
        while True:
            self._big_block_s = -BIG_BLOCK_INTERVAL_S
            if not await self.step():
                break
        await self._sum_days()

    async def release(self) -> None:
        """Give the lease back, so that another process need not wait for its end."""
        async with self._database.transaction() as tx:
            await tx.leases.release(LEASE_NAME, self._owner)

    async def step(self) -> bool:
        """One piece of work; False when there was none, or it is another process's."""
        async with self._step_lock:
            self._work.clear()
            if not await self._own():
                return False
            if await self._small_batches():
                return True
            worked = await self._block()
            if self._clock.now_us() - self._days_summed_us >= DAYS_INTERVAL_US:
                await self._sum_days()
            return worked

    async def _own(self) -> bool:
        """Whether this process owns the work; its lease is renewed well before its end."""
        now_us = self._clock.now_us()
        if not self._leased_us <= now_us < self._leased_us + LEASE_US // 3:
            async with self._database.transaction() as tx:
                if not await tx.leases.take(LEASE_NAME, self._owner, now_us, LEASE_US):
                    return False
            self._leased_us = now_us
        return True

    async def _idle(self) -> None:
        try:
            await asyncio.wait_for(self._work.wait(), self._interval_s)
        except TimeoutError:
            return

    async def _small_batches(self) -> bool:
        """Rosters and events, in the order in which they were received."""
        async with self._database.reading() as tx:
            batches = await tx.ingest.pending([BatchKind.ROSTER, BatchKind.EVENTS], MAX_SMALL_BATCHES)
            bodies = await tx.ingest.bodies([batch.batch_no for batch in batches])
        if not batches:
            return False
        async with self._database.transaction() as tx:
            for batch in batches:
                await self._apply(tx, batch, bodies[batch.batch_no])
                tx.changed(batch.organisation_id)
        return True

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
            if self._clock.monotonic_s() < self._big_block_s + BIG_BLOCK_INTERVAL_S:
                return False
            block = await self._compose_block()
        if block is None:
            return False
        if block.samples >= BIG_BLOCK_SAMPLES:
            self._big_block_s = self._clock.monotonic_s()
        await self._project(block)
        return True

    async def _compose_block(self) -> BlockRow | None:
        """Fix which batches make the next block; None when none can be projected now."""
        async with self._database.reading() as tx:
            pending = await tx.ingest.pending([BatchKind.TELEMETRY], MAX_BLOCK_BATCHES)
        chosen = _within(pending, MAX_BLOCK_SAMPLES)
        if not chosen:
            return None
        found, unreadable = await self._cycles(chosen)
        keys = {
            batch.batch_no: (batch.agent_id, found[batch.batch_no].roster_id)
            for batch in chosen
            if batch.batch_no in found
        }
        async with self._database.transaction() as tx:
            for batch, problem in unreadable:
                await _set_aside(tx, batch, problem)
            rosters = await tx.ingest.rosters(sorted(set(keys.values())))
            await tx.ingest.wait_for_roster({no: key[1] for no, key in keys.items() if key not in rosters})
            members: list[int] = []
            for batch in chosen:
                roster = rosters.get(keys.get(batch.batch_no, ("", "")))
                if roster is None:
                    continue
                size = found[batch.batch_no].size
                if len(roster) == size:
                    members.append(batch.batch_no)
                else:
                    await _set_aside(tx, batch, f"{size} miners, but its roster has {len(roster)}")
            if not members:
                # Everything looked at was parked or set aside; there may be more behind it.
                self._work.set()
                return None
            samples = sum(found[batch_no].size for batch_no in members)
            return await tx.ingest.new_block(members, samples, self._clock.now_us())

    async def _project(self, block: BlockRow) -> None:
        batches, projected = await self._projected(block)
        await self._telemetry.insert_block(block.block_no, projected.samples)
        now_us = self._clock.now_us()
        async with self._database.transaction() as tx:
            await tx.miners.put_latest(projected.latest)
            await tx.rollups.add_hours(projected.hours)
            await tx.rollups.mark_changed(await _site_days(tx, projected.days), now_us)
            await tx.ingest.finish_block(block.block_no, now_us)
            for batch in batches:
                tx.changed(batch.organisation_id)
        self._parsed.forget(_origin(batch) for batch in batches)

    async def reproject(self, block: BlockRow) -> None:
        """Insert a finished block's samples anew; newest readings and hours have it already.

        Raises `StoreCorruptError` when a body is not kept any more or cannot be read.
        """
        async with self._step_lock:
            batches, projected = await self._projected(block)
            await self._telemetry.replace_block(block.block_no, projected.samples)
            self._parsed.forget(_origin(batch) for batch in batches)

    async def _projected(self, block: BlockRow) -> tuple[list[BatchRow], Projected]:
        async with self._database.reading() as tx:
            batches = await tx.ingest.block_batches(block.block_no)
        found, unreadable = await self._cycles(batches)
        if unreadable:
            raise StoreCorruptError(f"block {block.block_no}: {unreadable[0][1]}")
        cycles = [found[batch.batch_no] for batch in batches]
        keys = [(batch.agent_id, cycle.roster_id) for batch, cycle in zip(batches, cycles, strict=True)]
        async with self._database.transaction() as tx:
            rosters = await tx.ingest.rosters(sorted(set(keys)))
            pools = await tx.miners.pool_numbers(sorted(projection.pools_of(batches, cycles)))
        numbers = {key: np.array(roster, dtype=np.int64) for key, roster in rosters.items()}
        members = [numbers[key] for key in keys]
        return batches, await asyncio.to_thread(projection.project, batches, cycles, members, pools)

    async def _cycles(
        self, batches: Sequence[BatchRow]
    ) -> tuple[dict[int, CycleColumns], list[tuple[BatchRow, str]]]:
        """Cycles by batch number, as parsed when they came, else from their bodies; and what cannot be read."""
        found = {
            batch.batch_no: cycle for batch in batches if (cycle := self._parsed.get(_origin(batch))) is not None
        }
        rest = [batch for batch in batches if batch.batch_no not in found]
        if not rest:
            return found, []
        async with self._database.reading() as tx:
            bodies = await tx.ingest.bodies([batch.batch_no for batch in rest])
        gone = [(batch, "its body is not kept any more") for batch in rest if batch.batch_no not in bodies]
        rest = [batch for batch in rest if batch.batch_no in bodies]
        parsed, unreadable = await asyncio.to_thread(_parse, rest, bodies)
        for batch in rest:
            if batch.batch_no in parsed:
                self._parsed.put(_origin(batch), parsed[batch.batch_no])
        return found | parsed, unreadable + gone

    async def _sum_days(self) -> None:
        self._days_summed_us = self._clock.now_us()
        async with self._database.transaction() as tx:
            await tx.rollups.sum_changed_days()


def _origin(batch: BatchRow) -> Origin:
    return batch.agent_id, batch.epoch, batch.seq


def _parse(
    batches: Sequence[BatchRow], bodies: Mapping[int, bytes]
) -> tuple[dict[int, CycleColumns], list[tuple[BatchRow, str]]]:
    try:
        cycles = telemetry_columns.parse([bodies[batch.batch_no] for batch in batches])
        return {batch.batch_no: cycle for batch, cycle in zip(batches, cycles, strict=True)}, []
    except _UNREADABLE:
        # One of them is bad (they were checked when they came, so this is rare): one by one shows which.
        found: dict[int, CycleColumns] = {}
        unreadable: list[tuple[BatchRow, str]] = []
        for batch in batches:
            try:
                found[batch.batch_no] = telemetry_columns.parse([bodies[batch.batch_no]])[0]
            except _UNREADABLE as error:
                unreadable.append((batch, str(error)))
        return found, unreadable


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
    roster_ids = {content_id(miners := json.loads(text)["miners"])}
    if any(miner.keys() != RosterEntry.model_fields.keys() for miner in miners):
        roster_ids.add(roster.roster_id())
    for roster_id in sorted(roster_ids):
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
