"""Cycles as columns: checked and joined without touching a sample in Python.

Bodies of kind `telemetry` are packed cycles (`hashyard_shared.cycle_codec`), from older agents the JSON of
`hashyard_shared.telemetry.Cycle`. What is checked here is what that model says; a difference is caught by a test.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as pa_json

from hashyard_cloud.errors import MalformedError
from hashyard_shared import cycle_codec
from hashyard_shared.codec import FORMAT_PACKED_ZSTD, decode_bytes
from hashyard_shared.telemetry import COLUMN_SCALES, MAX_MINERS_PER_CYCLE, MinerState

Ints = npt.NDArray[np.int64]

MAX_VALUE: Final = {
    "hashrate_ths": 100_000_000,
    "power_w": 10_000_000,
    "temp_chip_c": 1_000,
    "temp_board_c": 1_000,
    "fan_rpm": 1_000_000,
    "uptime_s": 1 << 40,
    "shares_accepted": 1 << 62,
    "shares_rejected": 1 << 62,
    "offset_ms": 86_400_000,
}
"""The largest stored integer of each column; a hashrate is in hundredths of TH/s."""
MIN_VALUE: Final = {"temp_chip_c": -273, "temp_board_c": -273}
MAX_INTERVAL_S: Final = 86_400.0
MIN_AT_US: Final = 0
MAX_AT_US: Final = 1 << 53
_LISTS: Final = ("state", "offset_ms", *COLUMN_SCALES, "pool")
_PAIR: Final = 2
GROUP_BYTES: Final = 512 * 1024
"""How much JSON is parsed at once: more than this leaves the processor's cache and takes twice the time."""
_SCHEMA: Final = pa.schema(
    [
        ("roster_id", pa.string()),
        ("cycle_at_us", pa.int64()),
        ("interval_s", pa.float64()),
        *((name, pa.list_(pa.int64())) for name in _LISTS),
        ("pools", pa.list_(pa.list_(pa.string()))),
    ]
)


@dataclass(frozen=True, slots=True)
class CycleColumns:
    """One cycle. `columns` are pyarrow arrays of `size`; `pool` holds indices into `pools`, null is "not seen"."""

    roster_id: str
    cycle_at_us: int
    interval_ms: int
    size: int
    columns: dict[str, Any]
    pool: Any
    pools: list[tuple[str, str]]


def parse(bodies: Sequence[bytes]) -> list[CycleColumns]:
    """Parse packed bodies; raises `CodecError` or `MalformedError` if any of them is not a cycle."""
    packed_mark = bytes([FORMAT_PACKED_ZSTD])
    texts = iter(_parse_json([body for body in bodies if body[:1] != packed_mark]))
    return [_unpacked(body) if body[:1] == packed_mark else next(texts) for body in bodies]


def _unpacked(body: bytes) -> CycleColumns:
    head, stored = cycle_codec.split(body)
    if not MIN_AT_US <= head.cycle_at_us <= MAX_AT_US:
        raise MalformedError("cycle_at_us is out of range", field="cycle_at_us")
    columns = {name: _column(name, plan, planes, head.size) for name, plan, planes in stored if name in _LISTS}
    if missing := [name for name in _LISTS if name not in columns]:
        raise MalformedError(f"column {missing[0]} is missing", field=missing[0])
    _check_ranges(columns)
    pool = columns.pop("pool")
    _check_range("pool", pool, 0, len(head.pools) - 1)
    interval_ms = max(round(head.interval_s * 1_000), 1)
    return CycleColumns(head.roster_id, head.cycle_at_us, interval_ms, head.size, columns, pool, head.pools)


def _column(name: str, plan: cycle_codec.ColumnPlan, planes: memoryview, size: int) -> Any:
    """One column as a pyarrow array; `planes` holds its bytes, all lowest ones first."""
    if not plan.width:
        return pa.nulls(size, pa.int64())
    stored = np.frombuffer(planes, np.uint8).reshape(plan.width, size)
    numbers = stored[0].astype(np.int64)
    for place in range(1, plan.width):
        numbers |= stored[place].astype(np.int64) << (8 * place)
    unseen = numbers == 0
    if numbers.size and numbers.min() < 0:
        raise MalformedError(f"column {name} has a value that is too large", field=name)
    numbers += plan.low - 1
    return pa.array(numbers, mask=unseen) if unseen.any() else pa.array(numbers)


def _parse_json(bodies: Sequence[bytes]) -> list[CycleColumns]:
    lines = [decode_bytes(body).replace(b"\n", b" ").strip() for body in bodies]
    cycles: list[CycleColumns] = []
    for group in _groups(lines):
        cycles += _parse_group(group)
    return cycles


