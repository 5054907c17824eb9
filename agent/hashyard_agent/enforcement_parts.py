"""The composition of enforcement; `app.py` builds it here, and the technician's commands find the same files."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from hashyard_agent import miner_parts
from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_agent.adapters.host import boot_id
from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.adapters.site_trust import StopFile, TrustFiles
from hashyard_agent.adapters.writers import pool_writers
from hashyard_agent.adapters.writers.logins import ProfiledCredentials
from hashyard_agent.desired import read_desired
from hashyard_agent.discovery import DiscoveryConfig
from hashyard_agent.enforcement.enforcer import Enforcer
from hashyard_agent.enforcement.model import AgentFacts, EnforcementPolicy
from hashyard_agent.fleet import Fleet
from hashyard_agent.identity import Keys
from hashyard_agent.local_web.state import Redirects
from hashyard_agent.locator import FleetLocator
from hashyard_agent.miner_parts import MinerParts
from hashyard_agent.polling import Poller
from hashyard_agent.ports import Identity, MinerLocator, Outbox
from hashyard_agent.settings import Settings
from hashyard_shared.clock import Clock
from hashyard_shared.events import UnitPhase
from hashyard_shared.protocol import DesiredState

_DAY_US: Final = 86_400 * 1_000_000
_UNDER_WAY: Final = frozenset({UnitPhase.WAITING, UnitPhase.REDIRECTING, UnitPhase.RESTORING})


@dataclass(frozen=True, slots=True)
class EnforcementParts:
    """The enforcer and what the technician's page shows of it (`EnforcementView`)."""

    enforcer: Enforcer
    store: SqliteEnforcementStore
    stop_file: StopFile
    policy: EnforcementPolicy
    clock: Clock
    units_known: Callable[[], int]

    def offer(self, document: DesiredState) -> None:
        """Hand a new desired state on."""
        self.enforcer.cloud_time_seen(document.time)
        self.enforcer.offer(document.orders, document.units, document.settings)

    def redirects(self) -> Redirects:
        """Counts, lease and limits, from the enforcer's memory."""
        rows = self.enforcer.units()
        redirected = [row for row in rows if row.phase is UnitPhase.REDIRECTED]
        leases = [row.expires_at_us for row in redirected if row.expires_at_us is not None]
        since_us = self.clock.now_us() - _DAY_US
        used = sum(1 for row in rows if row.redirected_at_us is not None and row.redirected_at_us >= since_us)
        return Redirects(
            redirected=len(redirected),
            under_way=sum(1 for row in rows if row.phase in _UNDER_WAY),
            failed=sum(1 for row in rows if row.phase is UnitPhase.FAILED),
            units=self.units_known(),
            lease_until_us=min(leases, default=None),
            lapse_policy=self.policy.lapse_policy,
            used_today=used,
            daily_cap=self.policy.daily_cap_units,
        )

    def stop_reason(self) -> str | None:
        """Why writes are frozen, or None."""
        return self.stop_file.reason() if self.stop_file.is_set() else None

    def emergency_stop(self, reason: str, actor: str) -> None:
        """Freeze all writes."""
        self.enforcer.emergency_stop(f"{reason} ({actor})")

    @property
    def shadow_mode(self) -> bool:
        """Whether nothing is written."""
        return self.enforcer.shadow_mode


def trust_files(settings: Settings) -> TrustFiles:
    """What is pinned on site, with the rotations of signing keys that were taken."""
    files = settings.enforcement.trust_file, settings.recorded_pools_file
    return TrustFiles(*files, settings.store.rotations_file)


