"""The agent put together: the only place that builds its parts, and what runs them until a signal comes."""

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from hashyard_agent import enforcement_parts, miner_parts
from hashyard_agent.adapters.cloud_link import CloudHttp, HttpCloudLink
from hashyard_agent.adapters.host import boot_id
from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import STATE_NONCE, SqliteOutbox
from hashyard_agent.adapters.outbox_salvage import set_file_aside
from hashyard_agent.adapters.store import StoreCorruptError, StoreFullError
from hashyard_agent.commands import CommandConfig, MinerCommands
from hashyard_agent.desired import DesiredFeed
from hashyard_agent.discovery import Discovery, DiscoveryConfig
from hashyard_agent.enforcement.enforcer import Enforcer
from hashyard_agent.enforcement_parts import EnforcementParts
from hashyard_agent.errors import CloudError, SettingsError
from hashyard_agent.hand_commands import HandCommands
from hashyard_agent.health import HealthReporter, Vitals
from hashyard_agent.identity import AgentIdentity
from hashyard_agent.key_change import KeyChanges, KeyRing
from hashyard_agent.key_rotations import KeyRotations
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.local_site import LocalSiteView
from hashyard_agent.local_web.server import LocalWeb
from hashyard_agent.logs import set_up_logging
from hashyard_agent.miner_parts import MinerParts
from hashyard_agent.polling import Poller, PollerConfig
from hashyard_agent.settings import Settings
from hashyard_agent.supervisor import Part, Supervisor
from hashyard_agent.sync import Sync
from hashyard_agent.tasks import TaskDesk
from hashyard_agent.version import agent_version
from hashyard_shared.clock import Clock, SystemClock
from hashyard_shared.protocol import SiteSettings
from hashyard_shared.signing import Envelope

LOG = logging.getLogger(__name__)
FIRST_DOCUMENT_S: Final = 5.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class CloudSide:
    """What talks to the cloud and what it needs."""

    outbox: SqliteOutbox
    monitor: LinkMonitor
    sync: Sync
    feed: DesiredFeed
    on_time: list[Callable[[Envelope], bool]]
    keys: KeyRing
    key_changes: KeyChanges


@dataclass(frozen=True, slots=True)
class SiteSide:
    """What talks to miners, and decides about them."""

    miners: MinerParts
    discovery: Discovery
    poller: Poller
    enforcement: EnforcementParts
    commands: MinerCommands
    tasks: TaskDesk
    by_hand: HandCommands


def run(settings: Settings) -> None:
    """Run the agent until SIGTERM or SIGINT. Errors: `AgentError`s that keep it from starting."""
    clock = SystemClock()
    set_up_logging(clock)
    identity = FileIdentityStore(settings.store.path).load().identity
    if not settings.site.subnets:
        LOG.warning("site.subnets is empty: nothing is swept. Enter the site's networks in agent.toml")
    asyncio.run(_run(settings, identity, clock))


async def _run(settings: Settings, identity: AgentIdentity, clock: Clock) -> None:
    main = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if main is not None:
        for number in _SIGNALS:
            loop.add_signal_handler(number, main.cancel)
    damage: list[StoreCorruptError] = []

    def end(error: StoreCorruptError) -> None:
        if not damage and main is not None:
            main.cancel()
        damage.append(error)

    try:
        async with AsyncExitStack() as stack:
            supervisor, feed = await _build(settings, identity, clock, stack, end)
            LOG.info("agent %s of site %s runs, version %s", identity.name, identity.site_name, agent_version())
            await _first_document(feed)
            await supervisor.run()
    except asyncio.CancelledError:
        if damage:
            # Started again, the agent carries over what can still be read.
            raise damage[0] from None
        LOG.info("stopped; what waits for the cloud is kept")


