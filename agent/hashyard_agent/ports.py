"""What the agent's use cases need from outside: miners, the cloud, storage. Time is `hashyard_shared.clock`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hashyard_shared.events import Board, Event, PoolSeen
from hashyard_shared.protocol import BatchesAnswer, BatchHeader, BatchKind, DesiredState
from hashyard_shared.telemetry import MinerState


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answered at an address. `family` names a firmware profile, or is "" when none fits."""

    ip: str
    mac: str | None
    serial: str | None
    family: str
    make: str
    model: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One fast-lane reading; None is "not seen". Units are in the names."""

    state: MinerState
    hashrate_ths: float | None = None
    power_w: int | None = None
    temp_chip_c: float | None = None
    temp_board_c: float | None = None
    fan_rpm: int | None = None
    uptime_s: int | None = None
    shares_accepted: int | None = None
    shares_rejected: int | None = None
    active_pool: tuple[str, str] | None = None
    expected_hashrate_ths: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """What the slow lane adds: boards, fans, pools, errors, and the identity it saw."""

    identity: Identity
    boards: tuple[Board, ...] = ()
    fans_rpm: tuple[int | None, ...] = ()
    pools: tuple[PoolSeen, ...] = ()
    errors: tuple[str, ...] = ()
    power_limit_w: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as configured. `password` is None where the firmware does not give it back."""

    url: str
    worker: str
    password: str | None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class PoolGroup:
    """Pools that share a part of the hashrate; most families have a single unnamed group.

    The part is a `quota` (whole, against the other groups') or a fixed `share` (0 to 1); `uid` is the firmware's.
    """

    pools: tuple[Pool, ...]
    name: str = ""
    quota: int | None = None
    share: float | None = None
    uid: str = ""


@dataclass(frozen=True, slots=True)
class MinerConfig:
    """All a pool writer needs to change pools and nothing else, and to prove it.

    `raw` is the device's configuration as read, JSON-able, kept durably before the first write.
    `settings` are the settings other than pools in comparable form: equal before and after means untouched.
    """

    groups: tuple[PoolGroup, ...]
    raw: Mapping[str, Any]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """What the device says of the pools it uses now. `uptime_s` is since mining last started, where it is told."""

    pools: tuple[PoolSeen, ...] = field(default_factory=tuple)
    uptime_s: int | None = None

    @property
    def active(self) -> PoolSeen | None:
        """The pool in use, if the device names one."""
        return next((pool for pool in self.pools if pool.active), None)


class MinerDriver(Protocol):
    """Identification and slow-lane reads. Errors: `MinerError` and its kinds. Every call has its own deadline."""

    async def identify(self, ip: str) -> Identity:
        """Who answers at this address."""
        ...

    async def details(self, identity: Identity) -> Details:
        """Boards, fans, pools, errors."""
        ...

    async def set_led(self, identity: Identity, on: bool) -> None:
        """Switch the locating light; confirmed by reading back where the family allows it."""
        ...

    async def reboot(self, identity: Identity) -> None:
        """Ask for a restart; success is judged by the caller from the device's uptime."""
        ...


class FastReader(Protocol):
    """The fast lane: raw commands chosen by the firmware profile."""

    async def read(self, identity: Identity, timeout_s: float) -> Reading:
        """Read once. Errors: `MinerError` and its kinds."""
        ...


class Credential(Protocol):
    """How to log in to a miner."""

    @property
    def username(self) -> str: ...

    @property
    def password(self) -> str: ...


class CredentialStore(Protocol):
    """The site's credentials, matched by MAC, subnet and family."""

    def for_miner(self, identity: Identity) -> Sequence[Credential]:
        """What may be tried on this miner, the best first; may be empty."""
        ...


class MinerLocator(Protocol):
    """Where a MAC lives now, as discovery last saw it."""

    def locate(self, mac: str) -> Identity | None:
        """Who answers to this MAC, or None while nobody does."""
        ...

    def duplicated(self, mac: str) -> bool:
        """Whether this MAC was seen at more than one address, or a person must look at it for another reason."""
        ...

    def power_w(self, mac: str) -> int | None:
        """The power it last drew, or its nameplate; None when neither is known."""
        ...


@dataclass(frozen=True, slots=True)
class WriterTraits:
    """What a family can do with pools. `max_slots` counts the pools of one group.

    With `applies_on_restart` a write shows at once but is not mined by until a restart, which the writer asks for.
    """

    family: str
    max_slots: int
    max_groups: int = 1
    fixed_slots: bool = False
    password_readable: bool = True
    write_restarts_mining: bool = True
    applies_on_restart: bool = False
    readback_after_s: float = 0.5


class PoolWriter(Protocol):
    """A family's merge writer: changes pools and nothing else. Believes no return value.

    Every call ends within its own deadline. Errors: `MinerError` and its kinds.
    """

    @property
    def traits(self) -> WriterTraits:
        """What this family can do."""
        ...

    async def identify(self, identity: Identity) -> Identity:
        """Who answers there now, over the very protocol that the write will use."""
        ...

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        """Why these groups cannot be written so that they read back the same, or None when they can."""
        ...

    async def read(self, identity: Identity) -> MinerConfig:
        """All pool groups and settings; an empty or blank pool list is `MinerMalformedError`."""
        ...

    async def write(self, identity: Identity, current: MinerConfig, groups: Sequence[PoolGroup]) -> None:
        """Write these groups over what was just read."""
        ...

    async def status(self, identity: Identity) -> PoolStatus:
        """Which pool is active and alive, and its shares."""
        ...


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """An outbox row."""

    header: BatchHeader
    body: bytes


class Outbox(Protocol):
    """The durable queue towards the cloud. A row is gone only after the cloud's durable acceptance."""

    def put(self, kind: BatchKind, cycle_at_us: int, count: int, body: bytes) -> int:
        """Append a row durably; returns its seq. What had to be dropped for room is in the gap ledger."""
        ...

    def put_events(self, events: Sequence[Event]) -> int:
        """Append events as one row, ahead of telemetry."""
        ...


class CloudLink(Protocol):
    """The cloud over HTTPS. Errors: `CloudUnreachableError`, `CloudRefusedError`."""

    async def send(self, batches: Sequence[StoredBatch]) -> BatchesAnswer:
        """Deliver rows as stored; a verdict comes back for each."""
        ...

    async def desired(self, etag: str | None, wait_s: float) -> tuple[DesiredState, str] | None:
        """The newest desired state and its ETag, or None when nothing changed within `wait_s`."""
        ...