def build(
    settings: Settings,
    keys: Keys,
    *,
    miners: MinerParts,
    poller: Poller,
    outbox: Outbox,
    epoch: Callable[[], int],
    units_known: Callable[[], int],
    clock: Clock,
    boot_id: str,
    stack: AsyncExitStack,
) -> EnforcementParts:
    """Wire enforcement. Errors: `StoreError`. What must be closed is put on `stack`."""
    stop_file = StopFile(settings.store.stop_file)
    policy = _policy(settings)
    store = SqliteEnforcementStore(settings.store.enforcement_file)
    stack.callback(store.close)
    enforcer = _enforcer(
        settings,
        keys,
        store,
        policy=policy,
        miners=miners,
        locator=FleetLocator(miners.fleet, poller),
        stop_file=stop_file,
        outbox=outbox,
        epoch=epoch,
        clock=clock,
        boot_id=boot_id,
    )
    return EnforcementParts(enforcer, store, stop_file, policy, clock, units_known)


def _policy(settings: Settings) -> EnforcementPolicy:
    return EnforcementPolicy(**settings.enforcement.model_dump(exclude={"trust_file", "recorded_pools_file"}))


def _enforcer(
    settings: Settings,
    keys: Keys,
    store: SqliteEnforcementStore,
    *,
    policy: EnforcementPolicy,
    miners: MinerParts,
    locator: MinerLocator,
    stop_file: StopFile,
    outbox: Outbox,
    epoch: Callable[[], int],
    clock: Clock,
    boot_id: str,
) -> Enforcer:
    identity = keys.current().identity
    return Enforcer(
        agent=AgentFacts(
            agent_id=identity.agent_id,
            agent_key=lambda: keys.current().fingerprint,
            organisation_id=identity.organisation_id,
            site_id=identity.site_id,
            epoch=epoch,
        ),
        policy=policy,
        writers=pool_writers(ProfiledCredentials(miners.credentials, miners.profiles)),
        locator=locator,
        locks=miners.locks,
        trust=trust_files(settings),
        stop_switch=stop_file,
        store=store,
        outbox=outbox,
        clock=clock,
        boot_id=boot_id,
    )


@dataclass(frozen=True, slots=True)
class _FoundOnly:
    """`MinerLocator` without a poller: where discovery saw them, and no figures."""

    fleet: Fleet

    def locate(self, mac: str) -> Identity | None:
        found = self.fleet.by_mac(mac)
        return found[0].identity if len(found) == 1 else None

    def duplicated(self, mac: str) -> bool:
        return len(self.fleet.by_mac(mac)) > 1 or self.fleet.is_questioned(mac)

    def power_w(self, mac: str) -> int | None:
        del mac
        return None


async def build_alone(settings: Settings, clock: Clock, macs: Sequence[str], stack: AsyncExitStack) -> Enforcer:
    """An enforcer for a technician's command while the agent does not run. Sweeps the site if a MAC is unknown.

    Errors: `SettingsError`, `StoreError`, also when another process enforces already.
    """
    keys = FileIdentityStore(settings.store.path).load()
    store = settings.store
    outbox = SqliteOutbox(
        store.outbox_file, max_bytes=store.max_bytes, headroom_bytes=store.headroom_bytes, clock=clock
    )
    stack.callback(outbox.close)
    miners = miner_parts.build(clock, credentials_file=settings.credentials.file, fleet_file=store.fleet_file)
    stack.push_async_callback(miners.close)
    locator = _FoundOnly(miners.fleet)
    if any(locator.locate(mac) is None for mac in macs):
        subnets = tuple(str(subnet) for subnet in settings.site.subnets)
        exclude = tuple(str(subnet) for subnet in settings.site.exclude)
        await miners.discovery(DiscoveryConfig(subnets=subnets, exclude=exclude)).scan()
    kept = SqliteEnforcementStore(store.enforcement_file)
    stack.callback(kept.close)
    enforcer = _enforcer(
        settings,
        keys,
        kept,
        policy=_policy(settings),
        miners=miners,
        locator=locator,
        stop_file=StopFile(store.stop_file),
        outbox=outbox,
        epoch=lambda: outbox.epoch,
        clock=clock,
        boot_id=boot_id(),
    )
    document = read_desired(outbox)
    if document is not None and document.site_id == keys.identity.site_id:
        # Whose units these are, as the cloud last said; its orders are for the agent, not for this command.
        enforcer.offer((), document.units, document.settings)
    return enforcer
