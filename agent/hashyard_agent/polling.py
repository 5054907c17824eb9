"""Read every known miner once a cycle, and put the cycle in the outbox."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hashyard_agent.fleet import Fleet
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import FastReader, MinerDriver, Outbox, Reading
from hashyard_shared.clock import Clock


@dataclass(frozen=True, slots=True)
class PollerConfig:
    """How hard to poll. `deadline_s` is for one miner's reading; `spread_ratio` the part of a cycle used for jitter."""

    deadline_s: float = 5.0
    spread_ratio: float = 0.7
    max_in_flight: int = 512
    details_interval_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A miner's newest reading."""

    reading: Reading
    at_us: int


@dataclass(frozen=True, slots=True)
class CycleReport:
    """How a cycle went."""

    miners: int
    online: int
    elapsed_s: float


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

    def latest(self) -> Mapping[str, Seen]:
        """Newest reading by miner_id."""
        return {}

    async def cycle(self, interval_s: float) -> CycleReport:
        """Poll every known miner once, spread over the interval, and put the cycle in the outbox."""
        return CycleReport(0, 0, 0.0)

    async def run(self, interval_s: Callable[[], float]) -> None:
        """Cycle after cycle until cancelled; `interval_s()` is asked before each."""
