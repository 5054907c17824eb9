"""The slow lane: boards, fans, pools and errors through the driver, when something changed and now and then.

At most `rate_per_s` miners a second, by a few workers, so that its cost is bounded however large a site is and a
hung miner does not hold up the others.
"""

import asyncio
import logging
from collections import deque
from dataclasses import replace
from typing import Final

from hashyard_agent import miner_states
from hashyard_agent.errors import MinerError
from hashyard_agent.fleet import Fleet, KnownMiner
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import Details, MinerDriver
from hashyard_shared.clock import Clock
from hashyard_shared.events import Event, MinerDetails

MAX_WAITING_EVENTS: Final = 900
MAX_SOON: Final = 5_000
WORKERS: Final = 4
LOCK_TIMEOUT_S: Final = 10.0
_log = logging.getLogger(__name__)


class DetailsLane:
    """Reads details of one miner after the other, the most pressing first."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        driver: MinerDriver,
        locks: MinerLocks,
        clock: Clock,
        interval_s: float,
        rate_per_s: float,
    ) -> None:
        self._fleet = fleet
        self._driver = driver
        self._locks = locks
        self._clock = clock
        self._interval_s = interval_s
        self._pause_s = WORKERS / rate_per_s
        self._soon: dict[str, None] = {}
        self._round: deque[str] = deque()
        self._read_at_s: dict[str, float] = {}
        self._events: list[Event] = []

    def soon(self, ip: str) -> None:
        """Something changed at this address: read it before the others."""
        if len(self._soon) < MAX_SOON:
            self._soon[ip] = None

    def take_events(self) -> list[Event]:
        """What was read since the last call."""
        events, self._events = self._events, []
        return events

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            miner = self._next()
            if miner is not None:
                await self._read(miner)

    def _next(self) -> KnownMiner | None:
        if len(self._events) >= MAX_WAITING_EVENTS:
            return None
        while self._soon:
            ip = next(iter(self._soon))
            del self._soon[ip]
            miner = self._fleet.by_ip(ip)
            if miner is not None and miner.identity.family:
                return miner
        if not self._round:
            self._round.extend(self._fleet.addresses())
        for _ in range(len(self._round)):
            miner = self._fleet.by_ip(self._round.popleft())
            if miner is not None and self._is_due(miner):
                return miner
        return None

    def _is_due(self, miner: KnownMiner) -> bool:
        if not miner.identity.family or miner.missed_passes:
            return False
        read_at_s = self._read_at_s.get(miner.ip)
        return read_at_s is None or self._clock.monotonic_s() - read_at_s >= self._interval_s

    async def _read(self, miner: KnownMiner) -> None:
        # A restart of the agent must not read a whole site at once an hour later: each has its own phase.
        phase_s = (
            0.0 if miner.ip in self._read_at_s else miner_states.jitter_ratio(miner.ip) * self._interval_s / 2
        )
        self._read_at_s[miner.ip] = self._clock.monotonic_s() - phase_s
        try:
            async with self._locks.hold(miner.ip, LOCK_TIMEOUT_S):
                details = await self._driver.details(miner.identity)
        except MinerError as error:
            _log.debug("details: %s", error)
            return
        self._enter(miner, details)

    def _enter(self, miner: KnownMiner, details: Details) -> None:
        serials = tuple(board.serial for board in details.boards if board.serial)
        current = self._fleet.by_ip(miner.ip)
        if current is None or current.own_id != miner.own_id:
            return  # another device answers there by now
        if serials and serials != current.board_serials:
            self._fleet.put(replace(current, board_serials=serials))
        self._events.append(
            MinerDetails(
                at_us=self._clock.now_us(),
                miner_id=self._fleet.reported_id(current),
                boards=list(details.boards),
                fans_rpm=list(details.fans_rpm),
                pools=list(details.pools),
                errors=list(details.errors),
                power_limit_w=details.power_limit_w,
            )
        )
