"""A default case as people look at it: gate, units by confirmation level, amounts, history."""

from collections.abc import Sequence
from dataclasses import dataclass

from hashyard_cloud.domain.default import RedirectState, UnitState, level_counts, redirect_state
from hashyard_cloud.domain.gate import Verdict
from hashyard_cloud.domain.status import CustomerStatus, customer_status
from hashyard_cloud.services.case_money import CaseMoney, case_invoices, case_money
from hashyard_cloud.services.defaults import Defaults
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import ApprovalRow, CaseEventRow, CaseRow, DisputeRow, LegalHoldRow
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.services.ports.notices import NoticeRow
from hashyard_cloud.services.ports.redirects import AccrualRow, RedirectUnitRow
from hashyard_shared.orders import OrderKind


@dataclass(frozen=True, slots=True)
class UnitCounts:
    """Of how many units of a redirect how many are where. `by_level` counts the confirmation levels 0 to 4."""

    state: RedirectState
    units: int
    at_pool: int
    given_back: int
    by_level: dict[int, int]


@dataclass(frozen=True, slots=True)
class CaseView:
    """Everything the page "Default status" shows of one case. `binding` is what an approval is bound to."""

    case: CaseRow
    verdict: Verdict
    binding: str
    approvals_required: int
    money: CaseMoney
    counts: UnitCounts
    units: Sequence[RedirectUnitRow]
    invoices: Sequence[InvoiceRow]
    notices: Sequence[NoticeRow]
    events: Sequence[CaseEventRow]
    disputes: Sequence[DisputeRow]
    legal_holds: Sequence[LegalHoldRow]
    approvals: Sequence[ApprovalRow]
    accruals: Sequence[AccrualRow]


@dataclass(frozen=True, slots=True)
class StatusBar:
    """A customer's status bar. `case` is the live one, or one whose machines are still being given back."""

    status: CustomerStatus
    case: CaseRow | None
    counts: UnitCounts | None
    money: CaseMoney | None
    since_us: int | None


def unit_state(row: RedirectUnitRow) -> UnitState:
    """As the rules see it: a redirect that lapsed or was refused for good counts as ended."""
    return UnitState(row.unit_id, row.wanted is OrderKind.RESTORE or not row.live, row.phase, row.level)


def unit_counts(rows: Sequence[RedirectUnitRow]) -> UnitCounts:
    """Count the units of one case."""
    states = [unit_state(row) for row in rows]
    return UnitCounts(
        state=redirect_state(states),
        units=len(rows),
        at_pool=sum(row.at_pool_us is not None for row in rows),
        given_back=sum(state.restore_ordered and state.given_back for state in states),
        by_level=level_counts(states),
    )


async def case_view(tx: Transaction, defaults: Defaults, organisation_id: str, case_id: str) -> CaseView:
    """Gather a case. Errors: `NotFoundError`."""
    case = await defaults.get(tx, organisation_id, case_id)
    found = await defaults.situation(tx, case)
    holds = await tx.defaults.holds(organisation_id)
    standing = {item.record_id for item in found.facts.legal_holds}
    return CaseView(
        case=case,
        verdict=found.verdict,
        binding=found.facts.binding,
        approvals_required=found.facts.approvals_required,
        money=found.money,
        counts=unit_counts(found.redirect_units),
        units=found.redirect_units,
        invoices=await case_invoices(tx, case),
        notices=found.notices,
        events=await tx.defaults.events(organisation_id, case_id),
        disputes=await tx.defaults.disputes(organisation_id, case.customer_id),
        legal_holds=[row for row in holds if row.hold_id in standing or row.customer_id == case.customer_id],
        approvals=await tx.defaults.approvals(organisation_id, case_id),
        accruals=await tx.redirects.accruals(organisation_id, case_id),
    )


async def statuses(tx: Transaction, organisation_id: str) -> dict[str, CustomerStatus]:
    """The status of every customer, for lists."""
    redirected = await tx.redirects.at_pool_counts(organisation_id)
    in_default = {case.customer_id for case in await tx.defaults.cases(organisation_id, live_only=True)}
    return {
        row.customer_id: customer_status(
            active=row.active,
            cases_open=int(row.customer_id in in_default),
            units_at_holding_pool=redirected.get(row.customer_id, 0),
        )
        for row in await tx.customers.all(organisation_id)
    }


async def status_bar(tx: Transaction, organisation_id: str, customer_id: str) -> StatusBar:
    """One customer's status bar. Of an unknown customer it says inactive."""
    customer = await tx.customers.get(organisation_id, customer_id)
    cases = await tx.defaults.cases(organisation_id, customer_id=customer_id)
    rows = await tx.redirects.units(organisation_id, customer_id=customer_id)
    shown = next((case for case in cases if case.state.live), None)
    if shown is None:
        moving = {row.case_id for row in rows if row.live or row.at_pool_us is not None}
        shown = next((case for case in cases if case.case_id in moving), None)
    at_pool = [row.at_pool_us for row in rows if row.at_pool_us is not None]
    status = customer_status(
        active=customer is not None and customer.active,
        cases_open=sum(case.state.live for case in cases),
        units_at_holding_pool=len(at_pool),
    )
    if shown is None:
        return StatusBar(status, None, None, None, None)
    of_case = [row for row in rows if row.case_id == shown.case_id]
    since_us = min(at_pool) if at_pool else shown.opened_us
    return StatusBar(status, shown, unit_counts(of_case), await case_money(tx, shown), since_us)
