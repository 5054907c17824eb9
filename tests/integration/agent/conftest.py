from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from hashyard_agent import miner_parts
from hashyard_agent.miner_parts import MinerParts
from hashyard_shared import cycle_codec
from hashyard_shared.clock import SystemClock
from hashyard_shared.codec import decode_bytes
from hashyard_shared.events import Event
from hashyard_shared.protocol import BatchKind
from hashyard_shared.telemetry import COLUMN_SCALES, Cycle, Roster


class MemoryOutbox:
    """The outbox port in memory: what was put, in order."""

    def __init__(self) -> None:
        self.rows: list[tuple[BatchKind, int, bytes]] = []
        self.events: list[Event] = []

    def put(self, kind: BatchKind, cycle_at_us: int, count: int, body: bytes) -> int:
        self.rows.append((kind, count, body))
        return len(self.rows)

    def put_events(self, events: Sequence[Event]) -> int:
        self.events.extend(events)
        return len(self.rows)

    def cycles(self) -> list[Cycle]:
        return [cycle_codec.unpack(body) for body in self._bodies(BatchKind.TELEMETRY)]

    def rosters(self) -> list[Roster]:
        return [Roster.model_validate_json(decode_bytes(body)) for body in self._bodies(BatchKind.ROSTER)]

    def last(self) -> dict[str, dict[str, Any]]:
        """The newest cycle by address, columns as fields."""
        cycle, roster = self.cycles()[-1], self.rosters()[-1]
        assert cycle.roster_id == roster.roster_id()
        names = ("state", "offset_ms", *COLUMN_SCALES)
        found = {}
        for at, entry in enumerate(roster.miners):
            row = {name: getattr(cycle, name)[at] for name in names}
            index = cycle.pool[at]
            row["pool"] = None if index is None else cycle.pools[index]
            row["miner_id"] = entry.miner_id
            found[entry.ip] = row
        return found

    def _bodies(self, wanted: BatchKind) -> list[bytes]:
        return [body for kind, _, body in self.rows if kind is wanted]


@pytest.fixture
def outbox() -> MemoryOutbox:
    return MemoryOutbox()


@pytest.fixture
async def parts() -> AsyncIterator[MinerParts]:
    built = miner_parts.build(SystemClock())
    yield built
    await built.close()
