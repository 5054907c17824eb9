"""Default cases with their gate, and what freezes them: disputes and legal holds."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from hashyard_cloud.domain.default import CaseState, RedirectState
from hashyard_cloud.domain.gate import ConditionKey, Effect
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.case_view import CaseView, case_view
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import (
    Answer,
    Body,
    Id,
    Instant,
    Page,
    PageQuery,
    Reason,
    at_us,
    decimal,
    instant,
)
from hashyard_cloud.web.pages import MONEY, STAFF


class Case(Answer):
    """A default case of one contract."""

    case_id: str
    customer_id: str
    contract_id: str
    number: str
    state: CaseState
    reason: str
    currency: str
    opened_at: str
    opened_by: str
    closed_at: str | None
    closed_by: str
    closed_reason: str
    redirect_percent: int
    plan: str
    plan_until_at: str | None
    redirected_at: str | None
    restored_at: str | None


class GateCondition(Answer):
    """A condition of the redirect gate, met or not, and what an unmet one does."""

    key: ConditionKey
    met: bool
    effect: Effect
    title: str
    text: str
    evidence: str | None


class Gate(Answer):
    """The gate as it stands now. Orders are issued only while it is open."""

    open: bool
    conditions: list[GateCondition]
    units: list[str]
    held_back: list[str]


class CaseUnits(Answer):
    """How many units are where; `by_level` counts confirmation levels 0 to 4."""

    state: RedirectState
    units: int
    at_pool: int
    given_back: int
    by_level: dict[str, int]


class CaseDetail(Answer):
    """A case, its gate, its units and its amounts. An approval names `binding`: what exactly is approved."""

    case: Case
    gate: Gate
    units: CaseUnits
    binding: str
    approvals_required: int
    approvals: int
    open: str
    recovered: str
    to_cure: str
    invoice_ids: list[str]


class CaseEvent(Answer):
    """A line of a case's history."""

    event_id: str
    at: str
    kind: str
    text: str
    actor: str


class CasesQuery(PageQuery):
    """Which cases; `live` true for open ones and those under a plan."""

    customer_id: Id | None = None
    live: bool = False


class ApproveBody(Body):
    """The `binding` of the case as it was looked at."""

    binding: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PlanBody(Body):
    """What was agreed, and until when."""

    plan: Reason
    until_at: Instant


class ReasonBody(Body):
    """Why; it is part of the record."""

    reason: Reason


class ShareBody(Body):
    """The share of the contract's hashrate that a redirect may take."""

    percent: Annotated[int, Field(ge=1, le=100)]


class Dispute(Answer):
    """A dispute, over one contract or over all of the customer's."""

    dispute_id: str
    customer_id: str
    contract_id: str | None
    text: str
    raised_at: str
    raised_by: str
    resolved_at: str | None
    resolved_by: str
    resolution: str


class DisputeBody(Body):
    """A dispute as raised."""

    customer_id: Id
    contract_id: Id | None = None
    text: Reason


class ResolveBody(Body):
    """How it was resolved."""

    resolution: Reason


class DisputesQuery(PageQuery):
    """Whose disputes."""

    customer_id: Id | None = None


class LegalHold(Answer):
    """A legal hold. It covers what its contract, site and customer all match; with none of them everything."""

    hold_id: str
    customer_id: str | None
    contract_id: str | None
    site_id: str | None
    reason: str
    placed_at: str
    placed_by: str
    lifted_at: str | None
    lifted_by: str
    lift_reason: str


class HoldBody(Body):
    """A legal hold as placed."""

    reason: Reason
    customer_id: Id | None = None
    contract_id: Id | None = None
    site_id: Id | None = None


def _gate(view: CaseView) -> Gate:
    verdict = view.verdict
    return Gate(
        open=verdict.open,
        conditions=[GateCondition.of(item) for item in verdict.conditions],
        units=[unit.unit_id for unit in verdict.units],
        held_back=[unit.unit_id for unit in verdict.held_back],
    )


