"""Rotations of signing keys: what a site takes, what it refuses with which code, and what it derives."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashyard_agent.adapters.site_trust import TrustFiles
from hashyard_agent.adapters.trust_file import TrustFile
from hashyard_agent.errors import RefusedError, StoreError
from hashyard_agent.key_rotations import REFUSED, TAKEN, KeyRotations, Slots, accepted, followed
from hashyard_agent.trust import Trust
from hashyard_shared.clock import SystemClock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import Event, SiteControl
from hashyard_shared.key_rotation import MAX_ROTATIONS, KeyRotation
from hashyard_shared.protocol import BatchKind
from hashyard_shared.signing import (
    DocumentType,
    Envelope,
    encode_base64,
    fingerprint,
    new_private_key,
    public_bytes,
    sign,
)

A, B, C, D, E, R, X = (new_private_key() for _ in range(7))


def text(key: Ed25519PrivateKey) -> str:
    return encode_base64(public_bytes(key))


def mark(key: Ed25519PrivateKey) -> str:
    return fingerprint(public_bytes(key))


def pinned(*keys: Ed25519PrivateKey, revoked: Sequence[str] = (), recovery: Ed25519PrivateKey | None = R) -> Trust:
    return Trust(
        organisation_id="org",
        site_id="site",
        signing_keys=tuple(text(key) for key in keys or (A, B)),
        revoked_keys=tuple(revoked),
        recovery_key=text(recovery) if recovery else None,
    )


def rotation(
    signer: Ed25519PrivateKey,
    first: Ed25519PrivateKey,
    second: Ed25519PrivateKey,
    sequence: int = 1,
    *,
    revoked: Sequence[str] = (),
    organisation: str = "org",
) -> Envelope:
    return KeyRotation(
        organisation_id=organisation,
        sequence=sequence,
        signing_keys=(text(first), text(second)),
        revoked_keys=tuple(revoked),
        issued_at_us=1,
    ).signed(signer)


def keys(slots: Slots) -> tuple[str, ...]:
    return slots.trust.signing_keys


def test_the_next_key_takes_over_and_brings_a_new_one() -> None:
    slots = accepted(Slots(pinned()), rotation(B, B, C, revoked=[mark(A)]))
    assert keys(slots) == (text(B), text(C))
    assert slots.trust.is_revoked(mark(A))
    assert slots.trust.holding_pools == pinned().holding_pools


def test_a_site_that_was_away_follows_the_whole_chain() -> None:
    chain = [rotation(B, B, C, 1), rotation(C, C, D, 2), rotation(D, D, E, 3)]
    assert keys(followed(pinned(), chain)) == (text(D), text(E))
    # Whoever pinned the keys in between passes over what came before.
    assert keys(followed(pinned(C, D), chain)) == (text(D), text(E))
    assert keys(followed(pinned(D, E), chain)) == (text(D), text(E))


def test_the_recovery_key_names_any_two_and_revokes_both() -> None:
    slots = accepted(Slots(pinned()), rotation(R, C, D, revoked=[mark(A), mark(B)]))
    assert keys(slots) == (text(C), text(D))
    assert slots.trust.is_revoked(mark(A))
    assert slots.trust.is_revoked(mark(B))


def unknown_field(signer: Ed25519PrivateKey) -> Envelope:
    good = KeyRotation.model_validate_json(rotation(B, B, C).payload_bytes())
    payload = good.model_dump_json()[:-1] + ',"more":1}'
    return sign(signer, DocumentType.KEY_ROTATION, payload.encode())


def forged() -> Envelope:
    return rotation(X, B, C).model_copy(update={"key": mark(B)})


def as_an_order() -> Envelope:
    return sign(B, DocumentType.ORDER, rotation(B, B, C).payload_bytes())


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (rotation(X, X, C), ErrorCode.ROTATION_KEY_UNKNOWN),
        (forged(), ErrorCode.ROTATION_SIGNATURE),
        (as_an_order(), ErrorCode.ROTATION_SIGNATURE),
        (unknown_field(B), ErrorCode.ROTATION_UNKNOWN_FIELD),
        (rotation(B, B, C, organisation="other"), ErrorCode.ROTATION_WRONG_ORGANISATION),
        # A thief of the key in daily use can neither keep it nor put another one in.
        (rotation(A, A, X), ErrorCode.ROTATION_NOT_NEXT),
        (rotation(A, X, B), ErrorCode.ROTATION_NOT_NEXT),
        (rotation(B, X, B), ErrorCode.ROTATION_NOT_NEXT),
        (rotation(B, B, C, revoked=[mark(X)]), ErrorCode.ROTATION_REVOKES_OTHERS),
    ],
)
def test_what_is_refused_and_why(envelope: Envelope, code: ErrorCode) -> None:
    before = Slots(pinned())
    with pytest.raises(RefusedError) as caught:
        accepted(before, envelope)
    assert caught.value.code is code


def test_a_rotation_counts_once_and_only_forwards() -> None:
    slots = accepted(Slots(pinned()), rotation(B, B, C, 5))
    for stale in (rotation(B, B, C, 5), rotation(C, C, X, 4), rotation(R, A, B, 5)):
        with pytest.raises(RefusedError) as caught:
            accepted(slots, stale)
        assert caught.value.code is ErrorCode.ROTATION_REPLAYED


def test_a_key_revoked_on_site_rotates_nothing_and_brings_no_older_key_back() -> None:
    with pytest.raises(RefusedError) as caught:
        accepted(Slots(pinned(revoked=[mark(B)])), rotation(B, B, C))
    assert caught.value.code is ErrorCode.ROTATION_KEY_REVOKED
    # Revoked after its rotation was taken: the retired key stays retired.
    slots = followed(pinned(revoked=[mark(B)]), [rotation(B, B, C)])
    assert keys(slots) == (text(B), text(C))
    assert slots.trust.is_revoked(mark(B))


def test_with_one_slot_empty_only_the_recovery_key_can_rotate() -> None:
    with pytest.raises(RefusedError) as caught:
        accepted(Slots(pinned(A)), rotation(A, A, C))
    assert caught.value.code is ErrorCode.ROTATION_NOT_NEXT
    assert keys(accepted(Slots(pinned(A)), rotation(R, C, D))) == (text(C), text(D))
    with pytest.raises(RefusedError) as caught:
        accepted(Slots(pinned(A, recovery=None)), rotation(R, C, D))
    assert caught.value.code is ErrorCode.ROTATION_KEY_UNKNOWN


class Told:
    """An outbox that remembers what the cloud would be told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, kind: BatchKind, cycle_at_us: int, count: int, body: bytes) -> int:
        raise AssertionError(f"{kind} is no event")

    def put_events(self, events: Sequence[Event]) -> int:
        self.events += events
        return len(self.events)

    def controls(self) -> list[tuple[str, str]]:
        return [(event.control, event.value) for event in self.events if isinstance(event, SiteControl)]


