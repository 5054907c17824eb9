import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashyard_shared.enrolment import EnrolmentCode, EnrolmentCodeError
from hashyard_shared.errors import ErrorCode
from hashyard_shared.journal import GENESIS, JournalLine, first_break, next_line
from hashyard_shared.orders import Order, OrderFormError, OrderKind, ReasonCode, next_sequence
from hashyard_shared.signing import (
    DocumentType,
    Envelope,
    SignatureError,
    fingerprint,
    new_private_key,
    public_bytes,
    sign,
    verify,
)
from hashyard_shared.trust import HoldingPool, pool_hash

KEY = new_private_key()
PUBLIC = public_bytes(KEY)


def order(**changes: object) -> Order:
    fields: dict[str, object] = {
        "order_id": "o1",
        "organisation_id": "org",
        "site_id": "site",
        "agent_id": "agent",
        "agent_key": "f" * 32,
        "epoch": 1,
        "unit_id": "unit",
        "customer_id": "customer",
        "case_id": "case",
        "mac": "aa:bb:cc:dd:ee:ff",
        "kind": OrderKind.REDIRECT,
        "reason": ReasonCode.DEFAULT_UNCURED,
        "holding_pool": "main",
        "holding_pool_hash": "0" * 64,
        "sequence": 5,
        "issued_at_us": 1,
        "not_before_us": 1,
        "expires_at_us": 2,
    }
    return Order.model_validate(fields | changes)


@given(st.binary(max_size=2_000))
def test_a_signature_verifies_for_its_own_bytes_only(payload: bytes) -> None:
    envelope = sign(KEY, DocumentType.TIME, payload)
    assert verify(PUBLIC, DocumentType.TIME, envelope) == payload
    with pytest.raises(SignatureError):
        verify(PUBLIC, DocumentType.ORDER, envelope)
    changed = envelope.model_copy(update={"payload": base64.b64encode(payload + b"x").decode()})
    with pytest.raises(SignatureError):
        verify(PUBLIC, DocumentType.TIME, changed)


@pytest.mark.parametrize("text", ["not base64!", "AAAA", ""])
def test_a_malformed_signature_is_refused_not_raised_raw(text: str) -> None:
    envelope = Envelope(key=fingerprint(PUBLIC), payload="", signature=text)
    with pytest.raises(SignatureError):
        verify(PUBLIC, DocumentType.TIME, envelope)


def test_an_order_survives_the_wire_to_the_byte() -> None:
    sent = order()
    assert Order.opened(PUBLIC, Envelope.model_validate_json(sent.signed(KEY).model_dump_json())) == sent


def test_an_unknown_field_in_an_order_is_a_refusal_with_its_name() -> None:
    payload = order().model_dump_json()[:-1] + ',"pool_url":"stratum+tcp://elsewhere"}'
    with pytest.raises(OrderFormError, match="pool_url") as refused:
        Order.opened(PUBLIC, sign(KEY, DocumentType.ORDER, payload.encode()))
    assert refused.value.code is ErrorCode.ORDER_UNKNOWN_FIELD


@pytest.mark.parametrize(
    "changes",
    [
        {"holding_pool": None},
        {"holding_pool_hash": None},
        {"expires_at_us": None},
        {"kind": OrderKind.RESTORE},
        {"kind": OrderKind.RESTORE, "holding_pool": None, "holding_pool_hash": None},
    ],
)
def test_a_redirect_is_a_lease_to_a_named_pool_and_a_restore_is_neither(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a redirect"):
        order(**changes)


@pytest.mark.parametrize(("last", "now_us", "expected"), [(0, 5_000_000, 5_000), (9_000, 5_000_000, 9_001)])
def test_sequences_grow_even_when_the_clock_goes_back(last: int, now_us: int, expected: int) -> None:
    assert next_sequence(last, now_us) == expected


def test_an_enrolment_code_carries_secret_and_fingerprint_through_typing() -> None:
    code = EnrolmentCode.mint(fingerprint(PUBLIC))
    typed = f"  {str(code).lower()[:20]} {str(code).lower()[20:]}\n"
    assert EnrolmentCode.parse(typed) == code
    assert code.secret not in code.secret_hash()
    for wrong in ("", "HY1-SHORT-00", str(code) + "0", str(code).replace("HY1", "HY2")):
        with pytest.raises(EnrolmentCodeError):
            EnrolmentCode.parse(wrong)


def journal(count: int) -> list[JournalLine]:
    lines: list[JournalLine] = []
    head = GENESIS
    for index in range(count):
        lines.append(next_line(index, head, 1_000 + index, "read", {"unit": f"u{index}", "note": "über"}))
        head = lines[-1].hash
    return lines


def test_a_whole_journal_has_no_break() -> None:
    assert first_break(journal(5)) is None
    assert first_break([]) is None


def test_every_way_to_rewrite_history_is_found() -> None:
    whole = journal(6)
    edited = whole.copy()
    edited[2] = edited[2].model_copy(update={"text": edited[2].text.replace("u2", "u9")})
    assert first_break(edited) == 2
    assert first_break(whole[:3] + whole[4:]) == 3
    assert first_break([whole[1], whole[0], *whole[2:]]) == 0
    rewritten = whole.copy()
    rewritten[3] = next_line(3, GENESIS, 1, "read", {})
    assert first_break(rewritten) == 3
    torn = whole.copy()
    torn[4] = torn[4].model_copy(update={"text": torn[4].text[:-9]})
    assert first_break(torn) == 4


def test_a_pool_hash_covers_every_part_and_their_borders() -> None:
    pool = HoldingPool(reference="main", url="stratum+tcp://h:1", worker="w", password="x")
    variants = [
        pool,
        pool.model_copy(update={"url": "stratum+tcp://h:2"}),
        pool.model_copy(update={"worker": "wx", "password": ""}),
        pool.model_copy(update={"password": "y"}),
        pool.model_copy(update={"reference": "other"}),
    ]
    assert len({pool_hash(variant) for variant in variants}) == len(variants)
