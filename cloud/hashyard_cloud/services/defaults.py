"""Default cases: opened with a reason, judged by the gate, ended by payment, recovery, waiver or withdrawal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hashyard_cloud.domain.default import RESTORE_REASONS, CaseEvent, CaseState, moved
from hashyard_cloud.domain.dunning import NoticeKind, Stage, duration_text, stage
from hashyard_cloud.domain.gate import ConditionKey
from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.domain.ledger import EntryKind
from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError
from hashyard_cloud.services import activity, invoices, notice_texts, notices
from hashyard_cloud.services.booking import book
from hashyard_cloud.services.case_money import case_invoices, case_money
from hashyard_cloud.services.gate_facts import CaseSituation, record_gate, situation
from hashyard_cloud.services.orders import OrderDesk
from hashyard_cloud.services.ports.activity import SYSTEM, Actor
from hashyard_cloud.services.ports.contracts import ContractVersionRow
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import ApprovalRow, CaseEventRow, CaseRow
from hashyard_cloud.services.ports.equipment import BoundUnit
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.services.ports.redirects import RedirectUnitRow
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import UnitPhase
from hashyard_shared.ids import new_id
from hashyard_shared.orders import OrderKind, ReasonCode

MAX_REASON_CHARS: Final = 1_000
WHOLE_PERCENT: Final = 100

SHUT_RESTORES: Final = {
    ConditionKey.SWITCH: ReasonCode.REDIRECT_SWITCHED_OFF,
    ConditionKey.CLAUSE: ReasonCode.CLAUSE_WITHDRAWN,
}
"""Conditions whose loss gives machines back at once; the others only end renewal, so that the lease runs out."""

FREEZES: Final = {ConditionKey.LEGAL_HOLD: ReasonCode.LEGAL_HOLD, ConditionKey.DISPUTE: ReasonCode.DISPUTE}
"""Conditions whose loss freezes; they give machines back where the organisation chose so."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How long silence of mail servers is waited for before a notice counts as delivered."""

    bounce_wait_s: int


@dataclass(frozen=True, slots=True)
class _Steps:
    """What follows from a verdict."""

    start: Sequence[BoundUnit] = ()
    renew: Sequence[RedirectUnitRow] = ()
    repeat: Sequence[RedirectUnitRow] = ()
    give_back: Sequence[RedirectUnitRow] = ()
    reason: ReasonCode = ReasonCode.OPERATOR


