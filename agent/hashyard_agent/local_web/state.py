"""What the page shows, and what it may ask for. Pure values; `server.py` draws them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hashyard_agent.backlog import OutboxStats
from hashyard_agent.link_state import LinkState


@dataclass(frozen=True, slots=True)
class FailingMiner:
    """A miner that needs a hand. `icon` is one of hot, unplugged, alert; `advice` says what to look at first."""

    miner_id: str
    label: str
    icon: str
    advice: str
    address: str
    since_us: int | None = None


@dataclass(frozen=True, slots=True)
class Redirects:
    """How many of the site's units are at a holding pool, and what the site's limits leave."""

    redirected: int = 0
    under_way: int = 0
    failed: int = 0
    units: int = 0
    lease_until_us: int | None = None
    lapse_policy: str = "restore"
    used_today: int = 0
    daily_cap: int = 0


@dataclass(frozen=True, slots=True)
class PageState:
    """One moment of the site. Times are UTC microseconds; `timezone` is the site's."""

    site_name: str
    agent_name: str
    timezone: str
    now_us: int
    link: LinkState
    outbox: OutboxStats
    bytes_per_day: float = 0.0
    found: int = 0
    adopted: int = 0
    failing: Sequence[FailingMiner] = ()
    redirects: Redirects = field(default_factory=Redirects)
    stopped: bool = False
    stop_reason: str = ""
    shadow_mode: bool = False
    notes: Sequence[str] = ()


class LocalSite(Protocol):
    """What the page needs of the agent."""

    def state(self) -> PageState:
        """The site now; quick, from memory and the local store."""
        ...

    def emergency_stop(self, reason: str) -> None:
        """Freeze all writes. Errors: `StoreError`."""
        ...

    async def led(self, miner_id: str, on: bool) -> str:
        """Switch a miner's locating light; returns what to tell the person. Errors: `MinerError`."""
        ...
