"""Identifiers: UUIDv7 for what the cloud mints, MAC addresses and serials for what is found on a site."""

import os
import re
from typing import Final
from uuid import UUID

from hashyard_shared.errors import ErrorCode, SharedError

_MAC_SEPARATORS: Final = re.compile(r"[:\-.\s]")
_MAC_HEX: Final = re.compile(r"[0-9a-f]{12}")
_UNUSABLE_MACS: Final = frozenset({"000000000000", "ffffffffffff"})


class MalformedIdError(SharedError):
    """An identifier does not have the form it must have."""

    code = ErrorCode.MALFORMED


def uuid7(now_us: int) -> UUID:
    """A UUIDv7 (RFC 9562) of this time; sorts by creation to the millisecond."""
    milliseconds = (now_us // 1_000) & ((1 << 48) - 1)
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | 0x7 << 76 | (random_bits >> 62 & 0xFFF) << 64
    return UUID(int=value | 0b10 << 62 | random_bits & ((1 << 62) - 1))


def new_id(now_us: int) -> str:
    """A fresh id as stored and sent: the UUIDv7's text."""
    return str(uuid7(now_us))


def normalise_mac(text: str) -> str:
    """A MAC address as `aa:bb:cc:dd:ee:ff`, lower case; raises `MalformedIdError` for anything else."""
    digits = _MAC_SEPARATORS.sub("", text.strip().lower())
    if not _MAC_HEX.fullmatch(digits) or digits in _UNUSABLE_MACS:
        raise MalformedIdError(f"not a usable MAC address: {text[:40]!r}")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def miner_id(mac: str | None, serial: str | None) -> str | None:
    """The device's identity as the agent reports it: its MAC, then its serial, never its address."""
    if mac:
        return f"mac:{normalise_mac(mac)}"
    if serial and serial.strip():
        return f"serial:{serial.strip()}"
    return None
