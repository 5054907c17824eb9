"""Find every miner of the site: a bounded sweep of the subnets, then who answered.

A host that does not answer is asked once more before it counts as missed. A missed miner stays known and is
reported as unreachable; it is forgotten only after it was not seen for `forget_after_s`, or when it is seen at
another address. What is known already is verified at each scan by asking the device for its MAC, because
addresses move between devices.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from hashyard_agent.errors import MinerError, StoreError
from hashyard_agent.fleet import Fleet, FleetStore, KnownMiner, SwapQuestion
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import Identity, MinerDriver, Outbox
from hashyard_agent.subnets import expand
from hashyard_profiles import Profile, Profiles
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.events import SiteControl

IDENTIFY_GROUP: Final = 24
PASSES_BEFORE_GONE: Final = 2
FORGET_AFTER_S: Final = 7 * 86_400.0
SUSPECT_PAUSE_S: Final = 5.0
_WEB_PORTS: Final = frozenset({80, 443})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """Where to look. Subnets and exclusions are CIDR texts or single addresses."""

    subnets: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    identify_group: int = IDENTIFY_GROUP
    identify_timeout_s: float = 45.0
    verify_timeout_s: float = 5.0
    known_timeout_s: float = 1.5
    passes_before_gone: int = PASSES_BEFORE_GONE
    forget_after_s: float = FORGET_AFTER_S


@dataclass(frozen=True, slots=True)
class Progress:
    """`stage` is "sweep", "verify" or "identify"; `done` of `total` addresses."""

    stage: str
    done: int
    total: int
    found: int


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan saw. `notes` are limits that may have hidden miners, in words for a person.

    `unidentified` are addresses that answer but fit no profile; `moved` are (from, to) addresses.
    """

    miners: tuple[KnownMiner, ...]
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    unidentified: tuple[str, ...] = ()
    addresses: int = 0
    unroutable: int = 0
    elapsed_s: float = 0.0
    notes: tuple[str, ...] = ()


