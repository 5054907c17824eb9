"""What an agent reports besides telemetry. Each event travels in a batch of kind `events`."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from hashyard_shared.errors import ErrorCode
from hashyard_shared.journal import JournalLine
from hashyard_shared.orders import OrderKind

MAX_EVENTS_PER_BATCH: Final = 1_000
MAX_DETAIL_CHARS: Final = 500


class UnitPhase(StrEnum):
    """Where a unit stands on its way to or from the holding pool."""

    CUSTOMER = "customer"
    WAITING = "waiting"
    REDIRECTING = "redirecting"
    REDIRECTED = "redirected"
    RESTORING = "restoring"
    RESTORED = "restored"
    REFUSED = "refused"
    FAILED = "failed"
    SHADOW = "shadow"


class ConfirmationLevel:
    """How sure a change of pools is."""

    NONE: Final = 0
    SENT: Final = 1
    READ_BACK: Final = 2
    POOL_ACTIVE: Final = 3
    SHARES_ADVANCE: Final = 4


class UnitStatus(BaseModel):
    """A unit's enforcement state after something happened to it."""

    kind: Literal["unit-status"] = "unit-status"
    at_us: int
    unit_id: str = Field(max_length=64)
    mac: str = Field(max_length=17)
    order_id: str | None = Field(max_length=64)
    order_kind: OrderKind | None
    sequence: int | None
    phase: UnitPhase
    level: int = Field(ge=0, le=4)
    code: ErrorCode | None = None
    detail: str = Field(default="", max_length=MAX_DETAIL_CHARS)
    active_pool: str | None = Field(default=None, max_length=512)
    active_worker: str | None = Field(default=None, max_length=256)
    expires_at_us: int | None = None


class OrderRefused(BaseModel):
    """An order that the agent will not carry out, with its reason."""

    kind: Literal["order-refused"] = "order-refused"
    at_us: int
    order_id: str | None = Field(max_length=64)
    unit_id: str | None = Field(max_length=64)
    sequence: int | None
    code: ErrorCode
    detail: str = Field(default="", max_length=MAX_DETAIL_CHARS)


class JournalAppended(BaseModel):
    """Lines of the agent's journal, in order, exactly as hashed."""

    kind: Literal["journal"] = "journal"
    at_us: int
    lines: list[JournalLine] = Field(max_length=MAX_EVENTS_PER_BATCH)


class SiteControl(BaseModel):
    """Something a technician did or set on site: emergency stop, trust, maintenance, cap, shadow mode."""

    kind: Literal["site-control"] = "site-control"
    at_us: int
    control: str = Field(max_length=64)
    value: str = Field(max_length=MAX_DETAIL_CHARS)
    actor: str = Field(max_length=128)


class Snapshot(BaseModel):
    """A unit's raw configuration from before the first write, sealed to the site's recovery key (base64)."""

    kind: Literal["snapshot"] = "snapshot"
    at_us: int
    unit_id: str = Field(max_length=64)
    mac: str = Field(max_length=17)
    snapshot_id: str = Field(max_length=64)
    sealed: str = Field(max_length=256 * 1024)


class Gap(BaseModel):
    """Cycles that were measured or due but could not be kept or taken, and why."""

    kind: Literal["gap"] = "gap"
    from_us: int
    to_us: int
    cycles: int = Field(ge=0)
    samples: int = Field(ge=0)
    reason: str = Field(max_length=64)
    first_seq: int | None = None
    last_seq: int | None = None


class Health(BaseModel):
    """The agent's own state: what a host needs to see of a site at a glance."""

    kind: Literal["health"] = "health"
    at_us: int
    version: str = Field(max_length=64)
    backlog_rows: int = Field(ge=0)
    backlog_bytes: int = Field(ge=0)
    oldest_at_us: int | None
    miners_found: int = Field(ge=0)
    cycle_s: float = Field(ge=0)
    emergency_stop: bool
    shadow_mode: bool
    notes: list[str] = Field(default_factory=list, max_length=50)


class CommandResult(BaseModel):
    """What became of an LED, reboot or check command."""

    kind: Literal["command-result"] = "command-result"
    at_us: int
    command_id: str = Field(max_length=64)
    miner_id: str = Field(max_length=128)
    done: bool
    code: ErrorCode | None = None
    detail: str = Field(default="", max_length=MAX_DETAIL_CHARS)


class Board(BaseModel):
    """One hashboard as the slow lane saw it; None is "not seen"."""

    index: int = Field(ge=0, le=64)
    hashrate_ths: float | None = None
    chips: int | None = None
    expected_chips: int | None = None
    temp_board_c: float | None = None
    temp_chip_c: float | None = None
    serial: str | None = Field(default=None, max_length=128)
    missing: bool = False


class PoolSeen(BaseModel):
    """One pool slot as read from the miner; never with a password."""

    slot: int = Field(ge=0, le=64)
    url: str = Field(max_length=512)
    worker: str = Field(max_length=256)
    active: bool | None = None
    alive: bool | None = None
    accepted: int | None = None
    rejected: int | None = None


class MinerDetails(BaseModel):
    """What the slow lane read of one miner: boards, fans, pools, errors."""

    kind: Literal["miner-details"] = "miner-details"
    at_us: int
    miner_id: str = Field(max_length=128)
    boards: list[Board] = Field(default_factory=list, max_length=64)
    fans_rpm: list[int | None] = Field(default_factory=list, max_length=16)
    pools: list[PoolSeen] = Field(default_factory=list, max_length=64)
    errors: list[str] = Field(default_factory=list, max_length=50)
    power_limit_w: int | None = None


class Unsupported(BaseModel):
    """A part of the desired state that this agent does not know."""

    kind: Literal["unsupported"] = "unsupported"
    at_us: int
    what: str = Field(max_length=128)
    code: Literal[ErrorCode.UNSUPPORTED] = ErrorCode.UNSUPPORTED


Event = Annotated[
    UnitStatus
    | OrderRefused
    | JournalAppended
    | SiteControl
    | Snapshot
    | Gap
    | Health
    | CommandResult
    | MinerDetails
    | Unsupported,
    Field(discriminator="kind"),
]


class EventBatch(BaseModel):
    """The body of a batch of kind `events`."""

    events: list[Event] = Field(max_length=MAX_EVENTS_PER_BATCH)
