"""One simulated miner, whatever its firmware: identity, pools, mining, restarts.

Nothing ticks. Shares, uptime and hashrate are computed from the clock when somebody looks, so a thousand
devices cost nothing while nobody reads them. `settle` books the shares since the last look; whatever
changes who gets shares (pools, a restart, a pool's death) settles first.
"""

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hashyard_simulator.catalog import Model
from hashyard_simulator.clock import SimClock
from hashyard_simulator.faults import DeviceDiedError, Fault, FaultKind, FaultSet
from hashyard_simulator.pools import PoolWorld

MAX_WRITE_LOG = 500
MAX_RESTART_LOG = 500
MAX_POOLS = 32
IDLE_POWER_W = 45
REJECTED_RATIO = 0.004
STALE_RATIO = 0.002
_WANDER = 0.015


@dataclass(eq=False, slots=True)
class Pool:
    """One configured pool. `shares` were found for it since the mining program started."""

    url: str
    user: str
    password: str = "x"
    group: int = 0
    priority: int = 0
    enabled: bool = True
    shares: float = 0.0

    @property
    def rejected(self) -> int:
        return int(self.shares * REJECTED_RATIO)

    @property
    def stale(self) -> int:
        return int(self.shares * STALE_RATIO)

    @property
    def accepted(self) -> int:
        return int(self.shares) - self.rejected - self.stale

    def copy(self) -> "Pool":
        return Pool(self.url, self.user, self.password, self.group)


@dataclass(slots=True)
class Identity:
    """Who the device is. `mac` in lower case; `board_serials` belong to the hashboards."""

    ip: str
    mac: str
    serial: str
    hostname: str
    board_serials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take, in seconds."""

    restart_s: float = 3.0
    reboot_s: float = 6.0
    share_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Board:
    slot: int
    hashrate_ths: float
    chips: int
    temp_pcb_c: int
    temp_chip_c: int
    serial: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the sensors show now. Rates in TH/s, `fans_rpm` one per fan."""

    hashrate_ths: float
    average_ths: float
    boards: tuple[Board, ...]
    fans_rpm: tuple[int, ...]
    power_w: int
    uptime_s: int
    env_temp_c: int


@dataclass(slots=True)
class Mined:
    """How long and how much was mined for one pool and worker: seconds, and TH/s times seconds."""

    seconds: float = 0.0
    work_ths_s: float = 0.0


@dataclass(slots=True)
class Counters:
    connections: int = 0
    requests: int = 0
    writes: int = 0
    denied: int = 0


@dataclass(slots=True)
class _Mining:
    """Since when the mining program runs, and until when it is on its way up."""

    started_at_s: float
    restarting_until_s: float = 0.0
    rebooting: bool = False
    restarts: int = 0
    settled_at_s: float = 0.0
    asleep: bool = False


@dataclass(slots=True)
class Tuning:
    """What the control API may bend, and the share of the nameplate that the firmware's profile asks for."""

    profile_share: float = 1.0
    hashrate_factor: float = 1.0
    temp_offset_c: float = 0.0
    power_factor: float = 1.0
    share_factor: float = 1.0


