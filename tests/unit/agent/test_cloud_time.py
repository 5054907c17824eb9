"""A signed time counts only by a key that counts here, for this agent; and what is said of clocks and keys."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashyard_agent.cloud_time import clock_note, signed_time_us, usable_keys
from hashyard_agent.trust import Trust
from hashyard_shared.clock import US_PER_S
from hashyard_shared.protocol import CloudTime
from hashyard_shared.signing import (
    DocumentType,
    Envelope,
    SignatureError,
    encode_base64,
    fingerprint,
    new_private_key,
    public_bytes,
    sign,
)

FIRST, SECOND, STRANGER = (new_private_key() for _ in range(3))
KEYS = [public_bytes(FIRST), public_bytes(SECOND)]
PRINTS = [fingerprint(key) for key in KEYS]
NOON_US = 1_773_900_000 * US_PER_S


def told(at_us: int, key: Ed25519PrivateKey = FIRST, agent_id: str = "agent") -> Envelope:
    return sign(key, DocumentType.TIME, CloudTime(agent_id=agent_id, at_us=at_us).model_dump_json().encode())


@pytest.mark.parametrize("key", [FIRST, SECOND])
def test_either_pinned_key_tells_the_time(key: Ed25519PrivateKey) -> None:
    assert signed_time_us(told(NOON_US, key), KEYS, "agent") == NOON_US


@pytest.mark.parametrize(
    "envelope",
    [
        told(NOON_US, STRANGER),
        told(NOON_US, agent_id="other"),
        sign(FIRST, DocumentType.TIME, b"no time"),
        sign(FIRST, DocumentType.ORDER, CloudTime(agent_id="agent", at_us=NOON_US).model_dump_json().encode()),
    ],
    ids=["stranger", "other agent", "unreadable", "another kind of document"],
)
def test_a_time_that_is_not_ours_is_refused(envelope: Envelope) -> None:
    with pytest.raises(SignatureError):
        signed_time_us(envelope, KEYS, "agent")


def test_a_revoked_key_does_not_count() -> None:
    trust = Trust(
        organisation_id="o",
        site_id="s",
        signing_keys=tuple(encode_base64(key) for key in KEYS),
        revoked_keys=(PRINTS[0],),
    )
    assert usable_keys(trust) == KEYS[1:]


def test_a_rotation_to_the_second_slot_asks_for_the_next_key() -> None:
    assert clock_note(NOON_US, NOON_US, PRINTS[0], KEYS) is None
    assert "add-key" in (clock_note(NOON_US, NOON_US, PRINTS[1], KEYS) or "")


@pytest.mark.parametrize(("off_s", "said"), [(600, "600 s ahead of"), (-600, "600 s behind"), (5, None)])
def test_a_clock_that_is_off_is_told(off_s: int, said: str | None) -> None:
    note = clock_note(NOON_US, NOON_US + off_s * US_PER_S, PRINTS[0], KEYS)
    assert note is None if said is None else said in (note or "")
    assert clock_note(None, 0, None, KEYS) is None
