"""From an unpaid invoice to the holding pool and back, over the real store and real signatures."""

import pytest

from hashyard_cloud.domain.default import CaseState, RedirectState
from hashyard_cloud.domain.gate import ConditionKey
from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.domain.money import Money
from hashyard_cloud.domain.status import CustomerStatus
from hashyard_cloud.errors import ConflictError, IdempotencyMismatchError
from hashyard_cloud.services import activity, notices
from hashyard_cloud.services.case_view import case_view
from hashyard_cloud.services.ports.redirects import RedirectControlsRow
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import UnitPhase
from hashyard_shared.orders import OrderKind, ReasonCode
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


@BOTH
async def test_from_an_invoice_to_signed_orders(host: Host) -> None:
    invoice = await host.invoice()
    assert invoice.state is InvoiceState.ISSUED
    host.clock.pass_s(TERMS["due_s"] - 1)
    await host.dunning.run()
    assert await host.bar() is CustomerStatus.ACTIVE
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
    assert await host.bar() is CustomerStatus.IN_DEFAULT
    assert await host.missing() == {ConditionKey.NOTICES, ConditionKey.CURE}
    await host.accept_mail()
    host.clock.pass_s(BOUNCE_WAIT_S)
    await host.dunning.run()
    assert await host.missing() == {ConditionKey.CURE}
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
    assert await host.bar() is CustomerStatus.IN_DEFAULT


@BOTH
async def test_from_orders_to_redirected_and_back(host: Host) -> None:
    case = await host.to_redirect()
    rows = await host.rows()
    await host.report(rows[0], UnitPhase.REDIRECTED, 2)
    assert await host.bar() is CustomerStatus.IN_DEFAULT
    host.clock.pass_s(1)
    await host.report(rows[0], UnitPhase.REDIRECTED, 3)
    assert await host.bar() is CustomerStatus.POOL_REDIRECTED
    async with host.database.reading() as tx:
        view = await case_view(tx, host.built.defaults, host.org, case.case_id)
    assert view.counts.state is RedirectState.REDIRECTED
    assert (view.counts.at_pool, view.counts.by_level) == (1, {0: 2, 1: 0, 2: 0, 3: 1, 4: 0})

    host.clock.pass_s(1)
    assert await host.pay() == 1
    assert await host.kinds() == [RESTORE] * 3
    assert {order.reason for order in await host.orders()} == {ReasonCode.DEBT_PAID}
    assert (await host.case()).state is CaseState.CURED
    assert await host.bar() is CustomerStatus.POOL_REDIRECTED

    host.clock.pass_s(1)
    for row in await host.rows():
        await host.report(row, UnitPhase.RESTORED, 3)
    assert await host.bar() is CustomerStatus.ACTIVE
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
    await host.pay()
    for order in await host.orders():
        assert order.sequence > first[order.unit_id]


async def test_part_payment_cures_nothing_and_a_repeat_is_recorded_once(host: Host) -> None:
    await host.to_confirmed()
    assert await host.pay("400", "part") == 0
    assert await host.pay("400", "part") == 0
    assert await host.kinds() == [REDIRECT] * 3
    with pytest.raises(IdempotencyMismatchError):
        await host.pay("500", "part")
    assert await host.pay("600", "rest") == 1
    async with host.database.reading() as tx:
        assert len(await tx.payments.all(host.org)) == 2
        assert sum(row.amount_micro for row in await tx.ledger.all(host.org, host.customer)) == 0


async def test_payment_goes_to_the_oldest_invoice_and_the_rest_is_credit_for_the_next(host: Host) -> None:
    old = await host.invoice("100")
    host.clock.pass_s(1)
    new = await host.invoice("50")
    await host.pay("120")
    async with host.database.reading() as tx:
        opened = await tx.ledger.open_by_invoice(host.org)
    assert (opened[old.invoice_id], opened[new.invoice_id]) == (0, 30 * S)
    await host.pay("80", "key-2")
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
    assert ConditionKey.DISPUTE not in await host.missing()


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
    assert await host.bar() is CustomerStatus.POOL_REDIRECTED


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
    assert await host.bar() is CustomerStatus.IN_DEFAULT


async def test_a_unit_that_was_pointed_away_is_not_counted_as_redirected(host: Host) -> None:
    await host.to_confirmed()
    host.clock.pass_s(1)
    for row in await host.rows():
        await host.report(row, UnitPhase.REDIRECTING, 2)
    assert await host.bar() is CustomerStatus.IN_DEFAULT
    host.clock.pass_s(1)
    await host.report((await host.rows())[0], UnitPhase.REDIRECTED, 3)
    assert await host.bar() is CustomerStatus.POOL_REDIRECTED


async def test_approvals_of_two_people_bound_to_what_they_saw(host: Host) -> None:
    async with host.database.transaction() as tx:
        await host.built.freezes.set_controls(tx, host.org, OWNER, approvals_required=2, freeze_restores=False)
    case = await host.to_redirect()
    assert await host.missing() == {ConditionKey.APPROVALS}
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

    await host.pay("1")
    assert await host.missing() == {ConditionKey.APPROVALS}
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
    await host.pay()
    assert {order.unit_id for order in await host.orders()} == {"unit-1", "unit-3"}
    row = next(row for row in await host.rows() if row.unit_id == "unit-2")
    assert row.held_code is ErrorCode.REASSIGNED


async def test_a_unit_that_cannot_be_restored_is_held_back_and_asked_again_later(host: Host) -> None:
    await host.to_redirect()
    row = (await host.rows())[0]
    await host.report(row, UnitPhase.REFUSED, 0, ErrorCode.PASSWORD_UNKNOWN)
    assert await host.missing() == {ConditionKey.RESTORABLE}
    host.clock.pass_s(121)
    assert await host.missing() == set()


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
    assert await host.missing() == {ConditionKey.NOTICES, ConditionKey.CURE}
    async with host.database.transaction() as tx:
        now_us = host.clock.now_us()
        await notices.upload_proof(tx, now_us, host.org, OWNER, notice.notice_id, "receipt.pdf", b"signed")
    host.clock.pass_s(TERMS["cure_s"])
    await host.dunning.run()
    assert await host.kinds() == [REDIRECT] * 3


async def test_a_payment_that_bounced_opens_the_invoice_again(host: Host) -> None:
    invoice = await host.invoice()
    await host.pay()
    async with host.database.transaction() as tx:
        payment = (await tx.payments.all(host.org))[0]
        await host.built.payments.reverse(tx, host.org, OWNER, payment.payment_id, "cheque bounced")
    async with host.database.reading() as tx:
        found = await tx.invoices.get(host.org, invoice.invoice_id)
        assert (await tx.ledger.open_by_invoice(host.org))[invoice.invoice_id] == 1_000 * S
    assert found is not None
    assert found.state is InvoiceState.ISSUED
