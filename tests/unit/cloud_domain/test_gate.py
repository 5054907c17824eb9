"""The redirect gate's truth table: every combination of its conditions, and each condition's own cases."""

import itertools
from dataclasses import replace

import pytest

from hashyard_cloud.domain.default import CaseState
from hashyard_cloud.domain.dunning import Delivery, NoticeKind, Terms
from hashyard_cloud.domain.gate import (
    Approval,
    Case,
    Clause,
    ConditionKey,
    Effect,
    Facts,
    Notice,
    Record,
    Unit,
    Verdict,
    binding_hash,
    evaluate,
)
from hashyard_cloud.domain.money import Money

S = 1_000_000
NOW = 1_000 * S
UNITS = (Unit("u1", "A-01", False, None), Unit("u2", "A-02", False, None))
DEBT = Money(12_480 * S, "USD")
CASE = Case("case-1", "DC-0001", CaseState.OPEN, "INV-1 unpaid 20 d after due date", 100 * S)
BINDING = binding_hash("case-1", ["u1", "u2"], DEBT)
DELIVERED = Delivery(accepted_at_us=200 * S, bounced_at_us=None, proof_at_us=None)

GOOD = Facts(
    now_us=NOW,
    clause=Clause("HC-1", 2, "§ 9.3", True, "version-2", 5 * S, "Jordan Whelan"),
    case=CASE,
    terms=Terms(due_s=60, grace_s=60, cure_s=300),
    bounce_wait_s=100,
    notices=(
        Notice("n1", NoticeKind.REMINDER, DELIVERED),
        Notice("n2", NoticeKind.DEFAULT, DELIVERED),
    ),
    debt=DEBT,
    claim=DEBT,
    disputes=(),
    legal_holds=(),
    approvals_required=2,
    approvals=(Approval("a", "D. Whitfield", BINDING), Approval("b", "M. Ruiz", BINDING)),
    redirect_enabled=True,
    holding_pool="holding",
    units=UNITS,
)

# How each blocking condition is broken while all others stay as they were. Breaking the units would void approvals
# that are bound to them, so the table runs with automatic approval.
BREAKS = {
    ConditionKey.CLAUSE: {"clause": replace(GOOD.clause, given=False)},  # type: ignore[type-var]
    ConditionKey.CASE: {"case": None},
    ConditionKey.NOTICES: {"notices": GOOD.notices[1:]},
    ConditionKey.CURE: {"terms": Terms(due_s=60, grace_s=60, cure_s=10_000)},
    ConditionKey.DEBT: {"debt": Money(0, "USD")},
    ConditionKey.DISPUTE: {"disputes": (Record("d1", "Meter reading disputed"),)},
    ConditionKey.LEGAL_HOLD: {"legal_holds": (Record("h1", "Restraining order"),)},
    ConditionKey.APPROVALS: {"approvals_required": 1, "approvals": ()},
    ConditionKey.SWITCH: {"redirect_enabled": False},
    ConditionKey.HOLDING_POOL: {"holding_pool": None},
    ConditionKey.RESTORABLE: {"units": ()},
}


def condition(verdict: Verdict, key: ConditionKey) -> tuple[bool, str]:
    found = next(item for item in verdict.conditions if item.key is key)
    return found.met, found.text


def test_truth_table_over_all_conditions() -> None:
    base = replace(GOOD, approvals_required=0, approvals=())
    for broken in itertools.product((False, True), repeat=len(BREAKS)):
        names = [key for key, is_broken in zip(BREAKS, broken, strict=True) if is_broken]
        facts = base
        for key in names:
            facts = replace(facts, **BREAKS[key])  # type: ignore[arg-type]
        verdict = evaluate(facts)
        assert verdict.open is (not names), names
        assert {item.key for item in verdict.missing} == set(names)
        assert verdict.units == (() if names else UNITS)


def test_all_met_names_every_condition_with_evidence() -> None:
    verdict = evaluate(GOOD)
    assert verdict.open
    assert [item.key for item in verdict.conditions] == list(ConditionKey)
    assert not verdict.missing
    assert condition(verdict, ConditionKey.CLAUSE)[1] == (
        "HC-1, version 2, accepted 1970-01-01T00:00:05Z by Jordan Whelan"
    )
    assert condition(verdict, ConditionKey.APPROVALS)[1].startswith(
        "2 of 2, bound to case, 2 units, 12,480.00 USD"
    )


@pytest.mark.parametrize(
    ("changes", "key", "text"),
    [
        ({"clause": None}, ConditionKey.CLAUSE, "No contract version is in force"),
        ({"case": replace(CASE, state=CaseState.PLAN)}, ConditionKey.CASE, "DC-0001 is plan"),
        ({"case": replace(CASE, reason="  ")}, ConditionKey.CASE, "DC-0001 has no recorded reason"),
        ({"notices": ()}, ConditionKey.NOTICES, "0 of 2; not yet: Payment reminder, Notice of default"),
        (
            {"notices": (Notice("n", NoticeKind.DEFAULT, Delivery(NOW - S, None, None)),)},
            ConditionKey.NOTICES,
            "0 of 2; not yet: Payment reminder, Notice of default · waiting 1 min 40 s for a bounce",
        ),
        (
            {"notices": (Notice("n", NoticeKind.DEFAULT, Delivery(S, 2 * S, None)),)},
            ConditionKey.NOTICES,
            "0 of 2; not yet: Payment reminder, Notice of default · a notice bounced: correct the address",
        ),
        ({"notices": GOOD.notices[:1]}, ConditionKey.CURE, "5 min from delivery of the notice of default, which"),
        ({"terms": Terms(0, 0, 760)}, ConditionKey.CURE, "12 min 40 s from delivery, 1 min left"),
        ({"debt": Money(0, "USD")}, ConditionKey.DEBT, "Nothing is owed"),
        (
            {"disputes": (Record("d1", "Meter"), Record("d2", "Uptime"))},
            ConditionKey.DISPUTE,
            "Meter and 1 more",
        ),
        ({"legal_holds": (Record("h", "Bankruptcy stay"),)}, ConditionKey.LEGAL_HOLD, "Bankruptcy stay"),
        ({"redirect_enabled": False}, ConditionKey.SWITCH, "Off for the organisation"),
        ({"holding_pool": None}, ConditionKey.HOLDING_POOL, "None is set"),
        ({"units": ()}, ConditionKey.RESTORABLE, "The contract has no units"),
    ],
)
def test_each_unmet_condition_says_why(changes: dict[str, object], key: ConditionKey, text: str) -> None:
    verdict = evaluate(replace(GOOD, **changes))  # type: ignore[arg-type]
    met, said = condition(verdict, key)
    assert not met
    assert said.startswith(text)
    assert not verdict.open


