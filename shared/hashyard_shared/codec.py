"""The body of an outbox row: a version byte, then a zstd frame.

Format 1 is JSON, for rosters, events and the cycles of older agents; format 2 is a cycle packed by column, see
`hashyard_shared.cycle_codec`. The version byte lets the cloud still read what older agents kept.
Decoding is bounded: a small body that unpacks to gigabytes is refused before the memory is spent.
"""

from typing import Final

import zstandard
from pydantic import BaseModel

from hashyard_shared.errors import ErrorCode, SharedError

FORMAT_JSON_ZSTD: Final = 1
FORMAT_PACKED_ZSTD: Final = 2
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_DECODED_BYTES: Final = 32 * 1024 * 1024
LEVEL_USUAL: Final = 9
LEVEL_KEPT: Final = 15
"""For what is written once and may be kept for weeks: a tenth smaller for four times the work (8 µs a sample)."""


class CodecError(SharedError):
    """The body cannot be read: it is damaged or not of a known form."""

    code = ErrorCode.CORRUPT


class TooLargeError(CodecError):
    """The body is larger than what is accepted."""

    code = ErrorCode.TOO_LARGE


class UnknownFormatError(CodecError):
    """The body's version byte is not known here."""

    code = ErrorCode.UNSUPPORTED


def encode_bytes(data: bytes, level: int = LEVEL_USUAL) -> bytes:
    """Pack raw JSON bytes into a body; `level` is zstd's."""
    return bytes([FORMAT_JSON_ZSTD]) + compress(data, level)


def encode(model: BaseModel, level: int = LEVEL_USUAL) -> bytes:
    """Pack a model into a body."""
    return encode_bytes(model.model_dump_json().encode(), level)


def decode_bytes(body: bytes) -> bytes:
    """Unpack a body to its JSON bytes; raises `CodecError` or one of its kinds."""
    return decompress(body, FORMAT_JSON_ZSTD)


def compress(data: bytes, level: int) -> bytes:
    """A zstd frame that says how much it unpacks to."""
    return zstandard.ZstdCompressor(level=level).compress(data)


def decompress(body: bytes, known_format: int) -> bytes:
    """What is packed in a body of this format; raises `CodecError` or one of its kinds."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLargeError(f"body of {len(body)} bytes is over {MAX_BODY_BYTES}")
    if not body:
        raise CodecError("body is empty")
    if body[0] != known_format:
        raise UnknownFormatError(f"body format {body[0]} is not known")
    try:
        size = zstandard.frame_content_size(body[1:])
        if size < 0 or size > MAX_DECODED_BYTES:
            raise TooLargeError(f"body unpacks to {size} bytes, over {MAX_DECODED_BYTES} or unknown")
        return zstandard.ZstdDecompressor().decompress(body[1:], max_output_size=MAX_DECODED_BYTES)
    except zstandard.ZstdError as error:
        raise CodecError(f"body does not unpack: {error}") from error
