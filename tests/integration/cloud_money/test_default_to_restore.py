"""From an unpaid invoice to the holding pool and back, over the real store and real signatures."""

from dataclasses import replace

import pytest

from hashyard_cloud.domain.default import CaseState, RedirectState
from hashyard_cloud.domain.gate import ConditionKey
from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.domain.money import Money
from hashyard_cloud.domain.status import CustomerStatus
from hashyard_cloud.errors import ConflictError, IdempotencyMismatchError
from hashyard_cloud.services import activity, notices
from hashyard_cloud.services.agent_keys import AgentKeys
from hashyard_cloud.services.case_view import case_view, status_bar, statuses
from hashyard_cloud.services.ports.redirects import RedirectControlsRow
from hashyard_shared.agent_keys import AgentKeyRequest
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import OrderRefused, UnitPhase
from hashyard_shared.orders import OrderKind, ReasonCode
from hashyard_shared.signing import encode_base64, new_private_key, public_bytes
from hashyard_support.money import (
    BOUNCE_WAIT_S,
    OWNER,
    SECOND,
    TERMS,
    Host,
    S,
    add_contract,
    add_unit,
    contract_version,
)

REDIRECT, RESTORE = OrderKind.REDIRECT, OrderKind.RESTORE
BOTH = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])


async def pay(host: Host, amount: str = "1000.00", key: str = "key-1") -> int:
    async with host.database.transaction() as tx:
        done = await host.built.payments.record(
            tx, host.org, OWNER, host.customer, Money.parse(amount, "USD"), key
        )
    return done.cases_ended


async def bar(host: Host) -> CustomerStatus:
    async with host.database.reading() as tx:
        found = (await status_bar(tx, host.org, host.customer)).status
        assert (await statuses(tx, host.org))[host.customer] is found
    return found


async def missing(host: Host) -> set[ConditionKey]:
    async with host.database.reading() as tx:
        case = (await tx.defaults.cases(host.org))[0]
        found = await host.built.defaults.situation(tx, case)
    return {item.key for item in found.verdict.missing}


@BOTH
async def test_from_an_invoice_to_signed_orders(host: Host) -> None:
    invoice = await host.invoice()
    assert invoice.state is InvoiceState.ISSUED
    host.clock.pass_s(TERMS["due_s"] - 1)
    await host.dunning.run()
    assert await bar(host) is CustomerStatus.ACTIVE
    host.clock.pass_s(1)
    await host.dunning.run()
    async with host.database.reading() as tx:
        overdue = await tx.invoices.get(host.org, invoice.invoice_id)
    assert overdue is not None
    assert overdue.state is InvoiceState.OVERDUE
    await host.accept_mail()

    host.clock.pass_s(TERMS["grace_s"])
    await host.dunning.run()
    assert (await host.case()).reason == f"{invoice.number} unpaid 1 min after its due date, grace of 1 min over"
    assert await bar(host) is CustomerStatus.IN_DEFAULT
    assert await missing(host) == {ConditionKey.NOTICES, ConditionKey.CURE}
    await host.accept_mail()
    host.clock.pass_s(BOUNCE_WAIT_S)
    await host.dunning.run()
    assert await missing(host) == {ConditionKey.CURE}
    assert await host.orders() == []

    host.clock.pass_s(TERMS["cure_s"])
    before = await host.version()
    await host.dunning.run()
    orders = await host.orders()
    assert {order.unit_id for order in orders} == {"unit-1", "unit-2", "unit-3"}
    for order in orders:
        assert (order.kind, order.reason) == (REDIRECT, ReasonCode.DEFAULT_UNCURED)
        assert (order.agent_id, order.agent_key, order.epoch) == ("agent-1", "f" * 32, 1)
        assert order.holding_pool == "holding"
        assert order.expires_at_us == host.clock.now_us() + 3_600 * S
    assert await host.version() > before
    assert await bar(host) is CustomerStatus.IN_DEFAULT