@pytest.mark.parametrize(
    ("required", "who", "met"),
    [
        (0, "", True),
        (1, "", False),
        (1, "a", True),
        (2, "a", False),
        (2, "aa", False),
        (2, "ab", True),
        (1, "ab", True),
        (-1, "", True),
    ],
)
def test_approvals_need_different_people(required: int, who: str, met: bool) -> None:
    approvals = tuple(Approval(person, f"name-{person}", BINDING) for person in who)
    verdict = evaluate(replace(GOOD, approvals_required=required, approvals=approvals))
    assert condition(verdict, ConditionKey.APPROVALS)[0] is met


@pytest.mark.parametrize(
    "changes",
    [
        {"claim": Money(12_480 * S + 1, "USD")},
        {"claim": Money(12_480 * S, "EUR")},
        {"units": UNITS[:1]},
        {"case": replace(CASE, case_id="case-2")},
    ],
)
def test_any_change_of_case_units_or_amount_voids_approvals(changes: dict[str, object]) -> None:
    verdict = evaluate(replace(GOOD, **changes))  # type: ignore[arg-type]
    met, text = condition(verdict, ConditionKey.APPROVALS)
    assert not met
    assert "2 void" in text
    assert not verdict.open


def test_what_the_redirect_itself_recovers_does_not_void_approvals() -> None:
    assert evaluate(replace(GOOD, debt=Money(5 * S, "USD"))).open


def test_binding_does_not_depend_on_the_order_of_units_nor_run_parts_together() -> None:
    assert binding_hash("c", ["u2", "u1"], DEBT) == binding_hash("c", ["u1", "u2"], DEBT)
    assert binding_hash("c", ["u1u2"], DEBT) != binding_hash("c", ["u1", "u2"], DEBT)


def test_proof_counts_as_delivery_even_after_a_bounce() -> None:
    proven = Delivery(accepted_at_us=S, bounced_at_us=2 * S, proof_at_us=300 * S, proof="courier receipt")
    notices = tuple(replace(notice, delivery=proven) for notice in GOOD.notices)
    verdict = evaluate(replace(GOOD, notices=notices))
    met, text = condition(verdict, ConditionKey.NOTICES)
    assert met
    assert text == "2 of 2 · proof uploaded · last 1970-01-01T00:05:00Z"
    assert verdict.open


def test_cure_runs_from_the_earliest_delivered_notice_of_default() -> None:
    later = Notice("n3", NoticeKind.DEFAULT, replace(DELIVERED, accepted_at_us=890 * S))
    verdict = evaluate(replace(GOOD, notices=(later, *GOOD.notices)))
    assert condition(verdict, ConditionKey.CURE) == (True, "5 min from delivery, ended 1970-01-01T00:10:00Z")


def test_shadow_mode_informs_and_does_not_block() -> None:
    units = (replace(UNITS[0], shadow=True), UNITS[1])
    verdict = evaluate(replace(GOOD, units=units))
    met, text = condition(verdict, ConditionKey.SHADOW)
    assert not met
    assert text.startswith("1 of 2 units")
    assert verdict.open
    assert verdict.units == units


def test_units_that_cannot_be_restored_are_held_back_and_the_others_go() -> None:
    held = replace(UNITS[0], held_back="pool password not recorded on site")
    also = Unit("u3", "A-03", False, "is read-only")
    verdict = evaluate(replace(GOOD, approvals_required=0, units=(held, UNITS[1], also)))
    assert verdict.open
    assert verdict.units == (UNITS[1],)
    assert verdict.held_back == (held, also)
    restorable = verdict.missing[0]
    assert restorable.effect is Effect.HOLDS_BACK
    assert restorable.text == "1 of 3: A-01 pool password not recorded on site and 1 more"
    assert restorable.evidence == "u1"


def test_no_unit_that_can_be_restored_blocks() -> None:
    held = tuple(replace(unit, held_back="no snapshot") for unit in UNITS)
    verdict = evaluate(replace(GOOD, units=held))
    assert not verdict.open
    assert verdict.held_back == held
    assert verdict.missing[0].effect is Effect.BLOCKS


def test_a_clause_accepted_without_a_name_or_date_is_said_plainly() -> None:
    clause = Clause("HC-1", 1, "§ 9.3", True, "version-1")
    assert condition(evaluate(replace(GOOD, clause=clause)), ConditionKey.CLAUSE) == (True, "HC-1, version 1")
