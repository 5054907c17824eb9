"""The agent's own state, once a minute, for the cloud and for the people on site."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hashyard_agent.backlog import Backlog, OutboxStats, StateStore
from hashyard_agent.ports import Outbox
from hashyard_shared.clock import Clock
from hashyard_shared.events import Health

LOG = logging.getLogger(__name__)
HEALTH_INTERVAL_S: Final = 60.0
LOOK_INTERVAL_S: Final = 10.0
MAX_NOTES: Final = 50
NEARLY_FULL_RATIO: Final = 0.8
_STATE_KEY: Final = "health"


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the parts tell of themselves. Power of words: `notes` are sentences for a person."""

    miners_found: int = 0
    cycle_s: float = 0.0
    emergency_stop: bool = False
    shadow_mode: bool = False
    notes: list[str] = field(default_factory=list)


class HealthReporter:
    """Puts a `Health` event into the outbox at each interval; `status` has a fresher one."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        backlog: Backlog,
        state: StateStore,
        clock: Clock,
        version: str,
        vitals: Callable[[], Vitals],
        interval_s: float = HEALTH_INTERVAL_S,
    ) -> None:
        self._outbox = outbox
        self._backlog = backlog
        self._state = state
        self._clock = clock
        self._version = version
        self._vitals = vitals
        self._interval_s = interval_s

    async def run(self) -> None:
        """Report until cancelled. Errors: `StoreError`."""
        told_s: float | None = None
        while True:
            health = self.look()
            now_s = self._clock.monotonic_s()
            if told_s is None or now_s - told_s >= self._interval_s:
                told_s = now_s
                self._outbox.put_events([health])
            await asyncio.sleep(min(LOOK_INTERVAL_S, self._interval_s))

    def look(self) -> Health:
        """The agent's state now, kept for `status`."""
        stats = self._backlog.stats()
        vitals = self._vitals()
        health = Health(
            at_us=self._clock.now_us(),
            version=self._version,
            backlog_rows=stats.rows,
            backlog_bytes=stats.body_bytes,
            oldest_at_us=stats.oldest_us,
            miners_found=vitals.miners_found,
            cycle_s=max(0.0, vitals.cycle_s),
            emergency_stop=vitals.emergency_stop,
            shadow_mode=vitals.shadow_mode,
            notes=[*vitals.notes, *_store_notes(stats)][:MAX_NOTES],
        )
        self._state.set_state(_STATE_KEY, health.model_dump_json())
        return health


def _store_notes(stats: OutboxStats) -> list[str]:
    notes = []
    if stats.used_bytes > NEARLY_FULL_RATIO * stats.max_bytes:
        notes.append("The outbox is nearly full: the oldest readings are dropped when it is.")
    if stats.gap_cycles:
        notes.append(f"{stats.gap_cycles} cycle(s) could not be kept; see `hashyard-agent buffer`.")
    if stats.set_aside_rows:
        notes.append(f"{stats.set_aside_rows} row(s) are set aside; see `hashyard-agent buffer`.")
    return notes


def read_health(state: StateStore) -> Health | None:
    """The newest report, or None when there is none."""
    text = state.state(_STATE_KEY)
    return None if text is None else Health.model_validate_json(text)
