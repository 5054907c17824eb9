"""The enforcer: takes orders in, keeps units where accepted orders put them, and reports each step."""

import asyncio
from collections.abc import Mapping, Sequence

from hashyard_agent.enforcement.model import AgentFacts, EnforcementPolicy
from hashyard_agent.enforcement.ports import EnforcementStore, StopSwitch, TrustSource
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import MinerLocator, Outbox, PoolWriter
from hashyard_shared.clock import Clock
from hashyard_shared.protocol import SiteSettings, UnitBinding
from hashyard_shared.signing import Envelope


class Enforcer:
    """One for each agent. `run` owns all work; the other methods only tell it something and return at once."""

    def __init__(
        self,
        *,
        agent: AgentFacts,
        policy: EnforcementPolicy,
        writers: Mapping[str, PoolWriter],
        locator: MinerLocator,
        locks: MinerLocks,
        trust: TrustSource,
        stop_switch: StopSwitch,
        store: EnforcementStore,
        outbox: Outbox,
        clock: Clock,
        boot_id: str,
    ) -> None:
        self._offered: tuple[Sequence[Envelope], Sequence[UnitBinding], SiteSettings] | None = None
        self._wake = asyncio.Event()

    def offer(self, orders: Sequence[Envelope], units: Sequence[UnitBinding], settings: SiteSettings) -> None:
        """A new desired state came: its orders, the site's units, the cloud's settings. Never raises."""
        self._offered = (orders, units, settings)
        self._wake.set()

    def cloud_time_seen(self, envelope: Envelope) -> bool:
        """A signed cloud time came; returns whether it verifies and names this agent."""
        return bool(envelope.payload)

    def miner_seen(self, mac: str) -> None:
        """Discovery or polling saw this miner again: whatever waits for it is tried at once."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled. Errors: `StoreError` when the durable state cannot be kept."""
        await self._wake.wait()
