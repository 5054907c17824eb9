"""The default case, and beside it the redirect as an axis with a life of its own.

A case opens with a recorded reason and closes by payment, recovery, waiver or withdrawal; a payment plan
suspends it and a broken plan opens it again. Disputes and legal holds are records of their own that freeze it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hashyard_cloud.domain.errors import CaseStateError
from hashyard_shared.events import ConfirmationLevel, UnitPhase
from hashyard_shared.orders import ReasonCode


class CaseState(StrEnum):
    """Where a default case stands."""

    OPEN = "open"
    PLAN = "plan"
    CURED = "cured"
    RECOVERED = "recovered"
    WAIVED = "waived"
    WITHDRAWN = "withdrawn"

    @property
    def live(self) -> bool:
        """Not closed: open, or suspended by a plan."""
        return self in _LIVE


_LIVE: Final = frozenset({CaseState.OPEN, CaseState.PLAN})


class CaseEvent(StrEnum):
    """What moves a case."""

    PAID = "paid"
    RECOVERED = "recovered"
    WAIVED = "waived"
    WITHDRAWN = "withdrawn"
    PLAN_AGREED = "plan-agreed"
    PLAN_BROKEN = "plan-broken"


_MOVES: Final[dict[tuple[CaseState, CaseEvent], CaseState]] = {
    (CaseState.OPEN, CaseEvent.PAID): CaseState.CURED,
    (CaseState.OPEN, CaseEvent.RECOVERED): CaseState.RECOVERED,
    (CaseState.OPEN, CaseEvent.WAIVED): CaseState.WAIVED,
    (CaseState.OPEN, CaseEvent.WITHDRAWN): CaseState.WITHDRAWN,
    (CaseState.OPEN, CaseEvent.PLAN_AGREED): CaseState.PLAN,
    (CaseState.PLAN, CaseEvent.PAID): CaseState.CURED,
    (CaseState.PLAN, CaseEvent.WAIVED): CaseState.WAIVED,
    (CaseState.PLAN, CaseEvent.WITHDRAWN): CaseState.WITHDRAWN,
    (CaseState.PLAN, CaseEvent.PLAN_BROKEN): CaseState.OPEN,
}

RESTORE_REASONS: Final[dict[CaseEvent, ReasonCode]] = {
    CaseEvent.PAID: ReasonCode.DEBT_PAID,
    CaseEvent.RECOVERED: ReasonCode.DEBT_RECOVERED,
    CaseEvent.WAIVED: ReasonCode.WAIVED,
    CaseEvent.WITHDRAWN: ReasonCode.OPERATOR,
    CaseEvent.PLAN_AGREED: ReasonCode.PLAN_AGREED,
}
"""Every event that ends or suspends the default gives the units back, with this reason in the order."""


def moved(state: CaseState, event: CaseEvent) -> CaseState:
    """The case's next state; raises `CaseStateError` where the event has no place."""
    to = _MOVES.get((state, event))
    if to is None:
        raise CaseStateError(f"a case that is {state.value} cannot take {event.value!r}")
    return to


class RedirectState(StrEnum):
    """The redirect's own axis, over all units of a case."""

    NONE = "none"
    ORDERED = "ordered"
    REDIRECTED = "redirected"
    RESTORING = "restoring"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class UnitState:
    """One unit as ordered and as confirmed. `restore_ordered` is true once a restore superseded the redirect."""

    unit_id: str
    restore_ordered: bool
    phase: UnitPhase
    level: int

    @property
    def at_holding_pool(self) -> bool:
        """Seen mining at the holding pool: level 3 or better, and not yet seen back."""
        return self.phase is UnitPhase.REDIRECTED and self.level >= ConfirmationLevel.POOL_ACTIVE

    @property
    def given_back(self) -> bool:
        """Seen back at the customer's pools, or never written to."""
        return self.phase in _BACK


_BACK: Final = frozenset({UnitPhase.RESTORED, UnitPhase.CUSTOMER, UnitPhase.REFUSED, UnitPhase.SHADOW})


def redirect_state(units: Iterable[UnitState]) -> RedirectState:
    """The state over all units: what was ordered last decides the direction, what was seen decides how far."""
    known = tuple(units)
    if not known:
        return RedirectState.NONE
    if all(unit.restore_ordered for unit in known):
        done = all(unit.given_back for unit in known)
        return RedirectState.RESTORED if done else RedirectState.RESTORING
    return RedirectState.REDIRECTED if any(unit.at_holding_pool for unit in known) else RedirectState.ORDERED


def level_counts(units: Iterable[UnitState]) -> dict[int, int]:
    """How many units stand at each confirmation level, 0 to 4."""
    counts = dict.fromkeys(range(ConfirmationLevel.SHARES_ADVANCE + 1), 0)
    for unit in units:
        counts[unit.level] += 1
    return counts