async def _build(
    settings: Settings,
    identity: AgentIdentity,
    clock: Clock,
    stack: AsyncExitStack,
    end: Callable[[StoreCorruptError], None],
) -> tuple[Supervisor, DesiredFeed]:
    boot = boot_id()
    cloud = await _cloud_side(settings, identity, clock, stack)
    cloud.outbox.on_damage = end
    site = _site_side(settings, clock, boot, cloud, stack)
    intervals = Intervals(settings, cloud.feed)
    running: list[Supervisor] = []

    def vitals() -> Vitals:
        return _vitals(site, running[0])

    health = HealthReporter(
        outbox=cloud.outbox,
        backlog=cloud.outbox,
        state=cloud.outbox,
        clock=clock,
        version=agent_version(),
        vitals=vitals,
    )
    parts = [
        Part("discovery", lambda: site.discovery.run(intervals.discovery_s)),
        Part("polling", lambda: _poll(cloud.outbox, site.poller, intervals)),
        Part("enforcement", site.enforcement.enforcer.run),
        Part("sync", cloud.sync.run),
        Part("desired state", cloud.feed.run),
        Part("tasks", site.tasks.run),
        Part("commands by hand", site.by_hand.run),
        Part("agent key", cloud.key_changes.run),
        Part("health", health.run),
    ]
    running.append(Supervisor(clock, parts))
    if settings.local_web.enabled:
        view = _page_view(clock, cloud, site, notes=lambda: vitals().notes)
        page = LocalWeb(view, settings.local_web.host, settings.local_web.port)
        await page.start()
        stack.push_async_callback(page.close)
    return running[0], cloud.feed


async def _poll(outbox: SqliteOutbox, poller: Poller, intervals: "Intervals") -> None:
    """First say since when nothing was measured: the agent, or this part of it, did not run."""
    try:
        outbox.enter_time_not_running(intervals.poll_s())
    except StoreFullError as error:
        LOG.warning("the time without the agent is entered at the next start: %s", error)
    await poller.run(intervals.poll_s)


def _site_side(
    settings: Settings,
    clock: Clock,
    boot: str,
    cloud: CloudSide,
    stack: AsyncExitStack,
) -> SiteSide:
    miners = miner_parts.build(
        clock,
        credentials_file=settings.credentials.file,
        profile_folder=settings.site.profiles,
        fleet_file=settings.store.fleet_file,
    )
    stack.push_async_callback(miners.close)
    poller = miners.poller(_poller_config(settings), cloud.outbox, boot)
    enforcement = enforcement_parts.build(
        settings,
        cloud.keys,
        miners=miners,
        poller=poller,
        outbox=cloud.outbox,
        epoch=lambda: cloud.outbox.epoch,
        units_known=cloud.feed.units_known,
        clock=clock,
        boot_id=boot,
        stack=stack,
    )
    cloud.on_time.append(enforcement.enforcer.cloud_time_seen)
    poller.on_back = enforcement.enforcer.miner_seen
    cloud.feed.subscribe(lambda document: miners.fleet.settle_bound(unit.mac for unit in document.units))
    cloud.feed.subscribe(enforcement.offer)
    commands = miners.commands(CommandConfig(reboots_per_minute=settings.enforcement.units_per_minute))
    tasks = TaskDesk(
        commands=commands,
        pools=enforcement.enforcer,
        fleet=miners.fleet,
        outbox=cloud.outbox,
        state=cloud.outbox,
        clock=clock,
        time_us=enforcement.enforcer.time_at_least_us,
    )
    cloud.feed.subscribe(tasks.offer)
    by_hand = HandCommands(
        store=enforcement.store,
        commands=commands,
        fleet=miners.fleet,
        identify=miners.driver.identify,
        cap=enforcement.enforcer.cap,
        outbox=cloud.outbox,
        clock=clock,
    )
    discovery = miners.discovery(_discovery_config(settings), cloud.outbox)
    return SiteSide(miners, discovery, poller, enforcement, commands, tasks, by_hand)


def _page_view(
    clock: Clock,
    cloud: CloudSide,
    site: SiteSide,
    notes: Callable[[], Sequence[str]],
) -> LocalSiteView:
    return LocalSiteView(
        identity=cloud.keys.current().identity,
        fleet=site.miners.fleet,
        poller=site.poller,
        commands=site.commands,
        feed=cloud.feed,
        monitor=cloud.monitor,
        backlog=cloud.outbox,
        enforcement=site.enforcement,
        clock=clock,
        notes=notes,
    )


async def _first_document(feed: DesiredFeed) -> None:
    """On the very first start, ask for the site's settings before polling begins with the defaults."""
    if feed.current is not None:
        return
    try:
        async with asyncio.timeout(FIRST_DOCUMENT_S):
            await feed.poll(0)
    except (CloudError, TimeoutError) as error:
        LOG.warning("the site's settings are not known yet, starting with the defaults: %s", error)


