import pytest

from hashyard_cloud.domain.default import (
    RESTORE_REASONS,
    CaseEvent,
    CaseState,
    RedirectState,
    UnitState,
    level_counts,
    moved,
    redirect_state,
)
from hashyard_cloud.domain.errors import CaseStateError
from hashyard_cloud.domain.status import CustomerStatus, customer_status
from hashyard_shared.events import UnitPhase


def unit(phase: UnitPhase, level: int = 0, restore: bool = False) -> UnitState:
    return UnitState("u", restore, phase, level)


def test_a_case_moves_only_where_it_may() -> None:
    closed = [state for state in CaseState if not state.live]
    assert closed == [CaseState.CURED, CaseState.RECOVERED, CaseState.WAIVED, CaseState.WITHDRAWN]
    for state in closed:
        for event in CaseEvent:
            with pytest.raises(CaseStateError):
                moved(state, event)
    assert moved(CaseState.OPEN, CaseEvent.PLAN_AGREED) is CaseState.PLAN
    assert moved(CaseState.PLAN, CaseEvent.PLAN_BROKEN) is CaseState.OPEN
    assert moved(CaseState.OPEN, CaseEvent.PAID) is CaseState.CURED


def test_every_way_out_of_open_restores() -> None:
    for event in CaseEvent:
        if event is not CaseEvent.PLAN_BROKEN:
            assert event in RESTORE_REASONS
            assert moved(CaseState.OPEN, event) is not CaseState.OPEN


@pytest.mark.parametrize(
    ("units", "state"),
    [
        ([], RedirectState.NONE),
        ([unit(UnitPhase.WAITING)], RedirectState.ORDERED),
        ([unit(UnitPhase.REDIRECTED, 2)], RedirectState.ORDERED),
        ([unit(UnitPhase.REDIRECTED, 3), unit(UnitPhase.REFUSED)], RedirectState.REDIRECTED),
        ([unit(UnitPhase.REDIRECTED, 4, restore=True)], RedirectState.RESTORING),
        (
            [unit(UnitPhase.RESTORED, 3, restore=True), unit(UnitPhase.REFUSED, restore=True)],
            RedirectState.RESTORED,
        ),
        ([unit(UnitPhase.RESTORED, 3, restore=True), unit(UnitPhase.REDIRECTED, 4)], RedirectState.REDIRECTED),
    ],
)
def test_redirect_state(units: list[UnitState], state: RedirectState) -> None:
    assert redirect_state(units) is state


def test_level_counts() -> None:
    units = [unit(UnitPhase.REDIRECTED, 4), unit(UnitPhase.REDIRECTED, 4), unit(UnitPhase.REFUSED)]
    assert level_counts(units) == {0: 1, 1: 0, 2: 0, 3: 0, 4: 2}


@pytest.mark.parametrize(
    ("active", "cases", "redirected", "status"),
    [
        (True, 0, 0, CustomerStatus.ACTIVE),
        (False, 0, 0, CustomerStatus.INACTIVE),
        (True, 1, 0, CustomerStatus.IN_DEFAULT),
        (False, 1, 0, CustomerStatus.IN_DEFAULT),
        (True, 1, 2, CustomerStatus.POOL_REDIRECTED),
        (True, 0, 1, CustomerStatus.POOL_REDIRECTED),
        (False, 0, 1, CustomerStatus.POOL_REDIRECTED),
    ],
)
def test_customer_status(active: bool, cases: int, redirected: int, status: CustomerStatus) -> None:
    assert customer_status(active=active, cases_open=cases, units_at_holding_pool=redirected) is status


def test_labels() -> None:
    assert CustomerStatus.POOL_REDIRECTED.label == "Pool Redirected"
