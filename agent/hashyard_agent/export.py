"""The outbox as text, for a site whose data has to travel on a stick. Unreadable rows are told, not hidden."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from hashyard_agent.ports import StoredBatch
from hashyard_shared import cycle_codec
from hashyard_shared.clock import US_PER_MS, utc
from hashyard_shared.codec import CodecError, decode_bytes
from hashyard_shared.protocol import BatchKind
from hashyard_shared.telemetry import COLUMN_SCALES, Cycle, Roster

ROSTERS_CACHED: Final = 4
_HEAD: Final = ("at", "miner_id", "ip", "state", *COLUMN_SCALES, "pool_url", "pool_worker")

RosterSource = Callable[[str], bytes | None]


def csv_lines(rows: Iterable[StoredBatch], roster_body: RosterSource) -> Iterator[str]:
    """One line for each sample, with a heading; empty is "not seen". Events are not part of it."""
    yield _csv(_HEAD)
    rosters = _rosters(roster_body)
    for row in rows:
        if row.header.kind != BatchKind.TELEMETRY:
            continue
        try:
            cycle = cycle_codec.unpack(row.body)
        except (CodecError, ValueError) as error:
            yield _csv((f"row {row.header.seq} cannot be read: {error}"[:200],))
            continue
        yield from (_csv(sample) for sample in _samples(cycle, rosters(cycle.roster_id)))


def json_lines(rows: Iterable[StoredBatch], roster_body: RosterSource) -> Iterator[str]:
    """One line for each row as it would be sent: its header and its content; rosters are among the rows."""
    del roster_body
    for row in rows:
        head = row.header.model_dump()
        try:
            yield json.dumps(head | {"body": _content(row)}, separators=(",", ":"))
        except (CodecError, ValueError) as error:
            yield json.dumps(head | {"problem": str(error)[:200]}, separators=(",", ":"))


def _content(row: StoredBatch) -> Any:
    if row.header.kind == BatchKind.TELEMETRY:
        return cycle_codec.unpack(row.body).model_dump(mode="json")
    return json.loads(decode_bytes(row.body))


def _rosters(roster_body: RosterSource) -> Callable[[str], list[tuple[str, str]]]:
    @lru_cache(maxsize=ROSTERS_CACHED)
    def miners(roster_id: str) -> list[tuple[str, str]]:
        body = roster_body(roster_id)
        if body is None:
            return []
        return [(entry.miner_id, entry.ip) for entry in Roster.model_validate_json(decode_bytes(body)).miners]

    return miners


def _samples(cycle: Cycle, miners: list[tuple[str, str]]) -> Iterator[tuple[object, ...]]:
    for at, state in enumerate(cycle.state):
        offset_ms = cycle.offset_ms[at] or 0
        when = utc(cycle.cycle_at_us + offset_ms * US_PER_MS).isoformat(timespec="milliseconds")
        miner_id, ip = miners[at] if at < len(miners) else (f"{cycle.roster_id}#{at}", "")
        figures = [_figure(getattr(cycle, name)[at], scale) for name, scale in COLUMN_SCALES.items()]
        pool = cycle.pool[at]
        url, worker = cycle.pools[pool] if pool is not None else ("", "")
        yield (when, miner_id, ip, state.label, *figures, url, worker)


def _figure(value: int | None, scale: int) -> object:
    if value is None:
        return ""
    return value if scale == 1 else value / scale


def _csv(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
