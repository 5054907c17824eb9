"""What sync needs of the outbox, and small durable state; the SQLite side is `adapters/outbox.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hashyard_agent.ports import StoredBatch
from hashyard_shared.protocol import BatchesAnswer


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """The outbox at a glance. Times are UTC microseconds; `oldest_us` is None when nothing waits."""

    rows: int
    urgent_rows: int
    samples: int
    body_bytes: int
    used_bytes: int
    max_bytes: int
    oldest_us: int | None
    newest_us: int | None
    set_aside_rows: int
    gap_cycles: int
    gap_samples: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What an answer of the cloud did to the outbox, in rows."""

    delivered: int = 0
    set_aside: int = 0
    kept: int = 0
    conflicts: int = 0


class Backlog(Protocol):
    """The sending side of the outbox. All errors are `StoreError`s."""

    def pending(self, max_rows: int, max_bytes: int) -> list[StoredBatch]:
        """What to send next, in order: urgent rows, the newest of the rest, then the oldest.

        At least one row when there is any. A damaged row is set aside on the way, never returned.
        """
        ...

    def settle(self, batches: Sequence[StoredBatch], answer: BatchesAnswer) -> Settled:
        """Apply the verdicts for these rows in one transaction, with the new epoch and nonce of the answer."""
        ...

    def set_aside(self, batch: StoredBatch, reason: str) -> None:
        """Take one row out of the way with its reason; it is entered in the gap ledger."""
        ...

    def seal_gaps(self) -> int:
        """Put gaps that were not told yet into the queue as events; returns how many."""
        ...

    def send_roster_again(self, roster_id: str) -> bool:
        """Queue a roster once more because the cloud does not know it; tells whether it is known here."""
        ...

    def stats(self) -> OutboxStats:
        """Depth, age, room and losses."""
        ...


class StateStore(Protocol):
    """Small things that must survive a restart, as text under a key."""

    def state(self, key: str) -> str | None:
        """The value, or None."""
        ...

    def set_state(self, key: str, value: str) -> None:
        """Keep it durably."""
        ...