def _groups(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for line in lines:
        if group and size + len(line) > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(line)
        size += len(line)
    if group:
        yield group


def _parse_group(lines: Sequence[bytes]) -> list[CycleColumns]:
    if not all(line.startswith(b"{") for line in lines):
        raise MalformedError("a cycle is not a JSON object")
    data = b"\n".join(lines) + b"\n"
    try:
        table = pa_json.read_json(
            pa.BufferReader(data),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=pa_json.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="ignore"),
        )
    except pa.ArrowInvalid as error:
        raise MalformedError(f"a cycle cannot be read: {str(error)[:200]}") from error
    if table.num_rows != len(lines):
        raise MalformedError("a body holds more than one cycle")
    return _checked(table)


def _checked(table: Any) -> list[CycleColumns]:
    columns = {name: _one(table[name]) for name in _SCHEMA.names}
    for name, column in columns.items():
        if column.null_count:
            raise MalformedError(f"column {name} is missing", field=name)
    sizes = _sizes(columns["state"])
    for name in _LISTS:
        if not np.array_equal(_sizes(columns[name]), sizes):
            raise MalformedError(f"column {name} has another length than the states", field=name)
    if sizes.max() > MAX_MINERS_PER_CYCLE:
        raise MalformedError(f"a cycle has more than {MAX_MINERS_PER_CYCLE} miners", field="state")
    flat = {name: columns[name].flatten() for name in _LISTS}
    _check_ranges(flat)
    interval_s = columns["interval_s"].to_numpy(zero_copy_only=False)
    if not np.all((interval_s > 0) & (interval_s <= MAX_INTERVAL_S)):
        raise MalformedError("interval_s is out of range", field="interval_s")
    cycle_at_us = columns["cycle_at_us"].to_numpy(zero_copy_only=False)
    if not np.all((cycle_at_us >= MIN_AT_US) & (cycle_at_us <= MAX_AT_US)):
        raise MalformedError("cycle_at_us is out of range", field="cycle_at_us")
    pools = _pools(columns["pools"], flat["pool"], sizes)
    pool = flat.pop("pool")
    interval_ms = np.maximum(np.rint(interval_s * 1_000), 1).astype(np.int64).tolist()
    rows = zip(columns["roster_id"].to_pylist(), cycle_at_us.tolist(), interval_ms, sizes.tolist(), strict=True)
    cycles: list[CycleColumns] = []
    start = 0
    for place, (roster_id, at_us, every_ms, size) in enumerate(rows):
        own = {name: column.slice(start, size) for name, column in flat.items()}
        cycles.append(CycleColumns(roster_id, at_us, every_ms, size, own, pool.slice(start, size), pools[place]))
        start += size
    return cycles


def _one(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _sizes(column: Any) -> Ints:
    sizes: Ints = np.diff(column.offsets.to_numpy()).astype(np.int64)
    return sizes


def _check_ranges(flat: dict[str, Any]) -> None:
    for name, most in (*MAX_VALUE.items(), ("state", max(MinerState))):
        _check_range(name, flat[name], min(MinerState) if name == "state" else MIN_VALUE.get(name, 0), most)
    if flat["state"].null_count:
        raise MalformedError("column state has a null", field="state")


def _check_range(name: str, column: Any, least: int, most: int) -> None:
    bounds = pc.min_max(column).as_py()
    if bounds["min"] is not None and (bounds["min"] < least or bounds["max"] > most):
        raise MalformedError(f"column {name} has a value outside {least} to {most}", field=name)


def _pools(pools: Any, index: Any, sizes: Ints) -> list[list[tuple[str, str]]]:
    """Each cycle's pools; what `pool` points to is checked."""
    counts = _sizes(pools)
    pairs = pools.flatten()
    if pairs.null_count or not np.all(_sizes(pairs) == _PAIR) or pairs.flatten().null_count:
        raise MalformedError("a pool is not a URL and a worker", field="pools")
    limit = pa.array(np.repeat(counts, sizes))
    if pc.all(pc.and_(pc.greater_equal(index, 0), pc.less(index, limit))).as_py() is False:
        raise MalformedError("column pool points outside the list of pools", field="pool")
    texts = pairs.flatten().to_pylist()
    every = list(zip(texts[::2], texts[1::2], strict=True))
    ends = np.cumsum(counts).tolist()
    return [every[end - count : end] for end, count in zip(ends, counts.tolist(), strict=True)]
