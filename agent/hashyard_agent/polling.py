"""Read every known miner once a cycle, and put the cycle in the outbox.

A miner has its place in the cycle, from its identity, so that a site is not hit at once. Each reading has its own
deadline; miners that failed wait for slots of their own, so a hung one never delays another. What could not be
seen is None, never zero.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from hashyard_agent import miner_states
from hashyard_agent.blind_time import LATE_CYCLES, clock_steps
from hashyard_agent.details import DetailsLane
from hashyard_agent.errors import MinerBusyError, MinerError, StoreError
from hashyard_agent.fleet import Fleet, KnownMiner
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import FastReader, MinerDriver, Outbox, Reading
from hashyard_shared import codec, cycle_codec
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.events import Event, Gap
from hashyard_shared.protocol import BatchKind
from hashyard_shared.telemetry import (
    COLUMN_SCALES,
    MAX_MINERS_PER_CYCLE,
    MAX_TEXT_CHARS,
    Column,
    Cycle,
    MinerState,
    Roster,
)

MAX_POOL_URL_CHARS: Final = 512
MAX_STEPS_TOLD: Final = 100
MIN_DEADLINE_S: Final = 1.0
"""However short a cycle is, a busy machine must not take its own slowness for a miner's."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PollerConfig:
    """How hard to poll.

    `deadline_s` is for one miner's reading, and at most `deadline_ratio` of a cycle; `spread_ratio` is the part of
    a cycle over which miners are spread.
    """

    deadline_s: float = 5.0
    deadline_ratio: float = 0.25
    spread_ratio: float = 0.7
    max_in_flight: int = 512
    max_failing_in_flight: int = 64
    details_interval_s: float = 3600.0
    details_per_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A miner's newest reading."""

    reading: Reading
    at_us: int


@dataclass(frozen=True, slots=True)
class CycleReport:
    """How a cycle went. `taken` counts the miners that were asked, `offsets_s` when each answer was in."""

    miners: int
    online: int
    taken: int
    elapsed_s: float
    offsets_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Track:
    backoff: miner_states.Backoff = field(default_factory=miner_states.Backoff)
    misreads: int = 0
    last: Reading | None = None


@dataclass(slots=True)
class _Running:
    """A cycle while it runs. `taken` holds reading and offset by position in the roster."""

    started_s: float
    interval_s: float
    deadline_s: float
    taken: dict[int, tuple[Reading, float]] = field(default_factory=dict)