@BOTH
async def test_from_orders_to_redirected_and_back(host: Host) -> None:
    case = await host.to_redirect()
    rows = await host.rows()
    await host.report(rows[0], UnitPhase.REDIRECTED, 2)
    assert await bar(host) is CustomerStatus.IN_DEFAULT
    host.clock.pass_s(1)
    await host.report(rows[0], UnitPhase.REDIRECTED, 3)
    assert await bar(host) is CustomerStatus.POOL_REDIRECTED
    async with host.database.reading() as tx:
        view = await case_view(tx, host.built.defaults, host.org, case.case_id)
    assert view.counts.state is RedirectState.REDIRECTED
    assert (view.counts.at_pool, view.counts.by_level) == (1, {0: 2, 1: 0, 2: 0, 3: 1, 4: 0})

    host.clock.pass_s(1)
    assert await pay(host) == 1
    assert await host.kinds() == [RESTORE] * 3
    assert {order.reason for order in await host.orders()} == {ReasonCode.DEBT_PAID}
    assert (await host.case()).state is CaseState.CURED
    assert await bar(host) is CustomerStatus.POOL_REDIRECTED

    host.clock.pass_s(1)
    for row in await host.rows():
        await host.report(row, UnitPhase.RESTORED, 3)
    assert await bar(host) is CustomerStatus.ACTIVE
    assert await host.orders() == []
    async with host.database.reading() as tx:
        assert await activity.first_break(tx, host.org) is None
    done = await host.activity()
    assert done.index("default.opened") < done.index("default.redirect-ordered") < done.index("payment.recorded")


async def test_restore_orders_are_in_the_payments_own_transaction(host: Host) -> None:
    await host.to_confirmed()
    version = await host.version()
    async with host.database.transaction() as tx:
        await host.built.payments.record(tx, host.org, OWNER, host.customer, Money.parse("1000", "USD"), "k")
        assert await tx.desired.version(host.org, host.site) > version
        restores = [row for row in await tx.redirects.units(host.org) if row.wanted is RESTORE]
        assert len(restores) == 3


async def test_sequences_grow_and_a_restore_supersedes(host: Host) -> None:
    await host.to_confirmed()
    first = {order.unit_id: order.sequence for order in await host.orders()}
    await pay(host)
    for order in await host.orders():
        assert order.sequence > first[order.unit_id]


async def test_part_payment_cures_nothing_and_a_repeat_is_recorded_once(host: Host) -> None:
    await host.to_confirmed()
    assert await pay(host, "400", "part") == 0
    assert await pay(host, "400", "part") == 0
    assert await host.kinds() == [REDIRECT] * 3
    with pytest.raises(IdempotencyMismatchError):
        await pay(host, "500", "part")
    assert await pay(host, "600", "rest") == 1
    async with host.database.reading() as tx:
        assert len(await tx.payments.all(host.org)) == 2
        assert sum(row.amount_micro for row in await tx.ledger.all(host.org, host.customer)) == 0


async def test_payment_goes_to_the_oldest_invoice_and_the_rest_is_credit_for_the_next(host: Host) -> None:
    old = await host.invoice("100")
    host.clock.pass_s(1)
    new = await host.invoice("50")
    await pay(host, "120")
    async with host.database.reading() as tx:
        opened = await tx.ledger.open_by_invoice(host.org)
    assert (opened[old.invoice_id], opened[new.invoice_id]) == (0, 30 * S)
    await pay(host, "80", "key-2")
    later = await host.invoice("20")
    async with host.database.reading() as tx:
        assert (await tx.ledger.credits(host.org))[host.customer, "USD"] == 30 * S
        found = await tx.invoices.get(host.org, later.invoice_id)
    assert found is not None
    assert found.state is InvoiceState.PAID


async def test_only_the_contract_in_default_is_redirected(host: Host) -> None:
    await add_contract(host, "contract-2", "HC-2026-0002")
    await add_unit(host, 9, "contract-2")
    await host.to_redirect()
    assert {order.unit_id for order in await host.orders()} == {"unit-1", "unit-2", "unit-3"}


