"""What an uploaded image really is: its kind and size by content, never by name or header."""

import struct
from dataclasses import dataclass
from typing import Final

from hashyard_cloud.errors import MalformedError, TooLargeError

MAX_LOGO_BYTES: Final = 2 * 1024 * 1024
MIN_LOGO_PIXELS: Final = 200
MAX_LOGO_PIXELS: Final = 4_096
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_NO_SIZE: Final = frozenset({0xC4, 0xC8, 0xCC})


@dataclass(frozen=True, slots=True)
class Measured:
    """An image's media type and size in pixels."""

    media_type: str
    width: int
    height: int


def _jpeg(body: bytes) -> Measured | None:
    at = 2
    while at + 9 < len(body):
        if body[at] != 0xFF:
            return None
        marker, length = body[at + 1], int.from_bytes(body[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            height, width = struct.unpack_from(">HH", body, at + 5)
            return Measured("image/jpeg", width, height)
        at += 2 + max(length, 2)
    return None


def _webp(body: bytes) -> Measured | None:
    kind = body[12:16]
    if kind == b"VP8X" and len(body) >= 30:
        width = int.from_bytes(body[24:27], "little") + 1
        return Measured("image/webp", width, int.from_bytes(body[27:30], "little") + 1)
    if kind == b"VP8 " and len(body) >= 30:
        width, height = struct.unpack_from("<HH", body, 26)
        return Measured("image/webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L" and len(body) >= 25:
        bits = int.from_bytes(body[21:25], "little")
        return Measured("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    return None


def measure(body: bytes) -> Measured | None:
    """PNG, JPEG or WebP with its size; None for anything else."""
    if body.startswith(_PNG) and len(body) >= 24 and body[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", body, 16)
        return Measured("image/png", width, height)
    if body.startswith(b"\xff\xd8"):
        return _jpeg(body)
    if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        return _webp(body)
    return None


def check_logo(body: bytes, field: str = "logo") -> Measured:
    """A square image of 200 pixels or more and 2 MB or less; raises `MalformedError` or `TooLargeError`."""
    if len(body) > MAX_LOGO_BYTES:
        raise TooLargeError("The logo is larger than 2 MB.")
    found = measure(body)
    if found is None:
        raise MalformedError("Use a PNG, JPEG or WebP image.", field=field)
    if found.width != found.height:
        raise MalformedError(f"The logo must be square; this one is {found.width} x {found.height}.", field=field)
    if not MIN_LOGO_PIXELS <= found.width <= MAX_LOGO_PIXELS:
        limits = f"{MIN_LOGO_PIXELS} to {MAX_LOGO_PIXELS}"
        raise MalformedError(f"The logo must be {limits} pixels wide; this one is {found.width}.", field=field)
    return found
