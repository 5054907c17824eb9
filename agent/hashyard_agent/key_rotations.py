"""Rotations of the organisation's signing keys, as this site takes them. Pure, but for `KeyRotations`.

What is pinned on site belongs to root and never changes by itself. A rotation is kept beside it, as it was signed,
and followed anew from the pinned keys at each start: what counts is always derived, never stored. See
docs/decisions/0009.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hashyard_agent.errors import RefusedError, SettingsError, StoreError
from hashyard_agent.ports import Outbox
from hashyard_agent.trust import Trust
from hashyard_shared.clock import Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import MAX_DETAIL_CHARS, SiteControl
from hashyard_shared.key_rotation import KEY_SLOTS, MAX_ROTATIONS, KeyRotation, RotationFormError
from hashyard_shared.signing import Envelope, SignatureError, decode_base64, fingerprint, grouped

LOG: Final = logging.getLogger(__name__)
TAKEN: Final = "signing-keys-rotated"
REFUSED: Final = "signing-keys-refused"
ACTOR: Final = "the cloud"


@dataclass(frozen=True, slots=True)
class Slots:
    """What counts: the trust document with the keys of the last rotation, and its sequence (0: none)."""

    trust: Trust
    sequence: int = 0

    def fingerprints(self) -> tuple[str, ...]:
        """Of the keys in the slots."""
        return tuple(fingerprint(decode_base64(key)) for key in self.trust.signing_keys)


def followed(pinned: Trust, chain: Sequence[Envelope]) -> Slots:
    """The pinned keys with every kept rotation that leads on from them; the others are passed over.

    A key revoked on site later does not undo the rotations it signed: that would bring an older key back.
    """
    slots = Slots(pinned)
    for envelope in chain:
        try:
            slots = _turned(slots, envelope)
        except RefusedError as error:
            LOG.debug("a kept rotation leads nowhere: %s", error)
    return slots


def accepted(slots: Slots, envelope: Envelope) -> Slots:
    """The slots after a rotation that comes in now. Errors: `RefusedError` with the code of what is wrong."""
    if slots.trust.is_revoked(envelope.key):
        raise RefusedError(ErrorCode.ROTATION_KEY_REVOKED, f"key {grouped(envelope.key)} was revoked on this site")
    return _turned(slots, envelope)


def _turned(slots: Slots, envelope: Envelope) -> Slots:
    recovering = _is_recovery(slots.trust, envelope.key)
    rotation = _opened(slots.trust, envelope, recovering=recovering)
    if rotation.organisation_id != slots.trust.organisation_id:
        detail = f"the rotation is of organisation {rotation.organisation_id}"
        raise RefusedError(ErrorCode.ROTATION_WRONG_ORGANISATION, detail)
    if rotation.sequence <= slots.sequence:
        detail = f"sequence {rotation.sequence} is not above {slots.sequence}, which was taken"
        raise RefusedError(ErrorCode.ROTATION_REPLAYED, detail)
    if not recovering:
        _check_step(slots, rotation, envelope.key)
    revoked = dict.fromkeys((*slots.trust.revoked_keys, *rotation.revoked_keys))
    fields = {"signing_keys": rotation.signing_keys, "revoked_keys": tuple(revoked)}
    return Slots(slots.trust.model_copy(update=fields), rotation.sequence)


def _is_recovery(trust: Trust, key: str) -> bool:
    return trust.recovery_key is not None and fingerprint(decode_base64(trust.recovery_key)) == key


def _opened(trust: Trust, envelope: Envelope, *, recovering: bool) -> KeyRotation:
    public = decode_base64(trust.recovery_key or "") if recovering else trust.key_of(envelope.key)
    if public is None:
        detail = f"key {grouped(envelope.key)} is not pinned on this site"
        raise RefusedError(ErrorCode.ROTATION_KEY_UNKNOWN, detail)
    try:
        return KeyRotation.opened(public, envelope)
    except RotationFormError as error:
        raise RefusedError(ErrorCode.ROTATION_UNKNOWN_FIELD, str(error)) from error
    except SignatureError as error:
        raise RefusedError(ErrorCode.ROTATION_SIGNATURE, str(error)) from error


def _check_step(slots: Slots, rotation: KeyRotation, signer: str) -> None:
    """The next key takes over and brings one new key; the key in daily use alone can change nothing."""
    known = slots.fingerprints()
    if len(known) < KEY_SLOTS or signer != known[1] or rotation.fingerprints()[0] != signer:
        detail = "only the pinned next key may sign a rotation, and it must stay as the first"
        raise RefusedError(ErrorCode.ROTATION_NOT_NEXT, detail)
    if any(revoked != known[0] for revoked in rotation.revoked_keys):
        detail = "a rotation may revoke the key that it retires; others only the recovery key may"
        raise RefusedError(ErrorCode.ROTATION_REVOKES_OTHERS, detail)


class RotatingTrust(Protocol):
    """The pinned trust and the kept chain. Errors: `SettingsError`, `StoreError`."""

    def slots(self) -> Slots:
        """What counts now."""
        ...

    def rotations(self) -> tuple[Envelope, ...]:
        """The kept chain, oldest first."""
        ...

    def keep(self, chain: Sequence[Envelope]) -> None:
        """Replace the chain, durably."""
        ...


class KeyRotations:
    """Takes rotations from the desired state. Each is kept before it counts; refusals are told once a run."""

    def __init__(self, trust: RotatingTrust, outbox: Outbox, clock: Clock) -> None:
        self._trust = trust
        self._outbox = outbox
        self._clock = clock
        self._told: set[str] = set()

    def offer(self, chain: Sequence[Envelope]) -> None:
        """Follow what leads on from the keys that count here. A failing disk waits for the next document."""
        if not chain:
            return
        try:
            slots = self._trust.slots()
            for envelope in _ahead(slots, chain):
                slots = self._take(slots, envelope)
        except (SettingsError, StoreError) as error:
            LOG.warning("rotations of the signing keys wait: %s", error)

    def _take(self, slots: Slots, envelope: Envelope) -> Slots:
        kept = self._trust.rotations()
        try:
            _check_room(kept)
            turned = accepted(slots, envelope)
        except RefusedError as error:
            if envelope.signature not in self._told:
                self._told.add(envelope.signature)
                LOG.warning("a rotation of the signing keys is refused: %s (%s)", error, error.code)
                self._tell(REFUSED, f"{error.code}: {error}")
            return slots
        self._trust.keep((*kept, envelope))
        shown = " and ".join(grouped(text) for text in turned.fingerprints())
        LOG.warning("the signing keys were rotated; pinned now: %s", shown)
        self._tell(TAKEN, shown)
        return turned

    def _tell(self, control: str, value: str) -> None:
        now_us = self._clock.now_us()
        event = SiteControl(at_us=now_us, control=control, value=value[:MAX_DETAIL_CHARS], actor=ACTOR)
        self._outbox.put_events([event])


def _ahead(slots: Slots, chain: Sequence[Envelope]) -> Sequence[Envelope]:
    """What comes after the rotation that led to the present keys: they may have been pinned after the first."""
    for at in range(len(chain) - 1, -1, -1):
        try:
            rotation = KeyRotation.model_validate_json(chain[at].payload_bytes())
        except (ValueError, SignatureError):
            continue
        if rotation.signing_keys == slots.trust.signing_keys or rotation.sequence == slots.sequence:
            return chain[at + 1 :]
    return chain


def _check_room(kept: Sequence[Envelope]) -> None:
    if len(kept) >= MAX_ROTATIONS:
        detail = f"{MAX_ROTATIONS} rotations are kept; pin the keys on site: hashyard-agent trust pin-rotated"
        raise RefusedError(ErrorCode.TOO_LARGE, detail)
