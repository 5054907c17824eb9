"""As much of the protocol buffers wire format as the simulated gRPC interface needs.

A message to encode is a list of `(field number, value)`; a nested message is such a list again. A decoded message
is the same with integers, doubles and raw bytes, in the order of the wire.
"""

import struct
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | bytes | list[tuple[int, Value]]"
Message: TypeAlias = "list[tuple[int, Value]]"
Decoded: TypeAlias = "list[tuple[int, int | float | bytes]]"

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def encode(message: Message) -> bytes:
    """The bytes of a message; integers are unsigned varints, floats are doubles."""
    return b"".join(_field(number, value) for number, value in message)


def _field(number: int, value: Value) -> bytes:
    if isinstance(value, bool | int):
        return _varint(number << 3 | _VARINT) + _varint(int(value))
    if isinstance(value, float):
        return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)
    if isinstance(value, str):
        body = value.encode()
    elif isinstance(value, bytes):
        body = value
    else:
        body = encode(value)
    return _varint(number << 3 | _LENGTH) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(data: bytes) -> Decoded:
    """The fields of a message. Raises `ValueError` when it is not one."""
    fields: Decoded = []
    at = 0
    try:
        while at < len(data):
            key, at = _read_varint(data, at)
            value, at = _read_value(data, at, key & 7)
            fields.append((key >> 3, value))
    except (IndexError, struct.error) as error:
        raise ValueError("the message ends in the middle of a field") from error
    return fields


def _read_value(data: bytes, at: int, wire_type: int) -> tuple[int | float | bytes, int]:
    if wire_type == _VARINT:
        return _read_varint(data, at)
    if wire_type == _FIXED64:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if wire_type == _FIXED32:
        return struct.unpack_from("<f", data, at)[0], at + 4
    if wire_type != _LENGTH:
        raise ValueError(f"wire type {wire_type} is not supported")
    length, at = _read_varint(data, at)
    if at + length > len(data):
        raise ValueError("a field is longer than the message")
    return data[at : at + length], at + length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def texts(fields: Decoded) -> dict[int, str]:
    """The text fields by number, the last of each."""
    return {number: value.decode() for number, value in fields if isinstance(value, bytes)}


def messages(fields: Decoded, number: int) -> list[Decoded]:
    """The nested messages under one number."""
    return [decode(value) for found, value in fields if found == number and isinstance(value, bytes)]
