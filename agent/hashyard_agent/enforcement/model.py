"""What enforcement keeps of each unit, durably, and the limits it works within."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

from hashyard_agent.ports import PoolGroup
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import Event, UnitPhase
from hashyard_shared.orders import Order, OrderKind

DAY_US: Final = 24 * 3600 * 1_000_000
DEFAULT_POWER_W: Final = 3_500


class Step(StrEnum):
    """How far a unit's current job has come. Every change of step is durable before the next act."""

    IDLE = "idle"
    READY = "ready"
    WRITING = "writing"
    READ_BACK = "read-back"
    ACTIVATING = "activating"
    PROVING = "proving"
    HELD = "held"
    STUCK = "stuck"


BUSY_STEPS: Final = frozenset({Step.WRITING, Step.READ_BACK, Step.ACTIVATING, Step.PROVING})
"""Steps after the decision to write: the miner may be in between, so these are never left without a look."""


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """Who this agent is, as orders name it. `agent_key` and `epoch` are asked each time, for they change."""

    agent_id: str
    agent_key: Callable[[], str]
    organisation_id: str
    site_id: str
    epoch: Callable[[], int]


@dataclass(frozen=True, slots=True)
class EnforcementPolicy:
    """The site's own limits; they win over whatever the cloud says. Rates are for the whole site.

    `units_per_minute` and `watts_per_minute` apply to families that restart mining on a write; for the others
    `max_concurrency` is the limit.
    """

    shadow_mode: bool = False
    daily_cap_units: int = 60
    units_per_minute: float = 10
    watts_per_minute: float = 50_000
    lapse_policy: Literal["restore", "keep"] = "restore"
    max_concurrency: int = 32
    canary_wait_s: float = 600
    call_timeout_s: float = 20
    write_timeout_s: float = 60
    readback_timeout_s: float = 120
    activate_timeout_s: float = 600
    shares_timeout_s: float = 900
    confirm_interval_s: float = 5
    offline_retry_s: float = 10
    retry_first_s: float = 5
    retry_max_s: float = 600
    write_attempts_max: int = 3
    drift_check_interval_s: float = 300
    drift_reapply_max: int = 3
    quarantine_after: int = 2


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A miner's configuration from before the first write. `groups` carry the passwords that could be read."""

    snapshot_id: str
    at_us: int
    unit_id: str
    mac: str
    customer_id: str
    family: str
    model: str
    firmware: str
    groups: tuple[PoolGroup, ...]
    settings: Mapping[str, Any]
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UnitRow:
    """A unit's durable state. `goal` is what the newest accepted order, or the lapse of its lease, asks for.

    `episode` is true from the first write until the restore was proven; `snapshot_id` is the way back from it.
    `untaken` counts writes of the episode that the miner accepted and did not show: they may still come out of it.
    `unproven` counts writes whose effect was never seen; while it is above zero, a restore writes even when the
    pools look right. `kept_local` says that a technician restored it: redirects wait until he lets go.
    `maintenance` is the reason a technician gave, "" when there is none. `assigned_us` names the newest request
    for the customer's recorded pools that the unit has seen; `to_recorded` holds until they are proven in it.
    `recovered`: this box replaced a lost one, and `snapshot_id` came from there, sealed; until the next plan.
    """

    unit_id: str
    mac: str
    customer_id: str
    order: Order | None = None
    sequence: int = 0
    goal: OrderKind | None = None
    expires_at_us: int | None = None
    step: Step = Step.IDLE
    step_at_us: int = 0
    phase: UnitPhase = UnitPhase.CUSTOMER
    level: int = 0
    code: ErrorCode | None = None
    detail: str = ""
    snapshot_id: str | None = None
    target: tuple[PoolGroup, ...] = ()
    attempts: int = 0
    writes: int = 0
    unproven: int = 0
    untaken: int = 0
    drifts: int = 0
    accepted_at_level_3: int | None = None
    active_pool: str | None = None
    active_worker: str | None = None
    offline: bool = False
    redirected_at_us: int | None = None
    written_at_us: int | None = None
    episode: bool = False
    maintenance: str = ""
    kept_local: str = ""
    assigned_us: int = 0
    to_recorded: bool = False
    recovered: bool = False
    origin: str = "cloud"
    holding_pool: str | None = None
    label: str = ""
    family: str = ""
    model: str = ""
    firmware: str = ""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A line to append; `data` is JSON and never holds a password."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What is written in one transaction: state, snapshot, journal and events together, or nothing."""

    at_us: int
    unit: UnitRow | None = None
    snapshot: SnapshotRow | None = None
    journal: Sequence[JournalEntry] = ()
    events: Sequence[Event] = ()
    pair: "PairRow | None" = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PairRow:
    """What the writes to one model with one firmware have shown. `failed_units`: their write was not taken."""

    family: str
    model: str
    firmware: str
    proven_at_us: int | None = None
    failed_units: tuple[str, ...] = ()
    quarantined_at_us: int | None = None
