"""Whether an order is accepted, and what holds a write back. Pure.

The checks run from what proves the sender to what the moment allows; the first that fails names the refusal.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from hashyard_agent.trust import Trust
from hashyard_shared.errors import ErrorCode, SharedError
from hashyard_shared.ids import MalformedIdError, normalise_mac
from hashyard_shared.orders import Order, OrderFormError, OrderKind
from hashyard_shared.protocol import UnitBinding
from hashyard_shared.signing import Envelope, SignatureError
from hashyard_shared.trust import HoldingPool, PoolPart, first_difference

MAX_CLOCK_SKEW_US: Final = 5 * 1_000_000
"""The trusted time is a lower bound and lags by the way from the cloud; an order is not refused for that."""

TRANSIENT: Final = frozenset(
    {
        ErrorCode.ORDER_NOT_YET_VALID,
        ErrorCode.ORDER_TIME_UNKNOWN,
        ErrorCode.ORDER_OVER_DAILY_CAP,
        ErrorCode.ORDER_UNKNOWN_UNIT,
        ErrorCode.ORDER_WRONG_MAC,
        ErrorCode.ORDER_WRONG_AGENT,
        ErrorCode.ORDER_WRONG_EPOCH,
        ErrorCode.ORDER_POOL_NOT_PINNED,
        ErrorCode.ORDER_WORKER_NOT_PINNED,
        ErrorCode.ORDER_PASSWORD_NOT_PINNED,
        ErrorCode.REDIRECT_DISABLED,
        ErrorCode.DUPLICATE_MAC,
        ErrorCode.ORDER_SIGNATURE,
    }
)
"""Refusals that something on site or time itself may lift: such an order is judged again."""

_PART_CODES: Final = {
    PoolPart.URL: ErrorCode.ORDER_POOL_NOT_PINNED,
    PoolPart.WORKER: ErrorCode.ORDER_WORKER_NOT_PINNED,
    PoolPart.PASSWORD: ErrorCode.ORDER_PASSWORD_NOT_PINNED,
}


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the answer depends on besides the order.

    `now_us` is the trusted time, None while unknown. `last_sequence` is what was accepted for each unit,
    `last_order` the id that had it. `redirected` are units that an accepted redirect already counts for,
    `disturbed_today` how many units the last day counts against `daily_cap_units`; `confirmed` are units that a
    technician confirmed over the cap.
    """

    trust: Trust
    agent_id: str
    agent_key: str
    epoch: int
    now_us: int | None
    bindings: Mapping[str, UnitBinding]
    mac_shared: Callable[[str], bool]
    last_sequence: Mapping[str, int]
    last_order: Mapping[str, str]
    redirected: AbstractSet[str]
    disturbed_today: int
    daily_cap_units: int
    confirmed: AbstractSet[str]
    redirect_enabled: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """The order counts. `pool` is the pinned pool of a redirect; `known` when this very order counted already."""

    order: Order
    pool: HoldingPool | None
    known: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The order does not count, and why."""

    code: ErrorCode
    detail: str
    order: Order | None = None


def judge(envelope: Envelope, situation: Situation) -> Accepted | Refusal:
    """Accept or refuse one order."""
    opened = open_order(envelope, situation.trust)
    if isinstance(opened, Refusal):
        return opened
    for check in (_addressed, _bound, _fresh, _in_time):
        refusal = check(opened, situation)
        if refusal is not None:
            return refusal
    if _is_known(opened, situation):
        return Accepted(opened, _pinned_pool(opened, situation.trust), known=True)
    if opened.kind is OrderKind.RESTORE:
        return Accepted(opened, None)
    pool = check_pool(opened, situation.trust)
    if isinstance(pool, Refusal):
        return pool
    return _allowed(opened, situation) or Accepted(opened, pool)


def open_order(envelope: Envelope, trust: Trust) -> Order | Refusal:
    """The order, if a pinned key that was not revoked signed it and nothing in it is unknown."""
    if trust.is_revoked(envelope.key):
        return Refusal(ErrorCode.ORDER_KEY_REVOKED, f"key {envelope.key} was revoked on this site")
    key = trust.key_of(envelope.key)
    if key is None:
        return Refusal(ErrorCode.ORDER_SIGNATURE, f"key {envelope.key[:32]} is not pinned on this site")
    try:
        return Order.opened(key, envelope)
    except SignatureError as error:
        return Refusal(ErrorCode.ORDER_SIGNATURE, str(error))
    except OrderFormError as error:
        return Refusal(ErrorCode.ORDER_UNKNOWN_FIELD, str(error))
    except SharedError as error:
        return Refusal(error.code, str(error))


def check_pool(order: Order, trust: Trust) -> HoldingPool | Refusal:
    """The pinned pool that a redirect names by reference and hash, or which part of it is not as pinned."""
    pool = trust.pool(order.holding_pool or "")
    if pool is None:
        return Refusal(
            ErrorCode.ORDER_POOL_NOT_PINNED, f"no holding pool {order.holding_pool!r} is pinned here", order
        )
    part = first_difference(order.holding_pool_hash or "", pool)
    if part is None:
        return pool
    return Refusal(_PART_CODES[part], f"holding pool {pool.reference} is pinned with another {part}", order)


def _addressed(order: Order, situation: Situation) -> Refusal | None:
    trust = situation.trust
    if (order.organisation_id, order.site_id) != (trust.organisation_id, trust.site_id):
        return Refusal(ErrorCode.ORDER_WRONG_SITE, f"the order is for site {order.site_id}", order)
    if (order.agent_id, order.agent_key) != (situation.agent_id, situation.agent_key):
        return Refusal(ErrorCode.ORDER_WRONG_AGENT, f"the order is for agent {order.agent_id}", order)
    if order.epoch != situation.epoch:
        detail = f"the order is for epoch {order.epoch}, this is {situation.epoch}"
        return Refusal(ErrorCode.ORDER_WRONG_EPOCH, detail, order)
    return None


def _bound(order: Order, situation: Situation) -> Refusal | None:
    binding = situation.bindings.get(order.unit_id)
    if binding is None:
        return Refusal(ErrorCode.ORDER_UNKNOWN_UNIT, f"unit {order.unit_id} is not of this site", order)
    try:
        mac = normalise_mac(order.mac)
        same = mac == normalise_mac(binding.mac)
    except MalformedIdError as error:
        return Refusal(ErrorCode.ORDER_WRONG_MAC, str(error), order)
    if not same:
        detail = f"the order names {mac}, the unit is bound to {binding.mac}"
        return Refusal(ErrorCode.ORDER_WRONG_MAC, detail, order)
    if situation.mac_shared(mac):
        return Refusal(ErrorCode.DUPLICATE_MAC, f"{mac} belongs to more than one device or unit", order)
    return None


def _fresh(order: Order, situation: Situation) -> Refusal | None:
    last = situation.last_sequence.get(order.unit_id, 0)
    if order.sequence > last or _is_known(order, situation):
        return None
    return Refusal(
        ErrorCode.ORDER_REPLAYED, f"sequence {order.sequence} is not above {last}, which was accepted", order
    )


def _is_known(order: Order, situation: Situation) -> bool:
    same_sequence = situation.last_sequence.get(order.unit_id) == order.sequence
    return same_sequence and situation.last_order.get(order.unit_id) == order.order_id


def _in_time(order: Order, situation: Situation) -> Refusal | None:
    """A restore needs no clock: it never expires, and a higher sequence supersedes it."""
    if order.kind is OrderKind.RESTORE or _is_known(order, situation):
        return None
    if situation.now_us is None:
        return Refusal(
            ErrorCode.ORDER_TIME_UNKNOWN, "no signed time of the cloud was heard since this machine started", order
        )
    if order.not_before_us > situation.now_us + MAX_CLOCK_SKEW_US:
        return Refusal(ErrorCode.ORDER_NOT_YET_VALID, "the order is not valid yet", order)
    if order.expires_at_us is not None and order.expires_at_us <= situation.now_us:
        return Refusal(ErrorCode.ORDER_EXPIRED, "the order has expired", order)
    return None


def _allowed(order: Order, situation: Situation) -> Refusal | None:
    if not situation.redirect_enabled:
        return Refusal(ErrorCode.REDIRECT_DISABLED, "redirecting is switched off for this organisation", order)
    counted = order.unit_id in situation.redirected or order.unit_id in situation.confirmed
    if not counted and situation.disturbed_today >= situation.daily_cap_units:
        detail = (
            f"{situation.disturbed_today} units were redirected, restarted or curtailed within a day; "
            "a technician must confirm more"
        )
        return Refusal(ErrorCode.ORDER_OVER_DAILY_CAP, detail, order)
    return None


def _pinned_pool(order: Order, trust: Trust) -> HoldingPool | None:
    return trust.pool(order.holding_pool) if order.holding_pool else None


@dataclass(frozen=True, slots=True)
class Holds:
    """What may hold a write back at this moment."""

    emergency_stop: bool
    shadow_mode: bool
    maintenance: bool
    quarantined: bool
    assigned: bool
    redirect_enabled: bool
    shared_mac: bool


def held_back(kind: OrderKind, holds: Holds) -> ErrorCode | None:
    """Why nothing may be written now, or None. Quarantine and the switch never hold a restore.

    `assigned` pools are no restore in this: the miner is at its customer, and a firmware that lies is let alone.
    """
    redirect = kind is OrderKind.REDIRECT
    reasons = (
        (holds.emergency_stop, ErrorCode.EMERGENCY_STOP),
        (holds.shared_mac, ErrorCode.DUPLICATE_MAC),
        (holds.maintenance, ErrorCode.MAINTENANCE),
        (redirect and not holds.redirect_enabled, ErrorCode.REDIRECT_DISABLED),
        ((redirect or holds.assigned) and holds.quarantined, ErrorCode.QUARANTINED),
        (holds.shadow_mode, ErrorCode.SHADOW_MODE),
    )
    return next((code for applies, code in reasons if applies), None)
