"""The ledger of what will never arrive, so that "no data" can be proven. Runs inside the outbox's transactions."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from hashyard_agent.adapters.store import Store
from hashyard_shared.events import Gap
from hashyard_shared.protocol import BatchKind

MAX_GAPS_PER_EVENT: Final = 500


@dataclass(frozen=True, slots=True)
class Loss:
    """A row that will not arrive. `seq` is None for one that could not even be stored."""

    seq: int | None
    kind: str
    cycle_at_us: int
    count: int
    reason: str

    def gap(self) -> Gap:
        """The gap that this loss alone makes; only telemetry counts as cycles and samples."""
        measured = self.kind == BatchKind.TELEMETRY
        return Gap(
            from_us=self.cycle_at_us,
            to_us=self.cycle_at_us,
            cycles=int(measured),
            samples=self.count if measured else 0,
            reason=self.reason,
            first_seq=self.seq,
            last_seq=self.seq,
        )


@dataclass(frozen=True, slots=True)
class GapRow:
    """A gap as kept, and whether the cloud was told."""

    id: int
    gap: Gap
    reported: bool


def merged(first: Gap, second: Gap) -> Gap:
    """Two gaps of one reason as one."""
    return first.model_copy(
        update={
            "from_us": min(first.from_us, second.from_us),
            "to_us": max(first.to_us, second.to_us),
            "cycles": first.cycles + second.cycles,
            "samples": first.samples + second.samples,
            "last_seq": second.last_seq,
        }
    )


class GapLedger:
    """The table `gaps`. A gap grows only by the row right behind it, so that it covers nothing that did arrive."""

    def __init__(self, database: Store) -> None:
        self._db = database
        self._unwritten: dict[str, Gap] = {}

    def owe(self, loss: Loss) -> None:
        """Remember a loss that cannot be written now (the disk is full); `settle_debt` writes it."""
        known = self._unwritten.get(loss.reason)
        # No seq: the range of several rows that were never stored has none.
        gap = replace(loss, seq=None).gap()
        self._unwritten[loss.reason] = merged(known, gap) if known else gap

    @property
    def owed(self) -> list[Gap]:
        """What is remembered only."""
        return list(self._unwritten.values())

    def settle_debt(self) -> None:
        """Write what was owed; call `debt_settled` when the transaction is through."""
        for gap in self._unwritten.values():
            self._insert(gap)

    def debt_settled(self) -> None:
        """The transaction that wrote the debt was committed."""
        self._unwritten.clear()

    def record(self, losses: Iterable[Loss]) -> None:
        """Enter losses, extending the newest gap of the same reason where the row follows it directly."""
        for loss in losses:
            last = self._db.execute(
                "SELECT id, from_us, to_us, cycles, samples, reason, first_seq, last_seq, reported FROM gaps"
                " WHERE reported = 0 AND reason = ? ORDER BY id DESC LIMIT 1",
                [loss.reason],
            ).fetchone()
            if last is not None and loss.seq is not None and last[7] == loss.seq - 1:
                self._update(last[0], merged(_row(last).gap, loss.gap()))
            else:
                self._insert(loss.gap())

    def enter(self, gaps: Iterable[Gap]) -> None:
        """Gaps that are known as such."""
        for gap in gaps:
            self._insert(gap)

    def unreported(self) -> list[GapRow]:
        """Gaps that the cloud was not told of, oldest first, at most one event row's worth."""
        rows = self._db.execute(
            "SELECT id, from_us, to_us, cycles, samples, reason, first_seq, last_seq, reported FROM gaps"
            " WHERE reported = 0 ORDER BY id LIMIT ?",
            [MAX_GAPS_PER_EVENT],
        )
        return [_row(row) for row in rows]

    def mark_reported(self, rows: Iterable[GapRow]) -> None:
        """These are in the queue as events now."""
        for row in rows:
            self._db.execute("UPDATE gaps SET reported = 1 WHERE id = ?", [row.id])

    def newest(self, limit: int) -> list[GapRow]:
        """The newest gaps, for people."""
        rows = self._db.execute(
            "SELECT id, from_us, to_us, cycles, samples, reason, first_seq, last_seq, reported FROM gaps"
            " ORDER BY id DESC LIMIT ?",
            [limit],
        )
        return [_row(row) for row in rows]

    def totals(self) -> tuple[int, int]:
        """Cycles and samples lost in all, those owed included."""
        row = self._db.execute("SELECT COALESCE(SUM(cycles), 0), COALESCE(SUM(samples), 0) FROM gaps").fetchone()
        owed = self._unwritten.values()
        return int(row[0]) + sum(gap.cycles for gap in owed), int(row[1]) + sum(gap.samples for gap in owed)

    def _insert(self, gap: Gap) -> None:
        self._db.execute(
            "INSERT INTO gaps (from_us, to_us, cycles, samples, reason, first_seq, last_seq)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [gap.from_us, gap.to_us, gap.cycles, gap.samples, gap.reason, gap.first_seq, gap.last_seq],
        )

    def _update(self, gap_id: int, gap: Gap) -> None:
        self._db.execute(
            "UPDATE gaps SET from_us = ?, to_us = ?, cycles = ?, samples = ?, last_seq = ? WHERE id = ?",
            [gap.from_us, gap.to_us, gap.cycles, gap.samples, gap.last_seq, gap_id],
        )


def _row(row: tuple[Any, ...]) -> GapRow:
    gap = Gap(
        from_us=row[1],
        to_us=row[2],
        cycles=row[3],
        samples=row[4],
        reason=row[5],
        first_seq=row[6],
        last_seq=row[7],
    )
    return GapRow(row[0], gap, bool(row[8]))