class Poller:
    """One cycle after the other over the fleet."""

    def __init__(
        self,
        config: PollerConfig,
        *,
        fleet: Fleet,
        reader: FastReader,
        driver: MinerDriver,
        outbox: Outbox,
        locks: MinerLocks,
        clock: Clock,
        boot_id: str,
    ) -> None:
        self._config = config
        self._fleet = fleet
        self._reader = reader
        self._outbox = outbox
        self._locks = locks
        self._clock = clock
        self._boot_id = boot_id
        self._slots = asyncio.Semaphore(config.max_in_flight)
        self._failing_slots = asyncio.Semaphore(config.max_failing_in_flight)
        self._tracks: dict[str, _Track] = {}
        self._latest: dict[str, Seen] = {}
        self.on_back: Callable[[str], None] | None = None
        self._roster_id = ""
        self._gap: Gap | None = None
        self._clock_steps: list[Gap] = []
        self._last_report: CycleReport | None = None
        self._details = DetailsLane(
            fleet=fleet,
            driver=driver,
            locks=locks,
            clock=clock,
            interval_s=config.details_interval_s,
            rate_per_s=config.details_per_s,
        )

    def latest(self) -> Mapping[str, Seen]:
        """Newest reading by miner_id."""
        return self._latest

    @property
    def last_report(self) -> CycleReport | None:
        """How the newest cycle went."""
        return self._last_report

    def republish_roster(self) -> None:
        """The cloud does not know the roster: put it in the outbox again with the next cycle."""
        self._roster_id = ""

    async def run(self, interval_s: Callable[[], float]) -> None:
        """Cycle after cycle until cancelled, the slow lane beside it; `interval_s()` is asked before each."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._details.run())
            group.create_task(self._cycles(interval_s))

    async def _cycles(self, interval_s: Callable[[], float]) -> None:
        last_s: float | None = None
        last_us = 0
        while True:
            every_s = interval_s()
            started_s, now_us = self._clock.monotonic_s(), self._clock.now_us()
            if last_s is not None:
                step_s = (now_us - last_us) / US_PER_S - (started_s - last_s)
                self._clock_steps = [*self._clock_steps, *clock_steps(last_us, now_us, step_s)][-MAX_STEPS_TOLD:]
            last_us = now_us
            if last_s is not None and started_s - last_s > LATE_CYCLES * every_s:
                self._note_gap(
                    "agent-late",
                    int((started_s - last_s) * 1e6),
                    max(1, round((started_s - last_s) / every_s) - 1),
                )
            last_s = started_s
            await self.cycle(every_s)
            await asyncio.sleep(max(0.0, every_s - (self._clock.monotonic_s() - started_s)))

    async def cycle(self, interval_s: float) -> CycleReport:
        """Poll every known miner once, spread over the interval, and put the cycle in the outbox."""
        members = self._fleet.by_id()[:MAX_MINERS_PER_CYCLE]
        share_s = max(MIN_DEADLINE_S, interval_s * self._config.deadline_ratio)
        deadline_s = min(self._config.deadline_s, share_s)
        cycle_at_us = self._clock.now_us()
        running = _Running(self._clock.monotonic_s(), interval_s, deadline_s)
        await self._take(members, running)
        elapsed_s = self._clock.monotonic_s() - running.started_s
        readings = [self._result(position, miner_id, running) for position, (miner_id, _) in enumerate(members)]
        self._keep(members, readings, cycle_at_us)
        self._store(members, readings, cycle_at_us, running)
        self._last_report = CycleReport(
            miners=len(members),
            online=sum(1 for reading in readings if reading.state is MinerState.ONLINE),
            taken=len(running.taken),
            elapsed_s=elapsed_s,
            offsets_s={members[at][0]: offset for at, (_, offset) in running.taken.items()},
        )
        return self._last_report

    async def _take(self, members: list[tuple[str, KnownMiner]], running: _Running) -> None:
        """Start each miner's reading at its place in the cycle; none is waited for longer than the cycle is."""
        spread_s = running.interval_s * self._config.spread_ratio
        places = sorted(
            (miner_states.jitter_ratio(miner_id) * spread_s, at) for at, (miner_id, _) in enumerate(members)
        )
        latest_s = max(running.interval_s, spread_s + 2 * running.deadline_s)
        try:
            async with asyncio.timeout(latest_s), asyncio.TaskGroup() as group:
                for due_s, at in places:
                    wait_s = due_s - (self._clock.monotonic_s() - running.started_s)
                    if wait_s > 0:
                        await asyncio.sleep(wait_s)
                    miner_id, miner = members[at]
                    group.create_task(self._one(at, miner_id, miner, running))
        except TimeoutError:
            _log.warning(
                "cycle: %d of %d miners were not reached in time", len(members) - len(running.taken), len(members)
            )

    async def _one(self, at: int, miner_id: str, miner: KnownMiner, running: _Running) -> None:
        track = self._tracks.setdefault(miner_id, _Track())
        if not miner.ip or not miner.identity.family or track.backoff.skips():
            return
        slots = self._failing_slots if track.backoff.failing else self._slots
        async with slots:
            reading = await self._read(miner, running.deadline_s)
        offset_s = self._clock.monotonic_s() - running.started_s
        if reading is None:
            return
        running.taken[at] = (reading, offset_s)
        self._learn(miner, track, reading, running.interval_s)

    async def _read(self, miner: KnownMiner, deadline_s: float) -> Reading | None:
        """The reading, judged; None when another part of the agent is talking to the miner."""
        try:
            async with self._locks.hold(miner.ip, deadline_s):
                reading = await self._reader.read(miner.identity, deadline_s)
        except MinerBusyError:
            return None
        except MinerError as error:
            return miner_states.failed(error)
        except Exception:  # noqa: BLE001 - one device's nonsense must not end the cycle of all the others
            _log.exception("%s: reading it failed in an unforeseen way", miner.ip)
            return Reading(MinerState.MISREAD, problem="reading it failed in an unforeseen way")
        expected_ths = reading.expected_hashrate_ths or miner.expected_hashrate_ths
        return miner_states.judged(reading, expected_ths)

    def _learn(self, miner: KnownMiner, track: _Track, reading: Reading, interval_s: float) -> None:
        """What the reading tells about the miner for the cycles to come."""
        if reading.hashrate_ths is None:
            track.backoff.failed(interval_s)
            track.misreads = track.misreads + 1 if reading.state is MinerState.MISREAD else 0
            if track.misreads == miner_states.MISREADS_BEFORE_SUSPICION:
                self._fleet.suspect(miner.ip)
        else:
            if track.backoff.failing and self.on_back is not None and miner.identity.mac is not None:
                self.on_back(miner.identity.mac)
            track.backoff.succeeded()
            track.misreads = 0
            if miner_states.differs(miner.expected_hashrate_ths, reading.expected_hashrate_ths):
                self._expect(miner, reading.expected_hashrate_ths)
            if miner_states.worth_a_look(track.last, reading):
                self._details.soon(miner.ip)
        track.last = reading

    def _expect(self, miner: KnownMiner, told_ths: float | None) -> None:
        current = self._fleet.by_ip(miner.ip)
        if current is not None and told_ths is not None and current.own_id == miner.own_id:
            self._fleet.put(replace(current, expected_hashrate_ths=round(told_ths, 2)))

    def _result(self, position: int, miner_id: str, running: _Running) -> Reading:
        found = running.taken.get(position)
        if found is not None:
            return found[0]
        track = self._tracks.get(miner_id)
        return miner_states.not_taken(None if track is None else track.last, "not asked in this cycle")

    def _keep(self, members: list[tuple[str, KnownMiner]], readings: list[Reading], cycle_at_us: int) -> None:
        """The newest of each, and nothing of those that are gone."""
        for at, (_, miner) in enumerate(members):
            if not miner.ip:
                readings[at] = miner_states.LOST
            elif not miner.identity.family:
                readings[at] = miner_states.UNIDENTIFIED
        self._latest = {
            miner_id: Seen(reading, cycle_at_us) for (miner_id, _), reading in zip(members, readings, strict=True)
        }
        for gone in self._tracks.keys() - self._latest.keys():
            del self._tracks[gone]

    def _store(
        self,
        members: list[tuple[str, KnownMiner]],
        readings: list[Reading],
        cycle_at_us: int,
        running: _Running,
    ) -> None:
        if not members:
            return
        roster = Roster(miners=[self._fleet.roster_entry(miner, miner_id) for miner_id, miner in members])
        roster_id = roster.roster_id()
        offsets = [
            None if at not in running.taken else round(running.taken[at][1] * 1000) for at in range(len(members))
        ]
        cycle = columns(
            readings,
            offsets,
            roster_id=roster_id,
            cycle_at_us=cycle_at_us,
            interval_s=running.interval_s,
            boot_id=self._boot_id,
            mono_s=running.started_s,
        )
        try:
            if roster_id != self._roster_id:
                self._outbox.put(BatchKind.ROSTER, cycle_at_us, len(members), codec.encode(roster))
                self._roster_id = roster_id
        except StoreError as error:
            _log.error("cycle could not be kept: %s", error)
            self._note_gap("store", int(running.interval_s * US_PER_S), 1, samples=len(members))
            return
        try:
            body = cycle_codec.pack(cycle)
            self._outbox.put(BatchKind.TELEMETRY, cycle_at_us, len(members), body)
            self._send_events()
        except StoreError as error:
            # The outbox enters this cycle in its own ledger as soon as it can write again.
            _log.error("cycle could not be kept: %s", error)

    def _send_events(self) -> None:
        events: list[Event] = self._details.take_events()
        events += self._clock_steps
        if self._gap is not None:
            events.append(self._gap)
        if events:
            self._outbox.put_events(events)
        self._gap = None
        self._clock_steps = []

    def _note_gap(self, reason: str, length_us: int, cycles: int, samples: int = 0) -> None:
        """Cycles that were due but not taken or not kept; told with the next cycle that is kept."""
        to_us = self._clock.now_us()
        before = self._gap
        self._gap = Gap(
            from_us=to_us - length_us if before is None else before.from_us,
            to_us=to_us,
            cycles=cycles + (0 if before is None else before.cycles),
            samples=samples + (0 if before is None else before.samples),
            reason=reason if before is None else before.reason,
        )


def columns(
    readings: list[Reading],
    offset_ms: Column,
    *,
    roster_id: str,
    cycle_at_us: int,
    interval_s: float,
    boot_id: str,
    mono_s: float,
) -> Cycle:
    """The readings of one cycle as columns, in the roster's order."""
    pools: dict[tuple[str, str], int] = {}
    pool_column: Column = []
    for reading in readings:
        pool = reading.active_pool
        if pool is None:
            pool_column.append(None)
        else:
            key = (pool[0][:MAX_POOL_URL_CHARS], pool[1][: 2 * MAX_TEXT_CHARS])
            pool_column.append(pools.setdefault(key, len(pools)))
    figures = {name: [_scaled(getattr(r, name), scale) for r in readings] for name, scale in COLUMN_SCALES.items()}
    return Cycle(
        roster_id=roster_id,
        cycle_at_us=cycle_at_us,
        interval_s=interval_s,
        boot_id=boot_id,
        mono_s=mono_s,
        state=[reading.state for reading in readings],
        offset_ms=offset_ms,
        pool=pool_column,
        pools=list(pools),
        **figures,
    )


def _scaled(value: float | None, scale: int) -> int | None:
    return None if value is None else round(value * scale)