async def _cloud_side(
    settings: Settings, identity: AgentIdentity, clock: Clock, stack: AsyncExitStack
) -> CloudSide:
    outbox = _outbox(settings, identity, clock)
    stack.callback(outbox.close)
    trust = enforcement_parts.trust_files(settings)
    on_time: list[Callable[[Envelope], bool]] = []

    def on_token(epoch: int, time: Envelope) -> None:
        if epoch > outbox.epoch:
            outbox.adopt_epoch(epoch)
        for taker in on_time:
            taker(time)

    http = await stack.enter_async_context(
        CloudHttp(identity.cloud_url, settings.cloud.ca_file, settings.cloud.timeout_s)
    )
    ring = KeyRing(FileIdentityStore(settings.store.path), http)
    link = HttpCloudLink(http, ring, clock, nonce=lambda: outbox.state(STATE_NONCE), on_token=on_token)
    monitor = LinkMonitor(outbox, clock)
    sync = Sync(outbox, link, monitor)
    outbox.on_put = sync.wake
    rotations = KeyRotations(trust, outbox, clock)
    feed = DesiredFeed(link, outbox, monitor, rotations.offer, site_id=identity.site_id)
    key_changes = KeyChanges(ring, monitor)
    feed.subscribe(key_changes.offer)
    return CloudSide(outbox, monitor, sync, feed, on_time, ring, key_changes)


def _outbox(settings: Settings, identity: AgentIdentity, clock: Clock) -> SqliteOutbox:
    """The outbox of this identity. Rows of a former one (a moved machine) are kept in a file of their own."""
    store = settings.store

    def opened() -> SqliteOutbox:
        return SqliteOutbox(
            store.outbox_file, max_bytes=store.max_bytes, headroom_bytes=store.headroom_bytes, clock=clock
        )

    outbox = opened()
    if not outbox.claim(identity.agent_id):
        outbox.close()
        aside = set_file_aside(store.outbox_file, f"former-{clock.now_us()}")
        LOG.warning("this machine was enrolled anew; what waited under its former identity is in %s", aside)
        outbox = opened()
        outbox.claim(identity.agent_id)
    if outbox.epoch < identity.epoch:
        outbox.adopt_epoch(identity.epoch)
    return outbox


def _discovery_config(settings: Settings) -> DiscoveryConfig:
    return DiscoveryConfig(
        subnets=tuple(str(subnet) for subnet in settings.site.subnets),
        exclude=tuple(str(subnet) for subnet in settings.site.exclude),
    )


def _poller_config(settings: Settings) -> PollerConfig:
    polling = settings.polling
    return PollerConfig(
        deadline_s=polling.timeout_s,
        max_in_flight=polling.max_concurrency,
        details_interval_s=polling.slow_interval_s,
    )


def _vitals(site: SiteSide, supervisor: Supervisor) -> Vitals:
    report = site.poller.last_report
    failing = [f"{name} is started again: {problem}" for name, problem in supervisor.failing.items()]
    return Vitals(
        miners_found=len(site.miners.fleet),
        cycle_s=report.elapsed_s if report else 0.0,
        emergency_stop=site.enforcement.stop_reason() is not None,
        shadow_mode=site.enforcement.shadow_mode,
        notes=[*failing, *_clock_notes(site.enforcement.enforcer), *site.discovery.notes],
    )


def _clock_notes(enforcer: Enforcer) -> list[str]:
    try:
        note = enforcer.clock_note()
    except SettingsError as error:
        return [str(error)]
    return [note] if note else []


class Intervals:
    """How often to poll and to sweep: what is set on site, else what the cloud sets, else the defaults."""

    def __init__(self, settings: Settings, feed: DesiredFeed) -> None:
        self._polling = settings.polling
        self._feed = feed

    def poll_s(self) -> float:
        """Seconds from one cycle's start to the next."""
        return self._polling.interval_s or self._cloud().poll_interval_s

    def discovery_s(self) -> float:
        """Seconds from one sweep to the next."""
        return self._polling.discovery_interval_s or self._cloud().discovery_interval_s

    def _cloud(self) -> SiteSettings:
        document = self._feed.current
        return document.settings if document else SiteSettings()