@pytest.mark.parametrize("restores", [True, False])
@pytest.mark.parametrize("what", ["dispute", "hold"])
async def test_dispute_and_legal_hold_freeze_at_once(host: Host, what: str, restores: bool) -> None:
    await host.to_confirmed()
    async with host.database.transaction() as tx:
        await tx.redirects.set_controls(
            RedirectControlsRow(organisation_id=host.org, freeze_restores=restores, holding_pool="")
        )
    async with host.database.transaction() as tx:
        if what == "dispute":
            row = await host.built.freezes.raise_dispute(tx, host.org, OWNER, host.customer, "Meter is wrong")
        else:
            hold = await host.built.freezes.place_hold(tx, host.org, OWNER, "Restraining order", site_id=host.site)
    assert await host.kinds() == [RESTORE if restores else REDIRECT] * 3
    host.clock.pass_s(700)
    await host.dunning.run()
    leases = [order.expires_at_us for order in await host.orders()]
    renewed = [at_us for at_us in leases if at_us is not None and at_us > host.clock.now_us() + 3_000 * S]
    assert renewed == []

    async with host.database.transaction() as tx:
        if what == "dispute":
            await host.built.freezes.resolve_dispute(tx, host.org, OWNER, row.dispute_id, "Meter was right")
        else:
            await host.built.freezes.lift_hold(tx, host.org, OWNER, hold.hold_id, "Order lifted")
    assert await host.kinds() == [REDIRECT] * 3


async def test_what_was_ordered_but_not_carried_out_is_taken_back_by_a_freeze(host: Host) -> None:
    await host.to_redirect()
    rows = await host.rows()
    await host.report(rows[0], UnitPhase.REDIRECTED, 4)
    async with host.database.transaction() as tx:
        await host.built.freezes.raise_dispute(tx, host.org, OWNER, host.customer, "Meter is wrong")
    wanted = {row.unit_id: row.wanted for row in await host.rows()}
    assert wanted == {"unit-1": REDIRECT, "unit-2": RESTORE, "unit-3": RESTORE}


async def test_a_dispute_over_another_contract_freezes_nothing(host: Host) -> None:
    await add_contract(host, "contract-2", "HC-2026-0002")
    await host.to_case()
    async with host.database.transaction() as tx:
        await host.built.freezes.raise_dispute(
            tx, host.org, OWNER, host.customer, "Other contract", contract_id="contract-2"
        )
    assert ConditionKey.DISPUTE not in await missing(host)


async def test_the_switch_off_gives_back_and_stops_new_redirects(host: Host) -> None:
    await host.to_confirmed()
    async with host.database.transaction() as tx:
        await host.built.freezes.set_switch(tx, host.org, OWNER, enabled=False, reason="audit")
    assert {order.reason for order in await host.orders()} == {ReasonCode.REDIRECT_SWITCHED_OFF}
    for row in await host.rows():
        host.clock.pass_s(1)
        await host.report(row, UnitPhase.RESTORED, 3)
    await host.dunning.run()
    assert await host.orders() == []
    async with host.database.transaction() as tx:
        await host.built.freezes.set_switch(tx, host.org, OWNER, enabled=True)
    assert await host.kinds() == [REDIRECT] * 3


async def test_a_clause_that_is_withdrawn_gives_back(host: Host) -> None:
    await host.to_confirmed()
    host.clock.pass_s(1)
    async with host.database.transaction() as tx:
        await tx.contracts.add_version(contract_version(host, host.contract, 2, redirect_clause_given=False))
    await host.dunning.run()
    assert {order.reason for order in await host.orders()} == {ReasonCode.CLAUSE_WITHDRAWN}


async def test_leases_are_renewed_while_the_default_stands(host: Host) -> None:
    await host.to_confirmed()
    first = {order.unit_id: order for order in await host.orders()}
    host.clock.pass_s(599)
    await host.dunning.run()
    assert {order.order_id for order in await host.orders()} == {order.order_id for order in first.values()}
    host.clock.pass_s(1)
    await host.dunning.run()
    for order in await host.orders():
        assert order.reason is ReasonCode.LEASE_RENEWED
        assert order.sequence > first[order.unit_id].sequence
        assert order.expires_at_us == host.clock.now_us() + 3_600 * S
    assert await bar(host) is CustomerStatus.POOL_REDIRECTED


async def test_a_lease_that_lapsed_on_site_ends_the_redirect(host: Host) -> None:
    case = await host.to_confirmed()
    async with host.database.transaction() as tx:
        await host.built.freezes.raise_dispute(tx, host.org, OWNER, host.customer, "Meter is wrong")
    host.clock.pass_s(3_601)
    await host.dunning.run()
    for row in await host.rows():
        await host.report(row, UnitPhase.RESTORED, 4)
    assert await host.orders() == []
    async with host.database.reading() as tx:
        view = await case_view(tx, host.built.defaults, host.org, case.case_id)
    assert view.counts.state is RedirectState.RESTORED
    assert await bar(host) is CustomerStatus.IN_DEFAULT


