"""Every reason for which an order is refused has its own code: one change each against a valid order."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashyard_agent.enforcement.orders import Accepted, Holds, Refusal, Situation, held_back, judge
from hashyard_agent.trust import Trust
from hashyard_shared.errors import ErrorCode
from hashyard_shared.orders import Order, OrderKind, ReasonCode
from hashyard_shared.protocol import UnitBinding
from hashyard_shared.signing import (
    DocumentType,
    Envelope,
    encode_base64,
    fingerprint,
    new_private_key,
    public_bytes,
    sign,
)
from hashyard_shared.trust import HoldingPool, pool_hash

NOW_US = 1_800_000_000_000_000
HOUR_US = 3_600_000_000
MAC = "02:5e:e0:00:00:01"
KEY, OTHER_KEY = new_private_key(), new_private_key()
POOL = HoldingPool(reference="main", url="stratum+tcp://hold.example:3333", worker="host.{unit}", password="h")
TRUST = Trust(
    organisation_id="org",
    site_id="site",
    signing_keys=(encode_base64(public_bytes(KEY)),),
    holding_pools=(POOL,),
)
SITUATION = Situation(
    trust=TRUST,
    agent_id="agent",
    agent_key="f" * 32,
    epoch=3,
    now_us=NOW_US,
    bindings={"unit": UnitBinding(unit_id="unit", label="R1", mac=MAC, customer_id="customer")},
    mac_shared=lambda _: False,
    last_sequence={"unit": 10},
    last_order={"unit": "earlier"},
    redirected=frozenset(),
    disturbed_today=0,
    daily_cap_units=5,
    confirmed=frozenset(),
    redirect_enabled=True,
)
REDIRECT: dict[str, Any] = {
    "order_id": "order",
    "organisation_id": "org",
    "site_id": "site",
    "agent_id": "agent",
    "agent_key": "f" * 32,
    "epoch": 3,
    "unit_id": "unit",
    "customer_id": "customer",
    "case_id": "case",
    "mac": MAC,
    "kind": OrderKind.REDIRECT,
    "reason": ReasonCode.DEFAULT_UNCURED,
    "holding_pool": "main",
    "holding_pool_hash": pool_hash(POOL),
    "sequence": 11,
    "issued_at_us": NOW_US,
    "not_before_us": NOW_US,
    "expires_at_us": NOW_US + HOUR_US,
}
RESTORE = REDIRECT | {
    "kind": OrderKind.RESTORE,
    "reason": ReasonCode.DEBT_PAID,
    "holding_pool": None,
    "holding_pool_hash": None,
    "expires_at_us": None,
}


def _signed(fields: dict[str, Any], key: Ed25519PrivateKey = KEY) -> Envelope:
    return Order.model_validate(fields).signed(key)


def _raw(fields: dict[str, Any]) -> Envelope:
    return sign(KEY, DocumentType.ORDER, json.dumps(fields).encode())


def _other(**parts: str) -> str:
    return pool_hash(POOL.model_copy(update=parts))


def _code(envelope: Envelope, situation: Situation = SITUATION) -> ErrorCode | None:
    verdict = judge(envelope, situation)
    return verdict.code if isinstance(verdict, Refusal) else None


@pytest.mark.parametrize("fields", [REDIRECT, RESTORE])
def test_a_valid_order_is_accepted(fields: dict[str, Any]) -> None:
    verdict = judge(_signed(fields), SITUATION)
    assert isinstance(verdict, Accepted)
    assert verdict.pool == (POOL if fields is REDIRECT else None)


BENT: list[tuple[ErrorCode, dict[str, Any]]] = [
    (ErrorCode.ORDER_WRONG_SITE, {"site_id": "elsewhere"}),
    (ErrorCode.ORDER_WRONG_SITE, {"organisation_id": "elsewhere"}),
    (ErrorCode.ORDER_WRONG_AGENT, {"agent_id": "clone"}),
    (ErrorCode.ORDER_WRONG_AGENT, {"agent_key": "e" * 32}),
    (ErrorCode.ORDER_WRONG_EPOCH, {"epoch": 2}),
    (ErrorCode.ORDER_UNKNOWN_UNIT, {"unit_id": "another"}),
    (ErrorCode.ORDER_WRONG_MAC, {"mac": "02:5e:e0:00:00:02"}),
    (ErrorCode.ORDER_WRONG_MAC, {"mac": "not a mac"}),
    (ErrorCode.ORDER_REPLAYED, {"sequence": 10}),
    (ErrorCode.ORDER_REPLAYED, {"sequence": 1}),
    (ErrorCode.ORDER_NOT_YET_VALID, {"not_before_us": NOW_US + HOUR_US, "expires_at_us": NOW_US + 2 * HOUR_US}),
    (ErrorCode.ORDER_EXPIRED, {"expires_at_us": NOW_US}),
    (ErrorCode.ORDER_POOL_NOT_PINNED, {"holding_pool": "stranger"}),
    (ErrorCode.ORDER_POOL_NOT_PINNED, {"holding_pool_hash": "0" * 64}),
    (ErrorCode.ORDER_POOL_NOT_PINNED, {"holding_pool_hash": _other(url="stratum+tcp://thief.example:3333")}),
    (ErrorCode.ORDER_WORKER_NOT_PINNED, {"holding_pool_hash": _other(worker="thief.{unit}")}),
    (ErrorCode.ORDER_PASSWORD_NOT_PINNED, {"holding_pool_hash": _other(password="p")}),
]


@pytest.mark.parametrize(("code", "bent"), BENT)
def test_each_bent_field_is_refused_with_its_own_code(code: ErrorCode, bent: dict[str, Any]) -> None:
    assert _code(_signed(REDIRECT | bent)) is code


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (ErrorCode.ORDER_TIME_UNKNOWN, {"now_us": None}),
        (ErrorCode.DUPLICATE_MAC, {"mac_shared": lambda mac: mac == MAC}),
        (ErrorCode.ORDER_OVER_DAILY_CAP, {"disturbed_today": 5}),
        (ErrorCode.ORDER_OVER_DAILY_CAP, {"daily_cap_units": 0}),
        (ErrorCode.REDIRECT_DISABLED, {"redirect_enabled": False}),
    ],
)
def test_the_situation_refuses_redirects(code: ErrorCode, changes: dict[str, Any]) -> None:
    assert _code(_signed(REDIRECT), replace(SITUATION, **changes)) is code


@pytest.mark.parametrize(
    "changes", [{"now_us": None}, {"disturbed_today": 5}, {"daily_cap_units": 0}, {"redirect_enabled": False}]
)
def test_a_way_back_is_open_whatever_keeps_redirects_away(changes: dict[str, Any]) -> None:
    assert _code(_signed(RESTORE), replace(SITUATION, **changes)) is None


def test_a_restore_never_expires() -> None:
    assert _code(_signed(RESTORE), replace(SITUATION, now_us=NOW_US + 10_000 * HOUR_US)) is None


@pytest.mark.parametrize("counted", [{"redirected": {"unit"}}, {"confirmed": {"unit"}}])
def test_a_unit_that_counts_already_or_was_confirmed_is_not_held_by_the_cap(counted: dict[str, Any]) -> None:
    assert _code(_signed(REDIRECT), replace(SITUATION, disturbed_today=5, **counted)) is None


def test_keys_that_are_not_pinned_or_were_revoked() -> None:
    assert _code(_signed(REDIRECT, OTHER_KEY)) is ErrorCode.ORDER_SIGNATURE
    revoked = TRUST.model_copy(update={"revoked_keys": (fingerprint(public_bytes(KEY)),)})
    assert _code(_signed(REDIRECT), replace(SITUATION, trust=revoked)) is ErrorCode.ORDER_KEY_REVOKED


def test_a_signature_over_other_bytes_or_of_another_kind() -> None:
    good = _signed(REDIRECT)
    swapped = good.model_copy(update={"payload": _signed(RESTORE).payload})
    assert _code(swapped) is ErrorCode.ORDER_SIGNATURE
    as_time = sign(KEY, DocumentType.TIME, good.payload_bytes())
    assert _code(as_time) is ErrorCode.ORDER_SIGNATURE


@pytest.mark.parametrize(
    "change", [lambda o: o | {"restore_url": "x"}, lambda o: {k: o[k] for k in o if k != "mac"}]
)
def test_an_unknown_or_a_missing_field_is_a_refusal(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    plain = Order.model_validate(REDIRECT).model_dump(mode="json")
    assert _code(_raw(change(plain))) is ErrorCode.ORDER_UNKNOWN_FIELD


def test_the_order_that_was_accepted_is_known_again_and_not_a_replay() -> None:
    situation = replace(SITUATION, last_sequence={"unit": 11}, last_order={"unit": "order"}, now_us=None)
    verdict = judge(_signed(REDIRECT), situation)
    assert isinstance(verdict, Accepted)
    assert verdict.known
    another = _signed(REDIRECT | {"order_id": "forged"})
    assert _code(another, situation) is ErrorCode.ORDER_REPLAYED


FREE = Holds(
    emergency_stop=False,
    shadow_mode=False,
    maintenance=False,
    quarantined=False,
    assigned=False,
    redirect_enabled=True,
    shared_mac=False,
)


@pytest.mark.parametrize(
    ("hold", "redirect", "restore"),
    [
        ({}, None, None),
        ({"emergency_stop": True}, ErrorCode.EMERGENCY_STOP, ErrorCode.EMERGENCY_STOP),
        ({"shadow_mode": True}, ErrorCode.SHADOW_MODE, ErrorCode.SHADOW_MODE),
        ({"maintenance": True}, ErrorCode.MAINTENANCE, ErrorCode.MAINTENANCE),
        ({"shared_mac": True}, ErrorCode.DUPLICATE_MAC, ErrorCode.DUPLICATE_MAC),
        ({"quarantined": True}, ErrorCode.QUARANTINED, None),
        ({"redirect_enabled": False}, ErrorCode.REDIRECT_DISABLED, None),
        ({"emergency_stop": True, "shadow_mode": True}, ErrorCode.EMERGENCY_STOP, ErrorCode.EMERGENCY_STOP),
    ],
)
def test_what_holds_a_write_back(
    hold: dict[str, bool], redirect: ErrorCode | None, restore: ErrorCode | None
) -> None:
    holds = replace(FREE, **hold)
    assert held_back(OrderKind.REDIRECT, holds) is redirect
    assert held_back(OrderKind.RESTORE, holds) is restore
