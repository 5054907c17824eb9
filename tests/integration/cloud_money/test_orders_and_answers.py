"""What sites answer to orders, and for whose key and epoch orders are signed, over the real store."""

from dataclasses import replace

import pytest

from hashyard_cloud.domain.gate import ConditionKey
from hashyard_cloud.services.agent_keys import AgentKeys
from hashyard_shared.agent_keys import AgentKeyRequest
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import OrderRefused, UnitPhase
from hashyard_shared.orders import OrderKind
from hashyard_shared.signing import encode_base64, new_private_key, public_bytes
from hashyard_support.money import (
    BOUNCE_WAIT_S,
    TERMS,
    Host,
)

REDIRECT, RESTORE = OrderKind.REDIRECT, OrderKind.RESTORE
BOTH = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])


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
    await host.pay()
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
    assert await host.missing() == {ConditionKey.SHADOW}
    assert await host.kinds() == [REDIRECT] * 3


async def test_after_a_change_of_the_agents_key_no_unit_is_left_with_an_order_for_the_old_one(host: Host) -> None:
    await host.to_confirmed()
    old, new = new_private_key(), new_private_key()
    assert host.agent is not None
    async with host.database.transaction() as tx:
        await tx.agents.set_key(host.agent, encode_base64(public_bytes(old)), "0" * 32, host.clock.now_us())
    await host.pay()
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