async def test_a_unit_that_was_pointed_away_is_not_counted_as_redirected(host: Host) -> None:
    await host.to_confirmed()
    host.clock.pass_s(1)
    for row in await host.rows():
        await host.report(row, UnitPhase.REDIRECTING, 2)
    assert await bar(host) is CustomerStatus.IN_DEFAULT
    host.clock.pass_s(1)
    await host.report((await host.rows())[0], UnitPhase.REDIRECTED, 3)
    assert await bar(host) is CustomerStatus.POOL_REDIRECTED


async def test_approvals_of_two_people_bound_to_what_they_saw(host: Host) -> None:
    async with host.database.transaction() as tx:
        await host.built.freezes.set_controls(tx, host.org, OWNER, approvals_required=2, freeze_restores=False)
    case = await host.to_redirect()
    assert await missing(host) == {ConditionKey.APPROVALS}
    assert await host.orders() == []
    defaults = host.built.defaults
    async with host.database.transaction() as tx:
        binding = (await defaults.situation(tx, case)).facts.binding
        await defaults.approve(tx, host.org, OWNER, case.case_id, binding)
        await defaults.approve(tx, host.org, OWNER, case.case_id, binding)
    await host.dunning.run()
    assert await host.orders() == []
    async with host.database.transaction() as tx:
        await defaults.approve(tx, host.org, SECOND, case.case_id, binding)
    await host.dunning.run()
    assert await host.kinds() == [REDIRECT] * 3

    await pay(host, "1")
    assert await missing(host) == {ConditionKey.APPROVALS}
    with pytest.raises(ConflictError, match="changed"):
        async with host.database.transaction() as tx:
            await defaults.approve(tx, host.org, OWNER, case.case_id, binding)


async def test_plan_waiver_and_withdrawal_restore_at_once(host: Host) -> None:
    case = await host.to_confirmed()
    defaults = host.built.defaults
    async with host.database.transaction() as tx:
        until_us = host.clock.now_us() + 100 * S
        await defaults.agree_plan(tx, host.org, OWNER, case.case_id, "two instalments", until_us)
    assert {order.reason for order in await host.orders()} == {ReasonCode.PLAN_AGREED}
    host.clock.pass_s(100)
    await host.dunning.run()
    assert (await host.case()).state is CaseState.OPEN
    assert await host.kinds() == [REDIRECT] * 3
    async with host.database.transaction() as tx:
        await defaults.waive(tx, host.org, OWNER, case.case_id, "goodwill")
    assert {order.reason for order in await host.orders()} == {ReasonCode.WAIVED}
    assert (await host.case()).state is CaseState.WAIVED
    async with host.database.reading() as tx:
        assert sum(row.amount_micro for row in await tx.ledger.all(host.org, host.customer)) == 0


async def test_a_withdrawn_case_restores_and_does_not_come_back(host: Host) -> None:
    case = await host.to_confirmed()
    async with host.database.transaction() as tx:
        await host.built.defaults.withdraw(tx, host.org, OWNER, case.case_id, "opened by mistake")
    assert await host.kinds() == [RESTORE] * 3
    host.clock.pass_s(10)
    await host.dunning.run()
    async with host.database.reading() as tx:
        assert len(await tx.defaults.cases(host.org)) == 1


async def test_a_reassigned_unit_is_not_restored_to_anybody_by_itself(host: Host) -> None:
    await host.to_confirmed()
    async with host.database.transaction() as tx:
        await tx.equipment.end_assignment(host.org, "unit-2", host.clock.now_us(), "test")
    await pay(host)
    assert {order.unit_id for order in await host.orders()} == {"unit-1", "unit-3"}
    row = next(row for row in await host.rows() if row.unit_id == "unit-2")
    assert row.held_code is ErrorCode.REASSIGNED


async def test_a_unit_that_cannot_be_restored_is_held_back_and_asked_again_later(host: Host) -> None:
    await host.to_redirect()
    row = (await host.rows())[0]
    await host.report(row, UnitPhase.REFUSED, 0, ErrorCode.PASSWORD_UNKNOWN)
    assert await missing(host) == {ConditionKey.RESTORABLE}
    host.clock.pass_s(121)
    assert await missing(host) == set()