@dataclass(eq=False)
class Device:
    """The state of one miner. Families read it through `reading` and change it through `submit_write`."""

    site: str
    family: str
    model: Model
    identity: Identity
    pools: list[Pool]
    settings: dict[str, Any]
    password: str
    clock: SimClock
    world: PoolWorld
    timing: Timing
    seed: int
    account: str = "root"
    faults: FaultSet = field(default_factory=FaultSet)
    counters: Counters = field(default_factory=Counters)
    tuning: Tuning = field(default_factory=Tuning)
    write_log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_WRITE_LOG))
    mined: dict[tuple[str, str], Mined] = field(default_factory=dict)
    restart_log: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_RESTART_LOG))
    on_network_change: Callable[[], None] | None = None
    staged_pools: list[Pool] | None = None

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        self._phase = rng.uniform(0.0, 2 * math.pi)
        self._periods_s = (rng.uniform(40.0, 90.0), rng.uniform(300.0, 700.0))
        self._base_temp_c = rng.uniform(52.0, 60.0)
        self._pending: list[Callable[[], None]] = []
        now_s = self.clock.monotonic_s()
        up_s = rng.uniform(3600.0, 20 * 86400.0)
        self._mining = _Mining(started_at_s=now_s - up_s, settled_at_s=now_s)
        for index, pool in enumerate(self.pools):
            pool.priority = index
        if self.pools:
            self.pools[0].shares = up_s / self.timing.share_s

    # -- who mines where -------------------------------------------------------------------------

    @property
    def restarting(self) -> bool:
        return self.clock.monotonic_s() < self._mining.restarting_until_s

    @property
    def rebooting(self) -> bool:
        return self._mining.rebooting and self.restarting

    @property
    def restarting_for_s(self) -> float:
        """Seconds until the restart is over, 0 when there is none."""
        return max(0.0, self._mining.restarting_until_s - self.clock.monotonic_s())

    @property
    def restart_count(self) -> int:
        return self._mining.restarts

    @property
    def dead(self) -> bool:
        return self.faults.find(FaultKind.DIE, self.clock.monotonic_s()) is not None

    @property
    def asleep(self) -> bool:
        return self._mining.asleep

    def active_pool(self) -> Pool | None:
        """The pool that gets the shares now: the living one with the best priority."""
        if self.restarting or self.asleep or self.dead:
            return None
        return self._preferred_pool()

    def _preferred_pool(self) -> Pool | None:
        living = [p for p in self.pools if p.enabled and self.world.alive(p.url)]
        return min(living, key=lambda p: p.priority, default=None)

    def settle(self) -> None:
        """Books the shares found since the last look."""
        now_s = self.clock.monotonic_s()
        mining = self._mining
        dead = self.dead
        since_s = max(mining.settled_at_s, mining.restarting_until_s, self.faults.dead_until_s)
        mining.settled_at_s = now_s
        if now_s <= since_s or mining.asleep or dead:
            return
        pool = self._preferred_pool()
        if pool is not None:
            rate = self.tuning.hashrate_factor * self.tuning.share_factor / self.timing.share_s
            pool.shares += (now_s - since_s) * rate
            mined = self.mined.setdefault((pool.url, pool.user), Mined())
            mined.seconds += now_s - since_s
            mined.work_ths_s += (now_s - since_s) * self._nominal_ths()

    # -- what happens to it ----------------------------------------------------------------------

    def restart(self, *, reboot: bool = False) -> None:
        """The mining program (or the whole device) restarts; deferred writes take effect."""
        self.settle()
        pending, self._pending = self._pending, []
        for change in pending:
            change()
        if self.staged_pools is not None:
            self.replace_pools(self.staged_pools)
        for pool in self.pools:
            pool.shares = 0.0
        length_s = self.timing.reboot_s if reboot else self.timing.restart_s
        mining = self._mining
        mining.restarting_until_s = self.clock.monotonic_s() + length_s
        mining.started_at_s = mining.restarting_until_s
        mining.rebooting = reboot
        mining.restarts += 1
        self.restart_log.append(self.clock.wall_s())
        self._network_changed()

    def revive(self) -> None:
        """All faults are gone; a dead device has its power back and starts anew."""
        self.settle()
        was_dead = self.dead
        self.faults.clear()
        if was_dead:
            self.restart(reboot=True)

    def sleep(self, *, asleep: bool) -> None:
        """Curtails or resumes mining."""
        self.settle()
        self._mining.asleep = asleep

    def die(self) -> None:
        """It stops answering until its faults are cleared."""
        self.settle()
        self.faults.add(Fault(FaultKind.DIE))
        self._network_changed()

    def swap_board(self) -> None:
        """Another control board: new MAC and serial, the same hashboards."""
        rng = random.Random(f"{self.identity.mac}{self._mining.restarts}{self.clock.monotonic_s()}")
        self.identity.mac = random_mac(rng)
        self.identity.serial = random_serial(rng)
        self.restart(reboot=True)

    def replace_pools(self, pools: list[Pool]) -> None:
        """The whole pool list is another one; shares start from zero."""
        self.settle()
        self.staged_pools = None
        self.pools = pools[:MAX_POOLS]
        for index, pool in enumerate(self.pools):
            pool.priority = index

    def submit_write(
        self, command: str, content: Any, change: Callable[[], None], *, restart: bool = False
    ) -> str:
        """A write that the device accepted; logs it and lets the armed faults bend it.

        `change` makes the change, `restart` says that this firmware restarts mining for it. Returns the
        outcome: `applied`, `lied` or `deferred`. Raises `DeviceDiedError`.
        """
        now_s = self.clock.monotonic_s()
        died = self.faults.take(FaultKind.DIE_ON_WRITE, now_s)
        if died is not None:
            applied = bool(died.params.get("applied", True))
            if applied:
                change()
            self.log_write(command, content, "died_applied" if applied else "died")
            self.die()
            raise DeviceDiedError(self.identity.ip)
        if self.faults.take(FaultKind.LIE, now_s) is not None:
            self.log_write(command, content, "lied")
            return "lied"
        if self.faults.take(FaultKind.AFTER_RESTART_ONLY, now_s) is not None:
            self._pending.append(change)
            self.log_write(command, content, "deferred")
            return "deferred"
        self.settle()
        change()
        self.log_write(command, content, "applied")
        if restart:
            self.restart()
        return "applied"

    def stage_pools(self, pools: list[Pool]) -> None:
        """Pools that are stored now and used after the next restart, on firmwares that work like that."""
        self.staged_pools = pools

    def log_write(self, command: str, content: Any, outcome: str) -> None:
        self.counters.writes += 1
        self.write_log.append(
            {"at_s": self.clock.wall_s(), "command": command, "content": content, "outcome": outcome}
        )

    def _network_changed(self) -> None:
        if self.on_network_change is not None:
            self.on_network_change()

    # -- what it shows ---------------------------------------------------------------------------

    def effective_password(self) -> str:
        fault = self.faults.find(FaultKind.AUTH, self.clock.monotonic_s())
        return self.password if fault is None else str(fault.params.get("password", "changed-by-hand"))

    def refuses(self, *, write: bool) -> bool:
        return self.faults.take(FaultKind.REFUSE, self.clock.monotonic_s(), write=write) is not None

    def reported_pools(self) -> list[Pool]:
        """The pools as a read of the configuration shows them; a fault may blank them."""
        self.settle()
        fault = self.faults.take(FaultKind.BLANK_POOLS, self.clock.monotonic_s())
        if fault is None:
            return list(self.pools if self.staged_pools is None else self.staged_pools)
        if fault.params.get("mode") == "empty":
            return []
        return [Pool("", "", "", priority=index) for index in range(3)]

    def reading(self, *, reported: bool = True) -> Reading:
        """The sensors now. `reported` False ignores the fault that shows zeros: the truth."""
        now_s = self.clock.monotonic_s()
        if reported and self.faults.find(FaultKind.ZEROS, now_s) is not None:
            return self._zeros()
        working = self.active_pool() is not None
        rate_ths = self._rate_now_ths(now_s) if working else 0.0
        return Reading(
            hashrate_ths=rate_ths,
            average_ths=self._nominal_ths() if working else 0.0,
            boards=self._boards(rate_ths, now_s),
            fans_rpm=self._fans(working=working),
            power_w=self._power_now_w(rate_ths),
            uptime_s=max(0, int(now_s - self._mining.started_at_s)),
            env_temp_c=24,
        )

    def _rate_now_ths(self, now_s: float) -> float:
        fast_s, slow_s = self._periods_s
        wave = math.sin(now_s / fast_s + self._phase) + math.sin(now_s / slow_s + 2 * self._phase)
        return self._nominal_ths() * (1 + _WANDER * wave / 2)

    def _nominal_ths(self) -> float:
        return self.model.hashrate_ths * self.tuning.profile_share * self.tuning.hashrate_factor

    def _power_now_w(self, rate_ths: float) -> int:
        if self.dead:
            return 0
        if rate_ths <= 0:
            return min(IDLE_POWER_W, self.model.power_w // 3)
        share = rate_ths / self.model.hashrate_ths
        return round(self.model.power_w * share * self.tuning.power_factor)

    def _fans(self, *, working: bool) -> tuple[int, ...]:
        base = 5400 if working else 2400
        return tuple(base + 60 * fan for fan in range(self.model.fans))

    def _boards(self, rate_ths: float, now_s: float) -> tuple[Board, ...]:
        drift = 1.5 * math.sin(now_s / self._periods_s[1] + self._phase) if rate_ths else -20.0
        boards = []
        for slot in range(self.model.boards):
            pcb_c = round(self._base_temp_c + drift + slot + self.tuning.temp_offset_c)
            boards.append(
                Board(
                    slot=slot,
                    hashrate_ths=rate_ths / self.model.boards,
                    chips=self.model.chips_per_board,
                    temp_pcb_c=pcb_c,
                    temp_chip_c=pcb_c + 14,
                    serial=self.identity.board_serials[slot],
                )
            )
        return tuple(boards)

    def _zeros(self) -> Reading:
        boards = tuple(
            Board(slot, 0.0, 0, 0, 0, self.identity.board_serials[slot]) for slot in range(self.model.boards)
        )
        return Reading(0.0, 0.0, boards, (0,) * self.model.fans, 0, 0, 0)


def random_mac(rng: random.Random) -> str:
    """A locally plausible unicast MAC in lower case with colons."""
    tail = (rng.randrange(256) for _ in range(3))
    return ":".join(["02", "5e", "e0", *(f"{byte:02x}" for byte in tail)])


def random_serial(rng: random.Random) -> str:
    return "SIM" + "".join(rng.choice("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(13))
