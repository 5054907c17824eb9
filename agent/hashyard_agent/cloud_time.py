"""A wall time that the cloud signed: whether it counts here, and what a person should know of clocks and keys.

What is made of it, and kept, is `enforcement.leases.TrustedTime`. Pure.
"""

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from hashyard_agent.trust import Trust
from hashyard_shared.clock import US_PER_S
from hashyard_shared.protocol import CloudTime
from hashyard_shared.signing import DocumentType, Envelope, SignatureError, decode_base64, fingerprint, verify

OFFSET_NOTE_US: Final = 30 * US_PER_S


def usable_keys(trust: Trust) -> list[bytes]:
    """The signing keys that count: pinned, and not revoked on site."""
    keys = [decode_base64(key) for key in trust.signing_keys]
    return [key for key in keys if not trust.is_revoked(fingerprint(key))]


def signed_time_us(envelope: Envelope, keys: Sequence[bytes], agent_id: str) -> int:
    """The time; raises `SignatureError` unless one of these keys signed it for this agent."""
    key = next((key for key in keys if fingerprint(key) == envelope.key), None)
    if key is None:
        raise SignatureError(f"the time is signed by key {envelope.key[:64]}, which does not count here")
    try:
        seen = CloudTime.model_validate_json(verify(key, DocumentType.TIME, envelope))
    except ValidationError as error:
        raise SignatureError("the signed time cannot be read") from error
    if seen.agent_id != agent_id:
        raise SignatureError("the signed time is for another agent")
    return seen.at_us


def clock_note(now_us: int | None, wall_us: int, signer: str | None, keys: Sequence[bytes]) -> str | None:
    """What a person should know, or None. `now_us` is the cloud's time now, None while it is unknown."""
    offset_us = 0 if now_us is None else wall_us - now_us
    if abs(offset_us) > OFFSET_NOTE_US:
        way = "ahead of" if offset_us > 0 else "behind"
        return (
            f"This machine's clock is {abs(offset_us) // US_PER_S:,} s {way} the cloud's; set up NTP. "
            "Samples keep the time of this clock, and the cloud marks them."
        )
    if signer is not None and len(keys) > 1 and fingerprint(keys[0]) != signer:
        return (
            "The cloud signs with its second key since the last rotation. Pin the next one with "
            "`hashyard-agent trust add-key`, so that a further rotation finds this site ready."
        )
    return None