async def test_a_refused_order_is_shown_and_a_hopeless_one_is_not_sent_again(host: Host) -> None:
    await host.to_redirect()
    orders = {order.unit_id: order for order in await host.orders()}
    for unit_id, code in (("unit-1", ErrorCode.ORDER_OVER_DAILY_CAP), ("unit-2", ErrorCode.ORDER_EXPIRED)):
        order = orders[unit_id]
        await host.event(
            OrderRefused(
                at_us=host.clock.now_us(),
                order_id=order.order_id,
                unit_id=unit_id,
                sequence=order.sequence,
                code=code,
                detail="said on site",
            )
        )
    assert {order.unit_id for order in await host.orders()} == {"unit-1", "unit-3"}
    shown = {row.unit_id: row.code for row in await host.rows()}
    assert shown == {"unit-1": ErrorCode.ORDER_OVER_DAILY_CAP, "unit-2": ErrorCode.ORDER_EXPIRED, "unit-3": None}
    host.clock.pass_s(1)
    await host.dunning.run()
    assert {order.unit_id for order in await host.orders()} == {"unit-1", "unit-3"}


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.value.startswith("order-")])
async def test_each_refusal_of_a_site_is_shown_under_its_own_code(host: Host, code: ErrorCode) -> None:
    await host.to_redirect()
    order = (await host.orders())[0]
    await host.event(
        OrderRefused(
            at_us=host.clock.now_us(),
            order_id=order.order_id,
            unit_id=order.unit_id,
            sequence=order.sequence,
            code=code,
            detail="said on site",
        )
    )
    async with host.database.reading() as tx:
        row = await tx.redirects.unit(host.org, order.unit_id)
        kept = await tx.redirects.order(host.org, order.order_id)
    assert row is not None
    assert kept is not None
    assert (row.phase, row.code, row.detail) == (UnitPhase.REFUSED, code, "said on site")
    assert (kept.refused_code, kept.refused_detail) == (code, "said on site")


async def test_events_are_applied_once_and_late_ones_change_nothing(host: Host) -> None:
    await host.to_redirect()
    row = (await host.rows())[0]
    await host.report(row, UnitPhase.REDIRECTED, 4)
    early = replace(row)
    host.clock.pass_s(-5)
    await host.report(early, UnitPhase.REDIRECTING, 1)
    assert (await host.rows())[0].level == 4
    async with host.database.reading() as tx:
        events = await tx.redirects.unit_events(host.org, row.case_id)
    assert len(events) == 2


async def test_an_agent_of_another_site_cannot_speak_for_a_unit(host: Host) -> None:
    await host.to_redirect()
    assert host.agent is not None
    host.agent = replace(host.agent, site_id="elsewhere")
    row = (await host.rows())[0]
    await host.report(row, UnitPhase.REDIRECTED, 4)
    assert (await host.rows())[0].phase is UnitPhase.WAITING


async def test_orders_are_signed_anew_for_another_epoch(host: Host) -> None:
    await host.to_confirmed()
    async with host.database.transaction() as tx:
        await tx.agents.next_epoch(host.org, "agent-1", 1)
    await host.dunning.run()
    assert {(order.kind, order.epoch) for order in await host.orders()} == {(REDIRECT, 2)}
    await pay(host)
    async with host.database.transaction() as tx:
        await tx.agents.next_epoch(host.org, "agent-1", 2)
    await host.dunning.run()
    assert {(order.kind, order.epoch) for order in await host.orders()} == {(RESTORE, 3)}


async def test_no_signed_order_for_an_agent_that_may_be_a_clone(host: Host) -> None:
    await host.to_case()
    async with host.database.transaction() as tx:
        await tx.agents.rotate_nonce(host.org, "agent-1", "n2", "n1", host.clock.now_us())
    host.clock.pass_s(BOUNCE_WAIT_S + TERMS["cure_s"])
    await host.dunning.run()
    assert await host.orders() == []
    async with host.database.transaction() as tx:
        await tx.agents.clear_clone(host.org, "agent-1")
    await host.dunning.run()
    assert await host.kinds() == [REDIRECT] * 3