class Defaults:
    """The life of default cases. Every method works in the caller's transaction."""

    def __init__(self, clock: Clock, desk: OrderDesk, rules: Rules) -> None:
        self._clock = clock
        self._desk = desk
        self.rules = rules

    async def situation(self, tx: Transaction, case: CaseRow) -> CaseSituation:
        """The case with its gate as it stands now."""
        return await situation(tx, self._clock.now_us(), case, self.rules.bounce_wait_s)

    async def take_in(self, tx: Transaction, row: InvoiceRow) -> CaseRow | None:
        """Open a case for an overdue invoice whose grace is over, or add it to the contract's live case."""
        now_us = self._clock.now_us()
        version = await tx.contracts.version_at(row.organisation_id, row.contract_id, row.issued_us or now_us)
        if version is None or row.due_us is None or row.state is not InvoiceState.OVERDUE:
            return None
        if stage(invoices.terms_of(version), row.due_us, now_us) is not Stage.DEFAULT:
            return None
        live = await tx.defaults.cases(row.organisation_id, contract_id=row.contract_id, live_only=True)
        if not live:
            return await self._open(tx, now_us, row, version)
        if row.invoice_id not in await tx.defaults.invoice_ids(row.organisation_id, live[0].case_id):
            await tx.defaults.add_invoice(row.organisation_id, live[0].case_id, row.invoice_id)
            await self.note(tx, live[0], SYSTEM, "invoice-added", f"{row.number} is in default too")
        return None

    async def _open(self, tx: Transaction, now_us: int, row: InvoiceRow, version: ContractVersionRow) -> CaseRow:
        late = duration_text((now_us - (row.due_us or now_us)) // US_PER_S)
        reason = f"{row.number} unpaid {late} after its due date, grace of {duration_text(version.grace_s)} over"
        case = CaseRow(
            case_id=new_id(now_us),
            organisation_id=row.organisation_id,
            customer_id=row.customer_id,
            contract_id=row.contract_id,
            number=await tx.defaults.next_number(row.organisation_id),
            state=CaseState.OPEN,
            reason=reason,
            currency=row.currency,
            opened_us=now_us,
            opened_by=SYSTEM.name,
            closed_us=None,
            closed_by="",
            closed_reason="",
            redirect_percent=WHOLE_PERCENT,
            plan="",
            plan_until_us=None,
            gate_open=False,
            gate_us=None,
            redirected_us=None,
            restored_us=None,
        )
        await tx.defaults.add_case(case)
        await tx.defaults.add_invoice(case.organisation_id, case.case_id, row.invoice_id)
        await self.note(tx, case, SYSTEM, "opened", f"{case.number} opened: {reason}")
        money = await case_money(tx, case)
        subject, body = notice_texts.default(
            case.number, reason, money.to_cure, invoices.terms_of(version), version
        )
        await self._notify(tx, case, NoticeKind.DEFAULT, (subject, body))
        return case

    async def act(self, tx: Transaction, case: CaseRow) -> CaseSituation:
        """Judge the gate and do what follows: order, renew or give back. Answers what was judged."""
        case = await self._overtaken(tx, case)
        found = await self.situation(tx, case)
        case = await self._note_gate(tx, found)
        steps = await self._steps(tx, found)
        if steps.start:
            await record_gate(tx, found, "redirect-ordered")
            await self._redirect(tx, case, found, steps.start)
        if steps.renew:
            await record_gate(tx, found, "lease-renewed")
            count = await self._desk.renew(tx, steps.renew)
            await self.note(tx, case, SYSTEM, "lease-renewed", f"Lease renewed for {count} units")
        await self._desk.repeat(tx, steps.repeat)
        await self._give_back(tx, case, steps.give_back, steps.reason)
        return found

    async def would_act(self, tx: Transaction, case: CaseRow) -> bool:
        """Whether `act` would change anything, so that the scheduled look does not hold up those who write."""
        plan_over = case.state is CaseState.PLAN and (case.plan_until_us or 0) <= self._clock.now_us()
        if plan_over or not (await case_money(tx, case)).open.positive:
            return True
        found = await self.situation(tx, case)
        if case.gate_us is None or case.gate_open is not found.verdict.open:
            return True
        steps = await self._steps(tx, found)
        return bool(steps.start or steps.renew or steps.repeat or steps.give_back)

    async def _overtaken(self, tx: Transaction, case: CaseRow) -> CaseRow:
        """End a case whose invoices were settled in another way, and open one whose plan ran out."""
        if not (await case_money(tx, case)).open.positive:
            return await self.end(tx, case, CaseEvent.PAID, SYSTEM, "nothing is open any more")
        if case.state is CaseState.PLAN and (case.plan_until_us or 0) <= self._clock.now_us():
            return await self.break_plan(
                tx, case.organisation_id, SYSTEM, case.case_id, "the plan ended with the debt still open"
            )
        return case

    async def _note_gate(self, tx: Transaction, found: CaseSituation) -> CaseRow:
        case, is_open = found.case, found.verdict.open
        if case.gate_us is not None and case.gate_open is is_open:
            return case
        now_us = self._clock.now_us()
        changed = replace(case, gate_open=is_open, gate_us=now_us)
        await tx.defaults.update_case(changed)
        await record_gate(tx, found, "opened" if is_open else "shut")
        missing = ", ".join(item.key.value for item in found.verdict.missing)
        met = len(found.verdict.conditions) - len(found.verdict.missing)
        text = f"Redirect gate {'open' if is_open else 'shut'}: {met} of {len(found.verdict.conditions)} met"
        await self.note(tx, changed, SYSTEM, "gate", f"{text}; not met: {missing}" if missing else text)
        return changed

    async def _steps(self, tx: Transaction, found: CaseSituation) -> "_Steps":
        """What follows from a verdict; nothing while a plan or an end has taken the case out of its hands."""
        if found.case.state is not CaseState.OPEN:
            return _Steps()
        return await (self._open_steps(tx, found) if found.verdict.open else self._shut_steps(tx, found))

    async def _open_steps(self, tx: Transaction, found: CaseSituation) -> "_Steps":
        now_us = self._clock.now_us()
        wanted = {unit.unit_id for unit in found.verdict.units}
        rows = {row.unit_id: row for row in found.redirect_units}
        live = [row for row in found.redirect_units if row.live and row.wanted is OrderKind.REDIRECT]
        renew = [row for row in live if row.unit_id in wanted and (row.renew_us or now_us) <= now_us]
        outdated = {row.unit_id for row in await self._desk.outdated(tx, found.case.organisation_id)}
        # A smaller share was agreed, or a unit left the contract: what is no longer part of it goes back.
        agreed = wanted | {unit.unit_id for unit in found.verdict.held_back}
        return _Steps(
            start=[
                one for one in found.bound if one.unit.unit_id in wanted and _may_start(rows.get(one.unit.unit_id))
            ],
            renew=renew,
            repeat=[row for row in live if row.unit_id in outdated & wanted and row not in renew],
            give_back=[row for row in live if row.unit_id not in agreed],
        )

    async def _shut_steps(self, tx: Transaction, found: CaseSituation) -> "_Steps":
        lost = {item.key for item in found.verdict.missing}
        redirected = [row for row in found.redirect_units if row.live and row.wanted is OrderKind.REDIRECT]
        controls = await tx.redirects.controls(found.case.organisation_id)
        reasons = SHUT_RESTORES | (FREEZES if controls is not None and controls.freeze_restores else {})
        everything = next((reasons[key] for key in reasons if key in lost), None)
        if everything is not None:
            return _Steps(give_back=redirected, reason=everything)
        # What was ordered but not carried out yet is a new redirect: it stops whatever shut the gate.
        reason = next((FREEZES[key] for key in FREEZES if key in lost), ReasonCode.OPERATOR)
        waiting = [row for row in redirected if row.phase is UnitPhase.WAITING]
        return _Steps(give_back=waiting, reason=reason)

    async def _redirect(
        self, tx: Transaction, case: CaseRow, found: CaseSituation, units: Sequence[BoundUnit]
    ) -> None:
        count = await self._desk.redirect(tx, case, units)
        text = f"{count} of {len(units)} redirect orders signed, {found.money.to_cure.text()} to cure"
        await self.note(tx, case, SYSTEM, "redirect-ordered", text)
        if case.redirected_us is None:
            await tx.defaults.update_case(replace(case, redirected_us=self._clock.now_us()))
            words = notice_texts.redirected(case.number, len(units), found.money.to_cure)
            await self._notify(tx, case, NoticeKind.REDIRECTED, words)

    async def _give_back(
        self, tx: Transaction, case: CaseRow, rows: Sequence[RedirectUnitRow], reason: ReasonCode
    ) -> int:
        """Order restores for what is, or is to be, redirected; not for units that belong to somebody else now."""
        redirected = [row for row in rows if row.wanted is OrderKind.REDIRECT]
        if not redirected:
            return 0
        owners = await tx.equipment.bound(case.organisation_id, customer_id=case.customer_id)
        still_his = {one.unit.unit_id for one in owners}
        gone = [row for row in redirected if row.unit_id not in still_his]
        await tx.redirects.put_units(
            [replace(row, live=False, held_code=ErrorCode.REASSIGNED, detail="reassigned") for row in gone]
        )
        count = await self._desk.restore(tx, [row for row in redirected if row not in gone], reason)
        text = f"{count} restore orders signed: {reason.value}"
        if gone:
            text += f"; {len(gone)} units were reassigned and wait for a person"
        await self.note(tx, case, SYSTEM, "restore-ordered", text)
        return count

    async def cure_paid(self, tx: Transaction, organisation_id: str, customer_id: str, actor: Actor) -> int:
        """End every case of this customer in which nothing is left to cure; how many."""
        ended = 0
        for case in await tx.defaults.cases(organisation_id, customer_id=customer_id, live_only=True):
            if not (await case_money(tx, case)).to_cure.positive:
                # What the redirect mined counts towards the amount that the customer was told to pay.
                await book(tx, self._clock.now_us(), case)
                await self.end(tx, case, CaseEvent.PAID, actor, "paid in full")
                ended += 1
        return ended

    async def end(self, tx: Transaction, case: CaseRow, event: CaseEvent, actor: Actor, reason: str) -> CaseRow:
        """Move a case by an event that ends or suspends it, and give its machines back in the same transaction."""
        now_us = self._clock.now_us()
        state = moved(case.state, event)
        changed = replace(case, state=state)
        if not state.live:
            changed = replace(changed, closed_us=now_us, closed_by=actor.name, closed_reason=reason)
        await tx.defaults.update_case(changed)
        await self.note(tx, changed, actor, event.value, f"{case.number} is {state.value}: {reason}")
        rows = await tx.redirects.units(case.organisation_id, case_id=case.case_id)
        if await self._give_back(tx, changed, rows, RESTORE_REASONS[event]):
            await self._notify(tx, changed, NoticeKind.RESTORED, notice_texts.restored(case.number, reason))
        return changed

    async def agree_plan(
        self, tx: Transaction, organisation_id: str, actor: Actor, case_id: str, plan: str, until_us: int
    ) -> CaseRow:
        """Suspend a case by a payment plan; broken plans open it again."""
        case = await self.get(tx, organisation_id, case_id)
        if until_us <= self._clock.now_us():
            raise MalformedError("The plan must end in the future.", field="until")
        case = await self.end(tx, case, CaseEvent.PLAN_AGREED, actor, _reason(plan, "plan"))
        case = replace(case, plan=plan.strip()[:MAX_REASON_CHARS], plan_until_us=until_us)
        await tx.defaults.update_case(case)
        return case

    async def break_plan(
        self, tx: Transaction, organisation_id: str, actor: Actor, case_id: str, reason: str
    ) -> CaseRow:
        """The plan was not kept: the case is open again, and its gate is judged anew."""
        case = await self.get(tx, organisation_id, case_id)
        case = replace(case, state=moved(case.state, CaseEvent.PLAN_BROKEN), plan_until_us=None)
        await tx.defaults.update_case(case)
        await self.note(tx, case, actor, "plan-broken", _reason(reason, "reason"))
        return case

    async def waive(
        self, tx: Transaction, organisation_id: str, actor: Actor, case_id: str, reason: str
    ) -> CaseRow:
        """Give up what is open on the case's invoices, with entries that balance it."""
        case = await self.get(tx, organisation_id, case_id)
        now_us = self._clock.now_us()
        text = _reason(reason, "reason")
        for row in await case_invoices(tx, case):
            still_open = await invoices.open_amount(tx, row)
            if still_open.positive and row.state.owed:
                entry = invoices.entry(
                    now_us, row, EntryKind.WAIVER, -still_open, row.invoice_id, actor, note=text
                )
                await tx.ledger.add([entry])
                await invoices.settle(tx, now_us, row, still_open - still_open)
        return await self.end(tx, case, CaseEvent.WAIVED, actor, text)

    async def withdraw(
        self, tx: Transaction, organisation_id: str, actor: Actor, case_id: str, reason: str
    ) -> CaseRow:
        """End a case that should not have been opened, or give the machines back by decision; the debt stays."""
        case = await self.get(tx, organisation_id, case_id)
        for row in await case_invoices(tx, case):
            if row.state is InvoiceState.OVERDUE:
                # Else the next round would open the same case again.
                await invoices.set_held(
                    tx, self._clock.now_us(), organisation_id, actor, row.invoice_id, held=True, reason=reason
                )
        return await self.end(tx, case, CaseEvent.WITHDRAWN, actor, _reason(reason, "reason"))

    async def set_percent(
        self, tx: Transaction, organisation_id: str, actor: Actor, case_id: str, percent: int
    ) -> CaseRow:
        """Agree on the share of the contract's hashrate that a redirect may take."""
        case = await self.get(tx, organisation_id, case_id)
        if not 1 <= percent <= WHOLE_PERCENT:
            raise MalformedError("The share is from 1 to 100 per cent.", field="percent")
        case = replace(case, redirect_percent=percent)
        await tx.defaults.update_case(case)
        await self.note(tx, case, actor, "share-agreed", f"{percent} % of the hashrate may be redirected")
        return case

    async def approve(
        self, tx: Transaction, organisation_id: str, actor: Actor, case_id: str, binding: str
    ) -> ApprovalRow:
        """Approve exactly what was shown: `binding` is the hash on the page; another one now is a conflict."""
        case = await self.get(tx, organisation_id, case_id)
        found = await self.situation(tx, case)
        if found.facts.binding != binding:
            raise ConflictError("Units or amount have changed since this page was shown; look again and approve.")
        now_us = self._clock.now_us()
        await tx.defaults.withdraw_approvals(organisation_id, case_id, actor.user_id, now_us)
        row = ApprovalRow(
            approval_id=new_id(now_us),
            organisation_id=organisation_id,
            case_id=case_id,
            user_id=actor.user_id,
            user_name=actor.name,
            binding=binding,
            at_us=now_us,
            withdrawn_us=None,
        )
        await tx.defaults.add_approval(row)
        units = f"{len(found.facts.units)} units, {found.facts.claim.text()}"
        await self.note(tx, case, actor, "approved", f"{actor.name} approved the redirect of {units}")
        return row

    async def withdraw_approval(self, tx: Transaction, organisation_id: str, actor: Actor, case_id: str) -> None:
        """Take back one's own approval."""
        case = await self.get(tx, organisation_id, case_id)
        await tx.defaults.withdraw_approvals(organisation_id, case_id, actor.user_id, self._clock.now_us())
        await self.note(tx, case, actor, "approval-withdrawn", f"{actor.name} withdrew the approval")

    async def get(self, tx: Transaction, organisation_id: str, case_id: str) -> CaseRow:
        """The case; raises `NotFoundError`."""
        case = await tx.defaults.case(organisation_id, case_id)
        if case is None:
            raise NotFoundError
        return case

    async def note(self, tx: Transaction, case: CaseRow, actor: Actor, kind: str, text: str) -> None:
        """A line in the case's history and in the activity log."""
        now_us = self._clock.now_us()
        await tx.defaults.add_event(
            CaseEventRow(
                event_id=new_id(now_us),
                organisation_id=case.organisation_id,
                case_id=case.case_id,
                at_us=now_us,
                kind=kind,
                text=text[:MAX_REASON_CHARS],
                actor=actor.name,
            )
        )
        await activity.record(
            tx,
            now_us,
            case.organisation_id,
            actor,
            f"default.{kind}",
            text,
            customer_id=case.customer_id,
            object_kind="case",
            object_id=case.case_id,
        )

    async def _notify(self, tx: Transaction, case: CaseRow, kind: NoticeKind, words: tuple[str, str]) -> None:
        customer: CustomerRow | None = await tx.customers.get(case.organisation_id, case.customer_id)
        if customer is None:
            raise NotFoundError
        about = notices.About(contract_id=case.contract_id, case_id=case.case_id)
        await notices.send(tx, self._clock.now_us(), customer, kind, about, *words)


def _may_start(row: RedirectUnitRow | None) -> bool:
    """No order yet in this case, or one that is over: given back after a freeze, or refused for good."""
    return row is None or not row.live or row.wanted is OrderKind.RESTORE


def _reason(text: str, field: str) -> str:
    if not text.strip():
        raise MalformedError("Give a reason; it is part of the record.", field=field)
    return text.strip()[:MAX_REASON_CHARS]
