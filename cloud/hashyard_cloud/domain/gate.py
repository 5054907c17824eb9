"""The redirect gate: a pure function from facts to conditions, each met or not, with its evidence and its words.

A redirect order is issued only if every condition that blocks is met, and only to units that are not held back.
Shadow mode does not stop an order: the agent then does everything but the write, and the page says so.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hashyard_cloud.domain.default import CaseState
from hashyard_cloud.domain.dunning import (
    REQUIRED_NOTICES,
    Delivery,
    NoticeKind,
    Terms,
    cure_over_at_us,
    duration_text,
)
from hashyard_cloud.domain.money import Money
from hashyard_shared.clock import US_PER_S, iso

MAX_APPROVALS: Final = 2
BINDING_CHARS: Final = 64


class ConditionKey(StrEnum):
    """The gate's conditions, in the order in which they are shown."""

    CLAUSE = "clause"
    CASE = "case"
    NOTICES = "notices"
    CURE = "cure"
    DEBT = "debt"
    DISPUTE = "dispute"
    LEGAL_HOLD = "legal-hold"
    APPROVALS = "approvals"
    SWITCH = "switch"
    HOLDING_POOL = "holding-pool"
    SHADOW = "shadow"
    RESTORABLE = "restorable"


class Effect(StrEnum):
    """What an unmet condition does."""

    BLOCKS = "blocks"
    HOLDS_BACK = "holds-back"
    INFORMS = "informs"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as shown: `evidence` names the record that shows it, or is None."""

    key: ConditionKey
    met: bool
    effect: Effect
    title: str
    text: str
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """A contract version's redirect clause, as accepted."""

    contract_number: str
    version: int
    text: str
    given: bool
    evidence: str
    accepted_at_us: int | None = None
    accepted_by: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """The default case."""

    case_id: str
    number: str
    state: CaseState
    reason: str
    opened_at_us: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice of this case and what is known of its delivery."""

    notice_id: str
    kind: NoticeKind
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Record:
    """A dispute or a legal hold that stands: its id and what it says."""

    record_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's approval, bound to what it was given for."""

    user_id: str
    name: str
    binding: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the case; `held_back` says why it cannot be redirected and restored exactly, or is None."""

    unit_id: str
    label: str
    shadow: bool
    held_back: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All the gate looks at. `approvals_required` is 0 (automatic), 1 or 2.

    `holding_pool` is the reference of the pool that orders would name. `debt` is what is open now; `claim` is what
    was to be cured before the redirect itself recovered some of it, so that recovering does not void the approvals
    it rests on.
    """

    now_us: int
    clause: Clause | None
    case: Case | None
    terms: Terms
    bounce_wait_s: int
    notices: Sequence[Notice]
    debt: Money
    claim: Money
    disputes: Sequence[Record]
    legal_holds: Sequence[Record]
    approvals_required: int
    approvals: Sequence[Approval]
    redirect_enabled: bool
    holding_pool: str | None
    units: Sequence[Unit]

    @property
    def binding(self) -> str:
        """What an approval of these facts is bound to."""
        return binding_hash(
            self.case.case_id if self.case else "", (unit.unit_id for unit in self.units), self.claim
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer. `units` are those that an order may name now; empty while the gate is shut."""

    conditions: tuple[Condition, ...]
    units: tuple[Unit, ...]
    held_back: tuple[Unit, ...]

    @property
    def open(self) -> bool:
        """Whether orders may be issued."""
        return all(item.met or item.effect is not Effect.BLOCKS for item in self.conditions)

    @property
    def missing(self) -> tuple[Condition, ...]:
        """The conditions that are not met."""
        return tuple(item for item in self.conditions if not item.met)


def binding_hash(case_id: str, unit_ids: Iterable[str], debt: Money) -> str:
    """SHA-256 over case, units and amount, each part with its length before it: any change makes another."""
    digest = hashlib.sha256(b"hashyard:approval")
    for part in (case_id, debt.currency, str(debt.micro), *sorted(unit_ids)):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()


def valid_approvals(facts: Facts) -> tuple[Approval, ...]:
    """The approvals that are bound to these very facts, one for each person."""
    binding = facts.binding
    by_person = {item.user_id: item for item in facts.approvals if item.binding == binding}
    return tuple(by_person.values())


def evaluate(facts: Facts) -> Verdict:
    """Every condition, whether or not an earlier one already shuts the gate."""
    conditions = (
        _clause(facts),
        _case(facts),
        _notices(facts),
        _cure(facts),
        _debt(facts),
        _records(ConditionKey.DISPUTE, "No dispute", facts.disputes, "None raised"),
        _records(
            ConditionKey.LEGAL_HOLD,
            "No legal hold",
            facts.legal_holds,
            "None on customer, contract, site or organisation",
        ),
        _approvals(facts),
        _switch(facts),
        _holding_pool(facts),
        _shadow(facts),
        _restorable(facts),
    )
    shut = Verdict(conditions, (), tuple(unit for unit in facts.units if unit.held_back))
    if not shut.open:
        return shut
    return Verdict(conditions, tuple(unit for unit in facts.units if not unit.held_back), shut.held_back)


def _blocking(key: ConditionKey, title: str, met: bool, text: str, evidence: str | None = None) -> Condition:
    return Condition(key, met, Effect.BLOCKS, title, text, evidence)


def _clause(facts: Facts) -> Condition:
    title = "Contract carries a redirect clause"
    clause = facts.clause
    if clause is None:
        return _blocking(ConditionKey.CLAUSE, title, False, "No contract version is in force")
    where = f"{clause.contract_number}, version {clause.version}"
    if not clause.given:
        text = f"{where} has no redirect clause that the customer accepted"
        return _blocking(ConditionKey.CLAUSE, title, False, text, clause.evidence)
    accepted = f", accepted {iso(clause.accepted_at_us)}" if clause.accepted_at_us is not None else ""
    by = f" by {clause.accepted_by}" if clause.accepted_by else ""
    return _blocking(ConditionKey.CLAUSE, title, True, f"{where}{accepted}{by}", clause.evidence)


def _case(facts: Facts) -> Condition:
    title = "Default case open, reason recorded"
    case = facts.case
    if case is None:
        return _blocking(ConditionKey.CASE, title, False, "No default case")
    if case.state is not CaseState.OPEN:
        return _blocking(ConditionKey.CASE, title, False, f"{case.number} is {case.state.value}", case.case_id)
    if not case.reason.strip():
        return _blocking(ConditionKey.CASE, title, False, f"{case.number} has no recorded reason", case.case_id)
    return _blocking(ConditionKey.CASE, title, True, f"{case.number}: {case.reason}", case.case_id)


def _delivered_at(facts: Facts, kind: NoticeKind) -> tuple[int, Notice] | None:
    found = [
        (at_us, notice)
        for notice in facts.notices
        if notice.kind is kind
        and (at_us := notice.delivery.delivered_at_us(facts.bounce_wait_s, facts.now_us)) is not None
    ]
    return min(found, key=lambda item: item[0], default=None)


def _notices(facts: Facts) -> Condition:
    title = "Notices delivered"
    delivered = {kind: _delivered_at(facts, kind) for kind in REQUIRED_NOTICES}
    count = sum(found is not None for found in delivered.values())
    missing = [kind.label for kind, found in delivered.items() if found is None]
    if missing:
        waiting = f"{count} of {len(delivered)}; not yet: {', '.join(missing)}"
        return _blocking(ConditionKey.NOTICES, title, False, f"{waiting}{_why_waiting(facts)}")
    at_us, last = max((found for found in delivered.values() if found is not None), key=lambda item: item[0])
    how = (
        "proof uploaded"
        if last.delivery.proof_at_us is not None
        else f"SMTP accepted, no bounce in {duration_text(facts.bounce_wait_s)}"
    )
    text = f"{count} of {len(delivered)} · {how} · last {iso(at_us)}"
    return _blocking(ConditionKey.NOTICES, title, True, text, last.notice_id)


def _why_waiting(facts: Facts) -> str:
    required = [notice for notice in facts.notices if notice.kind in REQUIRED_NOTICES]
    if any(notice.delivery.bounced_at_us is not None for notice in required):
        return " · a notice bounced: correct the address or upload a proof"
    if any(notice.delivery.accepted_at_us is not None for notice in required):
        return f" · waiting {duration_text(facts.bounce_wait_s)} for a bounce"
    return ""


def _cure(facts: Facts) -> Condition:
    title = "Cure period over"
    began = _delivered_at(facts, NoticeKind.DEFAULT)
    if began is None:
        text = (
            f"{duration_text(facts.terms.cure_s)} from delivery of the notice of default, which is not delivered"
        )
        return _blocking(ConditionKey.CURE, title, False, text)
    over_us = cure_over_at_us(facts.terms, began[0])
    length = f"{duration_text(facts.terms.cure_s)} from delivery"
    if facts.now_us < over_us:
        left = duration_text((over_us - facts.now_us) // US_PER_S)
        return _blocking(ConditionKey.CURE, title, False, f"{length}, {left} left", began[1].notice_id)
    return _blocking(ConditionKey.CURE, title, True, f"{length}, ended {iso(over_us)}", began[1].notice_id)


def _debt(facts: Facts) -> Condition:
    title = "Debt still open"
    if facts.debt.positive:
        return _blocking(ConditionKey.DEBT, title, True, f"{facts.debt.text()} open in the ledger", "ledger")
    return _blocking(ConditionKey.DEBT, title, False, "Nothing is owed", "ledger")


def _records(key: ConditionKey, title: str, records: Sequence[Record], none: str) -> Condition:
    if not records:
        return _blocking(key, title, True, none)
    more = f" and {len(records) - 1} more" if len(records) > 1 else ""
    return _blocking(key, title, False, f"{records[0].text}{more}", records[0].record_id)


def _approvals(facts: Facts) -> Condition:
    title = "Approvals"
    needed = facts.approvals_required
    if needed <= 0:
        return _blocking(ConditionKey.APPROVALS, title, True, "Automatic: no approval is asked for")
    valid = valid_approvals(facts)
    names = f": {', '.join(item.name for item in valid)}" if valid else ""
    voided = len({item.user_id for item in facts.approvals} - {item.user_id for item in valid})
    lost = f" · {voided} void, given for other units or another amount" if voided else ""
    bound = f"bound to case, {len(facts.units)} units, {facts.claim.text()}"
    text = f"{min(len(valid), needed)} of {needed}, {bound}{names}{lost}"
    return _blocking(ConditionKey.APPROVALS, title, len(valid) >= needed, text, facts.binding)


def _switch(facts: Facts) -> Condition:
    text = "On for the organisation" if facts.redirect_enabled else "Off for the organisation"
    return _blocking(ConditionKey.SWITCH, "Redirect switch on", facts.redirect_enabled, text, "redirect-switch")


def _holding_pool(facts: Facts) -> Condition:
    text = facts.holding_pool or "None is set; add one, and pin it at the sites"
    met = facts.holding_pool is not None
    return _blocking(ConditionKey.HOLDING_POOL, "Holding pool set", met, text, facts.holding_pool)


def _shadow(facts: Facts) -> Condition:
    shadowed = sum(unit.shadow for unit in facts.units)
    text = (
        f"{shadowed} of {len(facts.units)} units are at sites in shadow mode: everything but the write"
        if shadowed
        else "No site is in shadow mode"
    )
    return Condition(ConditionKey.SHADOW, not shadowed, Effect.INFORMS, "Site writes for real", text)


def _restorable(facts: Facts) -> Condition:
    title = "Units can be restored exactly"
    fit = [unit for unit in facts.units if not unit.held_back]
    if not facts.units:
        return _blocking(ConditionKey.RESTORABLE, title, False, "The contract has no units")
    held = [unit for unit in facts.units if unit.held_back]
    text = f"{len(fit)} of {len(facts.units)}"
    if held:
        more = f" and {len(held) - 1} more" if len(held) > 1 else ""
        text += f": {held[0].label} {held[0].held_back}{more}"
    effect = Effect.HOLDS_BACK if fit else Effect.BLOCKS
    evidence = held[0].unit_id if held else None
    return Condition(ConditionKey.RESTORABLE, not held, effect, title, text, evidence)
