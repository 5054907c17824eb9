"""What the technician's page knows: gathered from the parts of the agent, in memory and in the local store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hashyard_agent.backlog import Backlog, OutboxStats
from hashyard_agent.errors import MinerConnectionError
from hashyard_agent.fleet import Fleet, KnownMiner
from hashyard_agent.identity import AgentIdentity
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.local_web.state import FailingMiner, PageState, Redirects
from hashyard_agent.polling import Seen
from hashyard_agent.ports import Reading
from hashyard_agent.tasks import Commands
from hashyard_shared.clock import Clock
from hashyard_shared.protocol import DesiredState
from hashyard_shared.telemetry import MinerState

_DAY_US: Final = 86_400 * 1_000_000
_MIN_SPAN_US: Final = 60 * 1_000_000
HOT_CHIP_C: Final = 95
"""From here on a chip is near the point at which firmwares stop a board."""
_ADVICE: Final = {
    MinerState.ONLINE: ("alert", "Works"),
    MinerState.UNREACHABLE: ("unplugged", "No answer: check cable, switch and PDU"),
    MinerState.MISREAD: ("alert", "Answers, but cannot be read: check firmware and password"),
    MinerState.UNIDENTIFIED: ("alert", "Answers, but is not a known miner"),
    MinerState.DEGRADED: ("alert", "Answers only in part"),
}
_ORDER: Final = (
    MinerState.ONLINE,
    MinerState.UNREACHABLE,
    MinerState.MISREAD,
    MinerState.DEGRADED,
    MinerState.UNIDENTIFIED,
)
"""What is on this list and works is too hot, which cannot wait."""


class Readings(Protocol):
    """The newest reading of each miner, by its reported id."""

    def latest(self) -> Mapping[str, Seen]:
        """As polling last saw them."""
        ...


class KnownState(Protocol):
    """The site's units as the cloud named them."""

    @property
    def current(self) -> DesiredState | None:
        """The newest document, or None."""
        ...


class EnforcementView(Protocol):
    """What the page shows of enforcement, and the one thing it may ask of it."""

    def redirects(self) -> Redirects:
        """Counts, lease and limits."""
        ...

    def stop_reason(self) -> str | None:
        """Why writes are frozen, or None when they are not."""
        ...

    def emergency_stop(self, reason: str, actor: str) -> None:
        """Freeze all writes. Errors: `StoreError`."""
        ...

    @property
    def shadow_mode(self) -> bool:
        """Whether nothing is written."""
        ...


@dataclass(frozen=True, slots=True)
class LocalSiteView:
    """`LocalSite` over the running agent."""

    identity: AgentIdentity
    fleet: Fleet
    poller: Readings
    commands: Commands
    feed: KnownState
    monitor: LinkMonitor
    backlog: Backlog
    enforcement: EnforcementView
    clock: Clock
    notes: Callable[[], Sequence[str]]

    def state(self) -> PageState:
        """The site now."""
        labels = self._labels()
        stats = self.backlog.stats()
        reason = self.enforcement.stop_reason()
        return PageState(
            site_name=self.identity.site_name,
            agent_name=self.identity.name,
            timezone=self.identity.timezone,
            now_us=self.clock.now_us(),
            link=self.monitor.now,
            outbox=stats,
            bytes_per_day=_bytes_per_day(stats),
            found=len(self.fleet),
            adopted=sum(1 for miner in self.fleet.all() if miner.identity.mac in labels),
            failing=self._failing(labels),
            redirects=self.enforcement.redirects(),
            stopped=reason is not None,
            stop_reason=reason or "",
            shadow_mode=self.enforcement.shadow_mode,
            notes=self.notes(),
        )

    def emergency_stop(self, reason: str) -> None:
        """Freeze all writes."""
        self.enforcement.emergency_stop(reason, "local page")

    async def led(self, miner_id: str, on: bool) -> str:
        """Switch a miner's locating light."""
        miner = self.fleet.get(miner_id)
        if miner is None:
            raise MinerConnectionError(miner_id, "is not known here any more")
        outcome = (await self.commands.lights([miner.identity], on=on))[0]
        return f"{miner.ip}: {outcome.detail}"

    def _labels(self) -> dict[str, str]:
        document = self.feed.current
        return {unit.mac: unit.label for unit in document.units} if document else {}

    def _failing(self, labels: dict[str, str]) -> list[FailingMiner]:
        latest = self.poller.latest()
        failing = [
            (seen.reading.state, miner, miner_id, seen)
            for miner_id, miner in self.fleet.by_id()
            if (seen := latest.get(miner_id)) is not None and _fails(seen.reading)
        ]
        failing.sort(key=lambda entry: _ORDER.index(entry[0]))
        return [_failing_miner(miner, miner_id, seen, labels) for _, miner, miner_id, seen in failing]


def _fails(reading: Reading) -> bool:
    return reading.state is not MinerState.ONLINE or _is_hot(reading)


def _is_hot(reading: Reading) -> bool:
    return reading.temp_chip_c is not None and reading.temp_chip_c >= HOT_CHIP_C


def _failing_miner(miner: KnownMiner, miner_id: str, seen: Seen, labels: dict[str, str]) -> FailingMiner:
    reading = seen.reading
    icon, advice = _ADVICE[reading.state]
    if _is_hot(reading):
        icon, advice = "hot", f"Chip at {reading.temp_chip_c:.0f} °C: check fans, filters and the fan wall"
    model = " ".join(part for part in (miner.identity.make, miner.identity.model) if part)
    return FailingMiner(
        miner_id=miner_id,
        label=labels.get(miner.identity.mac or "", "") or model or miner_id,
        icon=icon,
        advice=reading.problem or advice,
        address=miner.ip,
    )


def _bytes_per_day(stats: OutboxStats) -> float:
    if stats.oldest_us is None or stats.newest_us is None:
        return 0.0
    span_us = stats.newest_us - stats.oldest_us
    return stats.body_bytes * _DAY_US / span_us if span_us >= _MIN_SPAN_US else 0.0