class Swept(Protocol):
    """What a sweep saw."""

    @property
    def open_ports(self) -> dict[str, tuple[int, ...]]: ...
    @property
    def unroutable(self) -> int: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class Sweeper(Protocol):
    """Which of these addresses have which of these ports open."""

    async def sweep(
        self,
        addresses: Sequence[str],
        ports: Sequence[int],
        *,
        timeout_s: float | None = None,
        known_ports: Mapping[str, tuple[int, ...]] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Swept:
        """Ask every address, one with `known_ports` on these alone; bounded in sockets and time.

        `progress` is called with (done, found).
        """
        ...


class IdentityReader(Protocol):
    """Asks a device of a known family for its MAC: cheap, without the driver."""

    async def who(self, ip: str, profile: Profile, timeout_s: float) -> Identity:
        """Who the device says it is. Errors: `MinerError` and its kinds."""
        ...


@dataclass(slots=True)
class _Scan:
    """What one scan has found out so far."""

    open_ports: dict[str, tuple[int, ...]]
    progress: Callable[[Progress], None] | None = None
    new: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    unidentified: list[str] = field(default_factory=list)
    confirmed: set[str] = field(default_factory=set)
    displaced: list[tuple[KnownMiner, Identity]] = field(default_factory=list)

    def report(self, stage: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(Progress(stage, done, total, len(self.open_ports)))


class Discovery:
    """Keeps the fleet true. Only this class adds and removes miners."""

    def __init__(
        self,
        config: DiscoveryConfig,
        *,
        fleet: Fleet,
        sweeper: Sweeper,
        driver: MinerDriver,
        reader: IdentityReader,
        profiles: Profiles,
        outbox: Outbox | None,
        locks: MinerLocks,
        clock: Clock,
        store: FleetStore | None = None,
    ) -> None:
        self._config = config
        self._fleet = fleet
        self._sweeper = sweeper
        self._driver = driver
        self._reader = reader
        self._profiles = profiles
        self._outbox = outbox
        self._locks = locks
        self._clock = clock
        self._store = store
        self._one_at_a_time = asyncio.Lock()
        self._notes: tuple[str, ...] = ()
        self._told_duplicates: set[str] = set()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the last scan found that may hide miners, and what a person must look at."""
        duplicates = tuple(
            f"{len(miners)} devices claim the MAC {mac}: {', '.join(miner.ip for miner in miners)}"
            for mac, miners in self._fleet.duplicate_macs().items()
        )
        questions = tuple(
            f"at {question.ip} another device answers than before: was a control board swapped?"
            for question in self._fleet.questions()
        )
        return (*self._notes, *duplicates, *questions)

    async def scan(
        self, subnets: Sequence[str] | None = None, progress: Callable[[Progress], None] | None = None
    ) -> ScanResult:
        """Sweep and identify once; raises `SettingsError` for a malformed subnet."""
        chosen = self._config.subnets if subnets is None else tuple(subnets)
        addresses = await asyncio.to_thread(expand, chosen, self._config.exclude)
        async with self._one_at_a_time:
            started_s = self._clock.monotonic_s()
            scan, swept = await self._sweep(addresses, progress)
            missing = await self._second_pass(addresses, scan)
            await self._verify_known(scan)
            await self._identify(self._strangers(scan), scan)
            await self._settle(scan)
            self._forget_old()
            self._save()
            self._notes = swept.notes
            return ScanResult(
                miners=tuple(self._fleet.all()),
                new=tuple(scan.new),
                gone=tuple(missing),
                moved=tuple(scan.moved),
                unidentified=tuple(scan.unidentified),
                addresses=len(addresses),
                unroutable=swept.unroutable,
                elapsed_s=self._clock.monotonic_s() - started_s,
                notes=self.notes,
            )

    async def check_known(self) -> ScanResult:
        """The fast path: only the addresses where miners are known, on the ports where they answered."""
        async with self._one_at_a_time:
            started_s = self._clock.monotonic_s()
            addresses = self._fleet.addresses()
            swept = await self._sweeper.sweep(
                addresses,
                self._profiles.ports(),
                timeout_s=self._config.known_timeout_s,
                known_ports={ip: miner.open_ports for ip in addresses if (miner := self._fleet.by_ip(ip))},
            )
            self._touch(swept.open_ports)
            return ScanResult(
                miners=tuple(miner for miner in self._fleet.all() if miner.ip in swept.open_ports),
                gone=tuple(ip for ip in addresses if ip not in swept.open_ports),
                addresses=len(addresses),
                elapsed_s=self._clock.monotonic_s() - started_s,
                notes=swept.notes,
            )

    async def recheck(self, addresses: Iterable[str]) -> None:
        """Identify these addresses anew: what answers there does not read as what is known."""
        async with self._one_at_a_time:
            known = {ip: miner.open_ports for ip in addresses if (miner := self._fleet.by_ip(ip)) is not None}
            scan = _Scan(known)
            await self._identify(list(known), scan)
            await self._settle(scan)
            self._save()

    async def run(self, interval_s: Callable[[], float]) -> None:
        """Scan again and again, `interval_s()` apart, until cancelled; suspects are identified in between."""
        await self.check_known()
        while True:
            try:
                await self.scan()
            except StoreError as error:
                _log.warning("scan: %s", error)
            due_s = self._clock.monotonic_s() + interval_s()
            while (left_s := due_s - self._clock.monotonic_s()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await self._fleet.wait_for_suspects()
                await self._recheck_suspects()

    async def _recheck_suspects(self) -> None:
        suspects = self._fleet.take_suspects()
        if not suspects:
            return
        try:
            await self.recheck(suspects)
        except StoreError as error:
            _log.warning("recheck: %s", error)
        # A device that flaps must not keep the driver busy all the time.
        await asyncio.sleep(SUSPECT_PAUSE_S)

    async def _sweep(
        self, addresses: list[str], progress: Callable[[Progress], None] | None
    ) -> tuple[_Scan, Swept]:
        def report(done: int, found: int) -> None:
            if progress is not None:
                progress(Progress("sweep", done, len(addresses), found))

        swept = await self._sweeper.sweep(addresses, self._profiles.ports(), progress=report)
        scan = _Scan(dict(swept.open_ports), progress)
        scan.report("sweep", len(addresses), len(addresses))
        return scan, swept

    async def _second_pass(self, addresses: list[str], scan: _Scan) -> list[str]:
        """Ask the known addresses in scope that were silent again; returns those that count as gone."""
        scope = set(addresses)
        silent = [ip for ip in self._fleet.addresses() if ip in scope and ip not in scan.open_ports]
        for _ in range(self._config.passes_before_gone - 1):
            if not silent:
                break
            again = await self._sweeper.sweep(silent, self._profiles.ports())
            scan.open_ports |= again.open_ports
            silent = [ip for ip in silent if ip not in again.open_ports]
        self._touch(scan.open_ports)
        for ip in silent:
            self._fleet.miss(ip)
        return silent

    def _touch(self, open_ports: dict[str, tuple[int, ...]]) -> None:
        now_us = self._clock.now_us()
        for ip, ports in open_ports.items():
            self._fleet.touch(ip, seen_at_us=now_us, open_ports=ports)

    async def _verify_known(self, scan: _Scan) -> None:
        """Ask each known address for its MAC; one that is not who it was is identified as a stranger."""
        known = [ip for ip in scan.open_ports if self._is_settled(ip)]

        async def verify(ip: str) -> None:
            miner = self._fleet.by_ip(ip)
            profile = self._profiles.get(miner.identity.family) if miner is not None else None
            if miner is None or profile is None:
                return
            try:
                async with self._locks.hold(ip, self._config.verify_timeout_s):
                    now = await self._reader.who(ip, profile, self._config.verify_timeout_s)
            except MinerError:
                scan.confirmed.add(
                    ip
                )  # it answers but does not say: polling shows its state, nothing is concluded
                return
            if now.mac == miner.identity.mac:
                scan.confirmed.add(ip)
                self._fleet.put(replace(self._fleet.by_ip(ip) or miner, identity=_merged(miner.identity, now)))

        await self._in_groups(known, verify, lambda done: scan.report("verify", done, len(known)))

    def _is_settled(self, ip: str) -> bool:
        miner = self._fleet.by_ip(ip)
        return miner is not None and bool(miner.identity.family) and miner.identity.mac is not None

    def _strangers(self, scan: _Scan) -> list[str]:
        return [ip for ip in scan.open_ports if ip not in scan.confirmed]

    async def _identify(self, addresses: list[str], scan: _Scan) -> None:
        async def identify(ip: str) -> None:
            try:
                async with asyncio.timeout(self._config.identify_timeout_s), self._locks.hold(ip):
                    identity = await self._driver.identify(ip)
            except (MinerError, TimeoutError):
                scan.unidentified.append(ip)
                return
            self._place(identity, scan)

        await self._in_groups(addresses, identify, lambda done: scan.report("identify", done, len(addresses)))

    async def _in_groups(
        self, addresses: list[str], work: Callable[[str], Awaitable[None]], done: Callable[[int], None]
    ) -> None:
        """At most `identify_group` at a time: the driver finds nothing when hundreds run at once."""
        queue = iter(addresses)
        finished = 0

        async def worker() -> None:
            nonlocal finished
            for ip in queue:
                await work(ip)
                finished += 1
                done(finished)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._config.identify_group, len(addresses))):
                group.create_task(worker())

    def _place(self, identity: Identity, scan: _Scan) -> None:
        """Enter what was identified; whoever was known at the address and is another device is displaced."""
        ip, ports = identity.ip, scan.open_ports.get(identity.ip, ())
        old = self._fleet.by_ip(ip)
        if not identity.family:
            scan.unidentified.append(ip)
            if old is not None or _WEB_PORTS.issuperset(ports):
                return  # a miner that cannot be told now, or a page without a miner: a switch, a printer
        another = old is not None and _is_another(old.identity, identity)
        if old is not None and another:
            self._fleet.displace(ip)
            scan.displaced.append((old, identity))
        before = old if old is not None and not another else self._elsewhere(identity)
        if before is None:
            scan.new.append(ip)
        self._fleet.put(self._known(identity, ports, before))

    def _elsewhere(self, identity: Identity) -> KnownMiner | None:
        if identity.mac is None:
            return None
        return next((miner for miner in self._fleet.by_mac(identity.mac) if miner.ip != identity.ip), None)

    def _known(self, identity: Identity, ports: tuple[int, ...], before: KnownMiner | None) -> KnownMiner:
        profile = self._profiles.get(identity.family)
        now_us = self._clock.now_us()
        if before is not None and identity.mac is None:
            identity = replace(identity, mac=before.identity.mac, serial=identity.serial or before.identity.serial)
        same_family = before is not None and before.identity.family == identity.family
        expected = profile.expected_hashrate_ths(identity.model) if profile is not None else None
        return KnownMiner(
            identity=identity,
            expected_hashrate_ths=before.expected_hashrate_ths if before is not None and same_family else expected,
            writable=profile is not None and profile.writable,
            open_ports=ports,
            first_seen_us=now_us if before is None else before.first_seen_us,
            last_seen_us=now_us,
            board_serials=() if before is None else before.board_serials,
        )

    async def _settle(self, scan: _Scan) -> None:
        """When all is identified: who moved, who is there twice, and what a person must be asked."""
        for mac, miners in self._fleet.duplicate_macs().items():
            stale = [miner for miner in miners if miner.ip and miner.ip not in scan.open_ports]
            present = [miner for miner in miners if miner.ip in scan.open_ports]
            if present and stale:
                for miner in stale:
                    scan.moved.append((miner.ip, present[0].ip))
                    self._fleet.remove(miner)
            if len(present) > 1 and mac not in self._told_duplicates:
                self._told_duplicates.add(mac)
                self._tell("duplicate-mac", f"{mac}: {', '.join(miner.ip for miner in present)}")
        for old, new in scan.displaced:
            await self._ask_about(old, new)

    async def _ask_about(self, old: KnownMiner, new: Identity) -> None:
        """A miner is nowhere now, and a device never seen before is at its address: a swap, or a new machine."""
        still_here = old.identity.mac is not None and any(m.ip for m in self._fleet.by_mac(old.identity.mac))
        if still_here or new.mac is None or new.family != old.identity.family:
            return
        placed = self._fleet.by_ip(new.ip)
        if placed is None or placed.first_seen_us < placed.last_seen_us:
            return  # the newcomer was known elsewhere: addresses moved, no board did
        same = await self._has_boards_of(old, new)
        question = SwapQuestion(new.ip, old.identity, new, self._clock.now_us(), same_boards=same)
        if self._fleet.ask(question):
            boards = "with hashboards of the one before" if same else "its hashboards are not known to be the same"
            self._tell("board-swap-question", f"{new.ip}: {old.identity.mac} before, {new.mac} now, {boards}")

    async def _has_boards_of(self, old: KnownMiner, new: Identity) -> bool:
        """Whether a hashboard that the old device had is in the new one: then only the control board changed."""
        if not old.board_serials:
            return False
        try:
            async with self._locks.hold(new.ip, self._config.verify_timeout_s):
                details = await self._driver.details(new)
        except MinerError:
            return False
        return any(board.serial in old.board_serials for board in details.boards if board.serial)

    def _forget_old(self) -> None:
        oldest_us = self._clock.now_us() - int(self._config.forget_after_s * US_PER_S)
        for miner in self._fleet.all():
            missing = miner.missed_passes or not miner.ip
            if missing and miner.last_seen_us < oldest_us:
                self._fleet.remove(miner)

    def _tell(self, control: str, value: str) -> None:
        _log.warning("%s: %s", control, value)
        if self._outbox is not None:
            event = SiteControl(at_us=self._clock.now_us(), control=control, value=value[:500], actor="discovery")
            self._outbox.put_events([event])

    def _save(self) -> None:
        if self._store is not None:
            self._store.save(self._fleet.all())


def _is_another(old: Identity, new: Identity) -> bool:
    """Whether these are two devices; one that did not tell its MAC before may be the one that tells it now."""
    if old.mac is not None and new.mac is not None:
        return old.mac != new.mac
    return old.mac is not None and new.mac is None and old.family != new.family


def _merged(old: Identity, now: Identity) -> Identity:
    """What the device says now, and what is known where it says nothing. The driver's make and model stay."""
    return replace(old, serial=now.serial or old.serial, firmware=now.firmware or old.firmware)