async def test_shadow_mode_informs_and_orders_go_out(host: Host) -> None:
    async with host.database.transaction() as tx:
        site = await tx.sites.get(host.org, host.site)
        assert site is not None
        await tx.sites.update(replace(site, shadow_mode=True))
    await host.to_redirect()
    assert await missing(host) == {ConditionKey.SHADOW}
    assert await host.kinds() == [REDIRECT] * 3


async def test_a_partial_redirect_takes_only_the_agreed_share(host: Host) -> None:
    case = await host.to_case()
    async with host.database.transaction() as tx:
        await host.built.defaults.set_percent(tx, host.org, OWNER, case.case_id, 67)
    host.clock.pass_s(BOUNCE_WAIT_S + TERMS["cure_s"])
    await host.dunning.run()
    assert len(await host.orders()) == 2
    async with host.database.transaction() as tx:
        await host.built.defaults.set_percent(tx, host.org, OWNER, case.case_id, 34)
    await host.dunning.run()
    assert sorted(await host.kinds()) == [REDIRECT, RESTORE]


async def test_a_bounce_reopens_the_wait_and_a_proof_ends_it(host: Host) -> None:
    case = await host.to_case()
    async with host.database.reading() as tx:
        notice = (await tx.notices.all(host.org, case_id=case.case_id))[0]
    async with host.database.transaction() as tx:
        await notices.record_bounce(tx, host.clock.now_us(), host.org, OWNER, notice.notice_id, "550 unknown")
    host.clock.pass_s(BOUNCE_WAIT_S + TERMS["cure_s"])
    await host.dunning.run()
    assert await missing(host) == {ConditionKey.NOTICES, ConditionKey.CURE}
    async with host.database.transaction() as tx:
        now_us = host.clock.now_us()
        await notices.upload_proof(tx, now_us, host.org, OWNER, notice.notice_id, "receipt.pdf", b"signed")
    host.clock.pass_s(TERMS["cure_s"])
    await host.dunning.run()
    assert await host.kinds() == [REDIRECT] * 3


async def test_a_payment_that_bounced_opens_the_invoice_again(host: Host) -> None:
    invoice = await host.invoice()
    await pay(host)
    async with host.database.transaction() as tx:
        payment = (await tx.payments.all(host.org))[0]
        await host.built.payments.reverse(tx, host.org, OWNER, payment.payment_id, "cheque bounced")
    async with host.database.reading() as tx:
        found = await tx.invoices.get(host.org, invoice.invoice_id)
        assert (await tx.ledger.open_by_invoice(host.org))[invoice.invoice_id] == 1_000 * S
    assert found is not None
    assert found.state is InvoiceState.ISSUED


async def test_after_a_change_of_the_agents_key_no_unit_is_left_with_an_order_for_the_old_one(host: Host) -> None:
    await host.to_confirmed()
    old, new = new_private_key(), new_private_key()
    assert host.agent is not None
    async with host.database.transaction() as tx:
        await tx.agents.set_key(host.agent, encode_base64(public_bytes(old)), "0" * 32, host.clock.now_us())
    await pay(host)
    assert {(order.kind, order.agent_key) for order in await host.orders()} == {(RESTORE, "0" * 32)}
    nonce = encode_base64(b"n" * 32)
    async with host.database.transaction() as tx:
        await tx.agents.add_challenge("agent-1", nonce, host.clock.now_us() + 1_000_000, 8)
    agent_keys = AgentKeys(host.database, host.clock, host.built.desk)
    answer = await agent_keys.change(AgentKeyRequest.signed("agent-1", nonce, old, new))
    # With the answer the restores are there for the new key; nobody has to wait for the next round.
    assert {(order.kind, order.agent_key) for order in await host.orders()} == {(RESTORE, answer.fingerprint)}
    assert len(await host.orders()) == 3


async def test_redirects_are_repeated_for_the_agents_new_key_once_their_gate_was_looked_at(host: Host) -> None:
    await host.to_confirmed()
    assert host.agent is not None
    async with host.database.transaction() as tx:
        await tx.agents.set_key(host.agent, "", "1" * 32, host.clock.now_us())
    await host.dunning.run()
    assert {(order.kind, order.agent_key) for order in await host.orders()} == {(REDIRECT, "1" * 32)}
