"""Batches as received, rosters, and the blocks in which telemetry is projected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_shared.protocol import BatchHeader


class BatchState(IntEnum):
    """How far a batch has come. Nothing is ever dropped: what cannot be read is set aside with its problem."""

    PENDING = 0
    WAITING_FOR_ROSTER = 1
    IN_BLOCK = 2
    DONE = 3
    SET_ASIDE = 4


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A verified batch on its way into the store. `state` is SET_ASIDE with a problem when it cannot be read."""

    header: BatchHeader
    body: bytes
    state: BatchState = BatchState.PENDING
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A stored batch without its body."""

    batch_no: int
    organisation_id: str
    agent_id: str
    epoch: int
    seq: int
    kind: str
    cycle_at_us: int
    count: int
    received_at_us: int
    block_no: int | None
    roster_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """A block: which one, and how many samples it must hold in the telemetry store."""

    block_no: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestCounts:
    """How much is where, for health pages and tests."""

    pending: int
    waiting: int
    set_aside: int
    oldest_received_at_us: int | None


class IngestStore(Protocol):
    """Bodies, their state and blocks. The projector works across organisations; each row names its own."""

    async def insert(
        self, agent: AgentRow, batches: Sequence[NewBatch], received_at_us: int
    ) -> dict[tuple[int, int], int]:
        """Store those whose (epoch, seq) is new; answers their numbers."""
        ...

    async def hashes(self, agent_id: str, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], str]:
        """The stored SHA-256 by (epoch, seq)."""
        ...

    async def pending(self, kinds: Sequence[str], limit: int) -> list[BatchRow]:
        """Oldest first, of these kinds."""
        ...

    async def bodies(self, batch_nos: Sequence[int]) -> dict[int, bytes]: ...

    async def mark(self, batch_nos: Sequence[int], state: BatchState, problem: str | None = None) -> None: ...

    async def wait_for_roster(self, rosters: Mapping[int, str]) -> None:
        """Park these batches, each until its roster comes."""
        ...

    async def rosters_wanted(self, agent_id: str, limit: int) -> list[str]:
        """Rosters that telemetry of this agent is parked for."""
        ...

    async def add_roster(
        self, agent: AgentRow, roster_id: str, miner_nos: Sequence[int], received_at_us: int
    ) -> None:
        """Remember a roster and release what waited for it."""
        ...

    async def rosters(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[int]]:
        """Miner numbers by (agent id, roster id)."""
        ...

    async def new_block(self, batch_nos: Sequence[int], samples: int, at_us: int) -> BlockRow:
        """Fix a block's composition."""
        ...

    async def done_blocks(self, below: int | None, limit: int) -> list[BlockRow]:
        """Newest first, of those with a smaller number than `below`."""
        ...

    async def drop_bodies(self, received_before_us: int, limit: int) -> int:
        """Forget bodies that are projected and older than this; answers how many. What they were stays known."""
        ...

    async def unfinished_block(self) -> BlockRow | None: ...

    async def block_batches(self, block_no: int) -> list[BatchRow]:
        """In the order of their numbers."""
        ...

    async def finish_block(self, block_no: int, at_us: int) -> None: ...

    async def counts(self) -> IngestCounts: ...