@pytest.fixture
def site(tmp_path: Path) -> TrustFiles:
    TrustFile(tmp_path / "trust.json", tmp_path).write(pinned())
    return TrustFiles(tmp_path / "trust.json", tmp_path / "none.json", tmp_path / "key-rotations.json")


def test_what_was_taken_is_kept_beside_the_pinned_file_and_verified_at_each_start(
    site: TrustFiles, tmp_path: Path
) -> None:
    before = (tmp_path / "trust.json").read_bytes()
    told = Told()
    KeyRotations(site, told, SystemClock()).offer([rotation(B, B, C)])
    assert (tmp_path / "trust.json").read_bytes() == before
    assert keys(site.slots()) == (text(B), text(C))
    again = TrustFiles(tmp_path / "trust.json", tmp_path / "none.json", tmp_path / "key-rotations.json")
    assert keys(again.slots()) == (text(B), text(C))
    assert again.pinned().signing_keys == (text(A), text(B))
    # Offered again with every document: nothing more is told or kept.
    KeyRotations(again, told, SystemClock()).offer([rotation(B, B, C)])
    assert [control for control, _ in told.controls()] == [TAKEN]


def test_a_changed_file_of_rotations_moves_nothing(site: TrustFiles, tmp_path: Path) -> None:
    site.keep([rotation(X, X, C)])
    assert keys(site.slots()) == (text(A), text(B))
    (tmp_path / "key-rotations.json").write_text("not json", encoding="utf-8")
    assert keys(site.slots()) == (text(A), text(B))
    assert site.rotations() == ()


def test_a_refusal_is_told_once_with_its_code(site: TrustFiles) -> None:
    told = Told()
    taker = KeyRotations(site, told, SystemClock())
    taker.offer([rotation(A, A, X)])
    taker.offer([rotation(A, A, X)])
    ((control, value),) = told.controls()
    assert control == REFUSED
    assert value.startswith("rotation-not-next: ")
    # A good one behind a bad one is taken all the same.
    taker.offer([rotation(A, A, X), rotation(B, B, C, 2)])
    assert keys(site.slots()) == (text(B), text(C))


def test_a_rotation_that_cannot_be_kept_does_not_count(site: TrustFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(chain: Sequence[Envelope]) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(site, "keep", full)
        KeyRotations(site, Told(), SystemClock()).offer([rotation(B, B, C)])
        assert keys(site.slots()) == (text(A), text(B))
    KeyRotations(site, Told(), SystemClock()).offer([rotation(B, B, C)])
    assert keys(site.slots()) == (text(B), text(C))


def test_the_chain_is_bounded_and_says_what_to_do(site: TrustFiles) -> None:
    ring = [A, B] + [new_private_key() for _ in range(MAX_ROTATIONS)]
    site.keep([rotation(ring[at + 1], ring[at + 1], ring[at + 2], at + 1) for at in range(MAX_ROTATIONS)])
    assert keys(site.slots()) == (text(ring[-2]), text(ring[-1]))
    told = Told()
    KeyRotations(site, told, SystemClock()).offer([rotation(ring[-1], ring[-1], X, MAX_ROTATIONS + 1)])
    ((_, value),) = told.controls()
    assert "trust pin-rotated" in value
