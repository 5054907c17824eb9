"""Cycles packed by column: what the agent stores and sends, and the cloud reads without touching a sample.

A packed body is the version byte `FORMAT_PACKED_ZSTD` and a zstd frame of

    length of the head, 4 bytes, little-endian
    head: JSON with `CycleHead`'s fields
    columns, in the order of the head's `columns`

A column of `size` values is stored as whole numbers of `width` bytes from its lowest value: 0 is "not seen", n is
`low + n - 1`. All first (lowest) bytes stand together, then all second ones and so on, since bytes of one kind
pack best beside each other; `width` 0 says that nothing was seen. Against JSON in the same zstd that is a quarter
of the CPU for the agent, a tenth for the cloud, and a fifth less on disk. Bodies of JSON are still read.
"""

import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from hashyard_shared.codec import (
    FORMAT_JSON_ZSTD,
    FORMAT_PACKED_ZSTD,
    LEVEL_KEPT,
    CodecError,
    compress,
    decode_bytes,
    decompress,
)
from hashyard_shared.telemetry import COLUMN_SCALES, MAX_MINERS_PER_CYCLE, MAX_TEXT_CHARS, Cycle

COLUMNS: Final = ("state", "offset_ms", *COLUMN_SCALES, "pool")
"""What a cycle says of each miner, in the order in which it is packed."""
MAX_COLUMNS: Final = 64
MAX_HEAD_BYTES: Final = 4 * 1024 * 1024
HEAD_LENGTH_BYTES: Final = 4
MAX_LOW: Final = 1 << 62
_TYPES: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
_WIDTHS: Final = (1, 2, 4, 8)


class ColumnPlan(NamedTuple):
    """How one column is packed: its lowest value, and the bytes of each value (0 to 8)."""

    low: Annotated[int, Field(ge=-MAX_LOW, le=MAX_LOW)]
    width: Annotated[int, Field(ge=0, le=8)]


class CycleHead(BaseModel):
    """What a cycle says once. `columns` names how each column is packed; a reader skips those it does not know."""

    size: int = Field(ge=0, le=MAX_MINERS_PER_CYCLE)
    columns: dict[str, ColumnPlan] = Field(max_length=MAX_COLUMNS)
    roster_id: str = Field(max_length=64)
    cycle_at_us: int
    interval_s: float = Field(gt=0, le=86_400)
    boot_id: str = Field(max_length=64)
    mono_s: float
    pools: list[tuple[str, str]] = Field(max_length=MAX_MINERS_PER_CYCLE)


def pack(cycle: Cycle, level: int = LEVEL_KEPT) -> bytes:
    """A cycle as a body; `level` is zstd's."""
    return seal(plain(cycle), level)


def plain(cycle: Cycle) -> bytes:
    """A packed cycle before zstd, for `seal`."""
    plans: dict[str, ColumnPlan] = {}
    parts: list[bytes] = []
    for name in COLUMNS:
        values: Sequence[int | None] = getattr(cycle, name)
        plans[name], packed = _packed(values)
        parts.append(packed)
    head = CycleHead(
        size=len(cycle.state),
        columns=plans,
        roster_id=cycle.roster_id,
        cycle_at_us=cycle.cycle_at_us,
        interval_s=cycle.interval_s,
        boot_id=cycle.boot_id,
        mono_s=cycle.mono_s,
        pools=cycle.pools,
    )
    text = head.model_dump_json().encode()
    return b"".join((len(text).to_bytes(HEAD_LENGTH_BYTES, "little"), text, *parts))


def seal(packed: bytes, level: int = LEVEL_KEPT) -> bytes:
    """The body of a cycle from `plain`."""
    return bytes([FORMAT_PACKED_ZSTD]) + compress(packed, level)


def unpack(body: bytes) -> Cycle:
    """The cycle in a body of either format; raises `CodecError` when it is none."""
    try:
        if body[:1] == bytes([FORMAT_JSON_ZSTD]):
            return Cycle.model_validate_json(decode_bytes(body))
        head, columns = split(body)
        found = {name: _unpacked(plan, planes, head.size) for name, plan, planes in columns if name in COLUMNS}
        return Cycle(**head.model_dump(exclude={"size", "columns"}), **found)
    except ValidationError as error:
        raise _unreadable(error) from error


def roster_id(body: bytes) -> str:
    """The roster that a cycle's body speaks of; raises `CodecError` when it is no cycle."""
    if body[:1] == bytes([FORMAT_JSON_ZSTD]):
        return unpack(body).roster_id
    return split(body)[0].roster_id


def split(body: bytes) -> tuple[CycleHead, Iterator[tuple[str, ColumnPlan, memoryview]]]:
    """A packed body's head, and of each column its name, its plan and its bytes: `width` planes of `size`.

    Raises `CodecError` for a body that is damaged or longer or shorter than its head says.
    """
    data = memoryview(decompress(body, FORMAT_PACKED_ZSTD))
    length = int.from_bytes(data[:HEAD_LENGTH_BYTES], "little")
    if len(data) < HEAD_LENGTH_BYTES or not 0 < length <= min(MAX_HEAD_BYTES, len(data) - HEAD_LENGTH_BYTES):
        raise CodecError("the head of a cycle is cut off")
    start = HEAD_LENGTH_BYTES + length
    try:
        head = CycleHead.model_validate_json(bytes(data[HEAD_LENGTH_BYTES:start]))
    except ValidationError as error:
        raise _unreadable(error) from error
    expected = sum(plan.width for plan in head.columns.values()) * head.size
    if len(data) - start != expected:
        raise CodecError(f"a cycle's columns have {len(data) - start} bytes, its head says {expected}")
    return head, _columns(head, data[start:])


def _columns(head: CycleHead, data: memoryview) -> Iterator[tuple[str, ColumnPlan, memoryview]]:
    at = 0
    for name, plan in head.columns.items():
        end = at + plan.width * head.size
        yield name, plan, data[at:end]
        at = end


def _packed(values: Sequence[int | None]) -> tuple[ColumnPlan, bytes]:
    known = [value for value in values if value is not None]
    if not known:
        return ColumnPlan(0, 0), b""
    low, high = int(min(known)), int(max(known))
    width = max(1, ((high - low + 1).bit_length() + 7) // 8)
    base = low - 1
    if len(known) == len(values):
        numbers = [value - base for value in known]
    else:
        numbers = [0 if value is None else value - base for value in values]
    wide = next(one for one in _WIDTHS if one >= width)
    stored = array(_TYPES[wide], numbers)
    if sys.byteorder == "big":
        stored.byteswap()
    data = stored.tobytes()
    return ColumnPlan(low, width), b"".join(data[place::wide] for place in range(width))


def _unpacked(plan: ColumnPlan, planes: memoryview, size: int) -> list[int | None]:
    if not plan.width:
        return [None] * size
    wide = next(one for one in _WIDTHS if one >= plan.width)
    data = bytearray(size * wide)
    for place in range(plan.width):
        data[place::wide] = planes[place * size : (place + 1) * size]
    stored = array(_TYPES[wide], bytes(data))
    if sys.byteorder == "big":
        stored.byteswap()
    base = plan.low - 1
    return [None if number == 0 else base + number for number in stored]


def _unreadable(error: ValidationError) -> CodecError:
    first: Any = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "cycle"
    return CodecError(f"{where[:MAX_TEXT_CHARS]}: {first['msg']}")
