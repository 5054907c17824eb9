"""Redirect and restore orders, the units they are about, and what agents said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import UnitPhase
from hashyard_shared.orders import OrderKind, ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectControlsRow:
    """The organisation's own rules beside the switch and the approvals, which stand with the organisation."""

    organisation_id: str
    freeze_restores: bool
    holding_pool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectUnitRow:
    """A unit's redirect as ordered last and as seen last. One row a unit, kept for its sequence.

    `live` is true while the newest order still travels in the desired state. `level` is the confirmation level of
    that order; `held_code` is why the agent cannot do it, `held_until_us` when it is worth asking again.
    `at_pool_us` is since when it is seen at the holding pool (level 3 or better), None when it is not.
    """

    organisation_id: str
    unit_id: str
    case_id: str
    customer_id: str
    contract_id: str
    site_id: str
    label: str
    mac: str
    wanted: OrderKind
    live: bool
    reason: ReasonCode
    order_id: str
    sequence: int
    ordered_us: int
    expires_us: int | None
    renew_us: int | None
    phase: UnitPhase
    level: int
    code: ErrorCode | None
    detail: str
    active_pool: str | None
    active_worker: str | None
    status_us: int | None
    confirmed_us: int | None
    at_pool_us: int | None
    held_code: ErrorCode | None
    held_until_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectOrderRow:
    """An order as signed. `envelope` is the JSON of `hashyard_shared.signing.Envelope`."""

    order_id: str
    organisation_id: str
    unit_id: str
    case_id: str
    customer_id: str
    site_id: str
    agent_id: str
    agent_key: str
    epoch: int
    mac: str
    kind: OrderKind
    reason: ReasonCode
    holding_pool: str | None
    sequence: int
    issued_us: int
    expires_us: int | None
    key: str
    envelope: str
    refused_us: int | None
    refused_code: ErrorCode | None
    refused_detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitEventRow:
    """One thing an agent said of a unit's order: append-only, unique by (agent, epoch, seq, position)."""

    organisation_id: str
    agent_id: str
    epoch: int
    seq: int
    position: int
    unit_id: str
    case_id: str
    order_id: str | None
    at_us: int
    received_us: int
    phase: UnitPhase
    level: int
    code: ErrorCode | None
    detail: str
    active_pool: str | None
    active_worker: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccrualRow:
    """What one unit mined at the holding pool in one UTC day; `booked_micro` of its value stands in the ledger.

    `ths_hours_micro` is millionths of a TH/s-hour; `hashprice_micro` per TH/s and day; `until_us` how far the day
    is worked out; `source` says whose word the hashrate is.
    """

    organisation_id: str
    case_id: str
    unit_id: str
    day: str
    ths_hours_micro: int
    measured_s: int
    hashprice_micro: int
    hashprice_source: str
    currency: str
    value_micro: int
    until_us: int
    source: str
    booked_micro: int


class RedirectsStore(Protocol):
    """Read and write redirects."""

    async def controls(self, organisation_id: str) -> RedirectControlsRow | None: ...

    async def set_controls(self, row: RedirectControlsRow) -> None: ...

    async def unit(self, organisation_id: str, unit_id: str) -> RedirectUnitRow | None: ...

    async def units(
        self,
        organisation_id: str,
        *,
        case_id: str | None = None,
        customer_id: str | None = None,
        live_only: bool = False,
    ) -> list[RedirectUnitRow]:
        """By label."""
        ...

    async def put_units(self, rows: Sequence[RedirectUnitRow]) -> None:
        """Insert or replace."""
        ...

    async def add_orders(self, rows: Sequence[RedirectOrderRow]) -> None: ...

    async def order(self, organisation_id: str, order_id: str) -> RedirectOrderRow | None: ...

    async def orders(self, organisation_id: str, case_id: str) -> list[RedirectOrderRow]:
        """Oldest first."""
        ...

    async def update_order(self, row: RedirectOrderRow) -> None: ...

    async def current_orders(self, organisation_id: str, site_id: str) -> list[str]:
        """The envelopes of the newest order of each unit, while it matters; restores first."""
        ...

    async def live_identities(self, organisation_id: str) -> Mapping[str, tuple[str, str, int, str]]:
        """For live units, by unit: the agent, its key and epoch that the newest order names, and who signed it."""
        ...

    async def add_unit_event(self, row: UnitEventRow) -> bool:
        """False when it was there already."""
        ...

    async def unit_events(self, organisation_id: str, case_id: str) -> list[UnitEventRow]:
        """As received."""
        ...

    async def accruals(self, organisation_id: str, case_id: str) -> list[AccrualRow]:
        """By day and unit."""
        ...

    async def put_accruals(self, rows: Sequence[AccrualRow]) -> None:
        """Insert or replace."""
        ...

    async def at_pool_counts(self, organisation_id: str) -> Mapping[str, int]:
        """Units seen at the holding pool at level 3 or better, by customer."""
        ...
