"""Find every miner of the site: a bounded sweep of the subnets, then who answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hashyard_agent.fleet import Fleet, FleetStore, KnownMiner
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import MinerDriver, Outbox
from hashyard_profiles import Profiles
from hashyard_shared.clock import Clock

IDENTIFY_GROUP: Final = 24
PASSES_BEFORE_GONE: Final = 2


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """Where to look. Subnets and exclusions are CIDR texts or single addresses."""

    subnets: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    identify_group: int = IDENTIFY_GROUP
    identify_timeout_s: float = 20.0
    passes_before_gone: int = PASSES_BEFORE_GONE


@dataclass(frozen=True, slots=True)
class Progress:
    """`stage` is "sweep" or "identify"; `done` of `total` addresses."""

    stage: str
    done: int
    total: int
    found: int


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan saw. `notes` are limits that may have hidden miners, in words for a person."""

    miners: tuple[KnownMiner, ...]
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    unidentified: tuple[str, ...] = ()
    addresses: int = 0
    elapsed_s: float = 0.0
    notes: tuple[str, ...] = field(default_factory=tuple)


class Sweeper(Protocol):
    """Which of these addresses have which of these ports open; see `adapters/connect_sweep.py`."""


class Discovery:
    """Keeps the fleet true. Only this class adds and removes miners."""

    def __init__(
        self,
        config: DiscoveryConfig,
        *,
        fleet: Fleet,
        sweeper: Sweeper,
        driver: MinerDriver,
        profiles: Profiles,
        outbox: Outbox | None,
        locks: MinerLocks,
        clock: Clock,
        store: FleetStore | None = None,
    ) -> None:
        self._config = config

    async def scan(
        self, subnets: Sequence[str] | None = None, progress: Callable[[Progress], None] | None = None
    ) -> ScanResult:
        """Sweep and identify once; raises `SettingsError` for a malformed subnet."""
        return ScanResult(())

    async def check_known(self) -> ScanResult:
        """The fast path: only the addresses where miners are known."""
        return ScanResult(())

    async def run(self, interval_s: Callable[[], float]) -> None:
        """Scan again and again, `interval_s()` apart, until cancelled."""