def _detail(view: CaseView) -> CaseDetail:
    counts = view.counts
    return CaseDetail(
        case=Case.of(view.case),
        gate=_gate(view),
        units=CaseUnits.of(counts, by_level={str(level): count for level, count in counts.by_level.items()}),
        binding=view.binding,
        approvals_required=view.approvals_required,
        approvals=sum(row.withdrawn_us is None and row.binding == view.binding for row in view.approvals),
        open=decimal(view.money.open.micro) or "",
        recovered=decimal(view.money.recovered.micro) or "",
        to_cure=decimal(view.money.to_cure.micro) or "",
        invoice_ids=[row.invoice_id for row in view.invoices],
    )


async def list_cases(call: Call, query: CasesQuery) -> Page[Case]:
    """Default cases, newest first."""
    async with call.database.reading() as tx:
        rows = await tx.defaults.cases(call.org, customer_id=query.customer_id, live_only=query.live)
    shown, following = paging.page(rows, lambda row: (row.opened_us, row.case_id), query, newest_first=True)
    return Page[Case](items=[Case.of(row) for row in shown], next_cursor=following)


async def _case(call: Call) -> CaseDetail:
    async with call.database.reading() as tx:
        return _detail(await case_view(tx, call.built.defaults, call.org, call.ids["case_id"]))


async def get_case(call: Call) -> CaseDetail:
    """One case with its gate, units and amounts."""
    return await _case(call)


async def list_case_events(call: Call, query: PageQuery) -> Page[CaseEvent]:
    """A case's history, newest first."""
    async with call.database.reading() as tx:
        case = await call.built.defaults.get(tx, call.org, call.ids["case_id"])
        rows = await tx.defaults.events(call.org, case.case_id)
    shown, following = paging.page(rows, lambda row: (row.at_us, row.event_id), query, newest_first=True)
    return Page[CaseEvent](
        items=[CaseEvent.of(row, at=instant(row.at_us)) for row in shown], next_cursor=following
    )


async def _act(call: Call, act: Callable[[Transaction, str], Awaitable[object]]) -> CaseDetail:
    async with call.database.transaction() as tx:
        await act(tx, call.ids["case_id"])
    return await _case(call)


async def approve_case(call: Call, body: ApproveBody) -> CaseDetail:
    """Approve a redirect, exactly as it was shown."""
    return await _act(
        call, lambda tx, case_id: call.built.defaults.approve(tx, call.org, call.actor, case_id, body.binding)
    )


async def withdraw_approval(call: Call) -> CaseDetail:
    """Take back one's own approval."""
    return await _act(
        call, lambda tx, case_id: call.built.defaults.withdraw_approval(tx, call.org, call.actor, case_id)
    )


async def agree_plan(call: Call, body: PlanBody) -> CaseDetail:
    """Suspend a case by a payment plan; what is redirected is given back."""
    until_us = at_us(body.until_at, "until_at")
    defaults = call.built.defaults
    return await _act(
        call, lambda tx, case_id: defaults.agree_plan(tx, call.org, call.actor, case_id, body.plan, until_us)
    )


async def break_plan(call: Call, body: ReasonBody) -> CaseDetail:
    """The plan was not kept: the case is open again."""
    return await _act(
        call, lambda tx, case_id: call.built.defaults.break_plan(tx, call.org, call.actor, case_id, body.reason)
    )


async def waive_case(call: Call, body: ReasonBody) -> CaseDetail:
    """Give up what is open on the case's invoices."""
    return await _act(
        call, lambda tx, case_id: call.built.defaults.waive(tx, call.org, call.actor, case_id, body.reason)
    )


async def withdraw_case(call: Call, body: ReasonBody) -> CaseDetail:
    """End a case and give the machines back; the debt stays and its invoices are held."""
    return await _act(
        call, lambda tx, case_id: call.built.defaults.withdraw(tx, call.org, call.actor, case_id, body.reason)
    )


async def set_share(call: Call, body: ShareBody) -> CaseDetail:
    """Agree on the share of the hashrate that may be redirected."""
    defaults = call.built.defaults
    return await _act(
        call, lambda tx, case_id: defaults.set_percent(tx, call.org, call.actor, case_id, body.percent)
    )


async def list_disputes(call: Call, query: DisputesQuery) -> Page[Dispute]:
    """Disputes, newest first."""
    async with call.database.reading() as tx:
        rows = await tx.defaults.disputes(call.org, query.customer_id)
    shown, following = paging.page(rows, lambda row: (row.raised_us, row.dispute_id), query, newest_first=True)
    return Page[Dispute](items=[Dispute.of(row) for row in shown], next_cursor=following)


async def raise_dispute(call: Call, body: DisputeBody) -> Dispute:
    """Record a dispute; it shuts the gate at once."""
    async with call.database.transaction() as tx:
        row = await call.built.freezes.raise_dispute(
            tx, call.org, call.actor, body.customer_id, body.text, body.contract_id
        )
    return Dispute.of(row)


async def resolve_dispute(call: Call, body: ResolveBody) -> Dispute:
    """Close a dispute; the gate is judged again."""
    async with call.database.transaction() as tx:
        row = await call.built.freezes.resolve_dispute(
            tx, call.org, call.actor, call.ids["dispute_id"], body.resolution
        )
    return Dispute.of(row)


async def list_holds(call: Call, query: PageQuery) -> Page[LegalHold]:
    """Legal holds, newest first."""
    async with call.database.reading() as tx:
        rows = await tx.defaults.holds(call.org)
    shown, following = paging.page(rows, lambda row: (row.placed_us, row.hold_id), query, newest_first=True)
    return Page[LegalHold](items=[LegalHold.of(row) for row in shown], next_cursor=following)


async def place_hold(call: Call, body: HoldBody) -> LegalHold:
    """Place a legal hold; it shuts the gate at once."""
    async with call.database.transaction() as tx:
        row = await call.built.freezes.place_hold(
            tx,
            call.org,
            call.actor,
            body.reason,
            customer_id=body.customer_id,
            contract_id=body.contract_id,
            site_id=body.site_id,
        )
    return LegalHold.of(row)


async def lift_hold(call: Call, body: ReasonBody) -> LegalHold:
    """Lift a legal hold; the gate is judged again."""
    async with call.database.transaction() as tx:
        row = await call.built.freezes.lift_hold(tx, call.org, call.actor, call.ids["hold_id"], body.reason)
    return LegalHold.of(row)


_DEFAULTS: Final = Feature(Area.DEFAULTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _DEFAULTS.read("/cases", list_cases, STAFF),
    _DEFAULTS.read("/cases/{case_id}", get_case, STAFF),
    _DEFAULTS.read("/cases/{case_id}/events", list_case_events, STAFF),
    _DEFAULTS.act("/cases/{case_id}/approve", approve_case, MONEY),
    _DEFAULTS.act("/cases/{case_id}/withdraw-approval", withdraw_approval, MONEY),
    _DEFAULTS.act("/cases/{case_id}/plan", agree_plan, MONEY),
    _DEFAULTS.act("/cases/{case_id}/break-plan", break_plan, MONEY),
    _DEFAULTS.act("/cases/{case_id}/waive", waive_case, MONEY),
    _DEFAULTS.act("/cases/{case_id}/withdraw", withdraw_case, MONEY),
    _DEFAULTS.put("/cases/{case_id}/share", set_share, MONEY),
    _DEFAULTS.read("/disputes", list_disputes, STAFF),
    _DEFAULTS.add("/disputes", raise_dispute, MONEY),
    _DEFAULTS.act("/disputes/{dispute_id}/resolve", resolve_dispute, MONEY),
    _DEFAULTS.read("/legal-holds", list_holds, STAFF),
    _DEFAULTS.add("/legal-holds", place_hold, MONEY),
    _DEFAULTS.act("/legal-holds/{hold_id}/lift", lift_hold, MONEY),
)
