"""The durable queue towards the cloud, in SQLite.

Two lanes: *urgent* (rosters, and events that decide something) goes first and is never dropped; *bulk* (telemetry,
health, slow-lane details) goes newest first and then oldest first, and the oldest of it is dropped when the room
is used up. What is dropped, damaged or rejected is entered in the gap ledger in the same transaction.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from hashyard_agent import blind_time
from hashyard_agent.adapters import running_mark
from hashyard_agent.adapters.gap_ledger import GapLedger, GapRow, Loss
from hashyard_agent.adapters.headroom import Headroom
from hashyard_agent.adapters.host import boot_id
from hashyard_agent.adapters.outbox_salvage import mark_suspect, open_or_salvage
from hashyard_agent.adapters.store import Store, StoreCorruptError, StoreFullError, explained, open_read_only
from hashyard_agent.backlog import OutboxStats, Settled
from hashyard_agent.blind_time import CycleMark
from hashyard_agent.errors import StoreError
from hashyard_agent.ports import StoredBatch
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.codec import MAX_BODY_BYTES, CodecError, decode_bytes, encode
from hashyard_shared.events import MAX_EVENTS_PER_BATCH, Event, EventBatch
from hashyard_shared.protocol import BatchesAnswer, BatchHeader, BatchKind, BatchVerdict, Verdict
from hashyard_shared.telemetry import Roster

LANE_URGENT: Final = 0
LANE_BULK: Final = 1
QUIET_EVENTS: Final = frozenset({"health", "miner-details"})
"""Kinds of event that may be dropped when the room is used up: they describe, they decide nothing."""

ROW_OVERHEAD_BYTES: Final = 8 * 1024
MAX_EVENT_ROW_BYTES: Final = 8 * 1024 * 1024
MAX_NEWEST_ROWS: Final = 8
MAX_ROSTERS_KEPT: Final = 32
MAX_SET_ASIDE_ROWS: Final = 1_000
SET_ASIDE_SHARE: Final = 20
"""Rows set aside may use one part in this many of `max_bytes`."""
MAX_FULL_RETRIES: Final = 4
STATE_EPOCH: Final = "epoch"
STATE_OWNER: Final = "owner"
STATE_NONCE: Final = "sync-nonce"
_Result = TypeVar("_Result")
_COLUMNS: Final = "seq, epoch, kind, cycle_at_us, count, sha256, body"


def _nothing() -> None:
    """Nobody waits for new rows."""


def _leave(_: StoreCorruptError) -> None:
    """Nobody acts on damage but the one who met it."""


class SqliteOutbox:
    """The outbox in one database file. One process owns it; all calls come from one thread."""

    def __init__(
        self, path: Path, *, max_bytes: int, headroom_bytes: int, clock: Clock, read_only: bool = False
    ) -> None:
        self._path = path
        self._clock = clock
        self._read_only = read_only
        self._max_bytes = max_bytes
        self._headroom = Headroom(path, 0 if read_only else headroom_bytes)
        self._headroom.make_room()
        self._db: Store = open_read_only(path) if read_only else open_or_salvage(path, clock.now_us())
        self._gaps = GapLedger(self._db)
        self._boot_id = boot_id()
        self.on_put: Callable[[], None] = _nothing
        self.on_damage: Callable[[StoreCorruptError], None] = _leave
        with self._guarded():
            self._page_bytes = int(self._value("PRAGMA page_size"))
            if not read_only:
                self._db.execute(f"PRAGMA max_page_count={max(64, max_bytes // self._page_bytes)}")
                self._headroom.take()

    def close(self) -> None:
        """Close the database; what was put is durable already."""
        self._db.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Errors in words; damage is marked, so that the next start looks into it."""
        try:
            with explained(self._path):
                yield
        except StoreCorruptError as error:
            if not self._read_only:
                mark_suspect(self._path)
            self.on_damage(error)
            raise

    # --- small state ------------------------------------------------------------------------------------------

    def state(self, key: str) -> str | None:
        """The value kept under this key, or None."""
        with self._guarded():
            row = self._db.execute("SELECT value FROM state WHERE key = ?", [key]).fetchone()
        return str(row[0]) if row else None

    def set_state(self, key: str, value: str) -> None:
        """Keep a value durably under this key."""
        self._written(lambda _: self._set(key, value))

    @property
    def epoch(self) -> int:
        """The epoch that new rows are stamped with."""
        return int(self.state(STATE_EPOCH) or 0)

    def adopt_epoch(self, epoch: int) -> None:
        """Stamp new rows with this epoch; rows already here keep theirs, so that none is counted twice."""
        self.set_state(STATE_EPOCH, str(epoch))

    def claim(self, agent_id: str) -> bool:
        """Make this agent the owner of the rows; False when another one owns them."""
        owner = self.state(STATE_OWNER)
        if owner is None:
            self.set_state(STATE_OWNER, agent_id)
        return owner in {None, agent_id}

    def _set(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", [key, value])

    def enter_time_not_running(self, interval_s: float) -> int:
        """Before the first cycle of a run: enter what was missed since the last one kept; how many gaps."""

        def write(_: int) -> int:
            mark = running_mark.known(self._db)
            if mark is None:
                return 0
            now = self._mark(self._clock.now_us(), mark.samples)
            gaps = blind_time.since_last_run(
                mark, now_us=now.wall_us, mono_s=now.mono_s, boot_id=now.boot_id, interval_s=interval_s
            )
            self._gaps.enter(gaps)
            if gaps:
                # Entered once: a start that breaks off before its first cycle goes on from here.
                at_us = max(mark.at_us, now.at_us - round(interval_s * US_PER_S))
                running_mark.keep(self._db, replace(now, at_us=at_us))
            return len(gaps)

        return self._written(write)

    def _mark(self, cycle_at_us: int, samples: int) -> CycleMark:
        return CycleMark(cycle_at_us, samples, self._boot_id, self._clock.monotonic_s(), self._clock.now_us())

    # --- putting ----------------------------------------------------------------------------------------------

    def put(self, kind: BatchKind, cycle_at_us: int, count: int, body: bytes) -> int:
        """Append a row durably; returns its seq.

        Errors: `StoreError` when it could not be kept; the loss is entered as soon as writing works again.
        """
        lane = LANE_BULK if kind is BatchKind.TELEMETRY else LANE_URGENT
        return self._append(kind, lane, cycle_at_us, count, body)

    def put_events(self, events: Sequence[Event]) -> int:
        """Append events in as few rows as their size allows; returns the last seq, or 0 for no events."""
        seq = 0
        for group in _event_groups(events):
            quiet = all(event.kind in QUIET_EVENTS for event in group)
            lane = LANE_BULK if quiet else LANE_URGENT
            body = encode(EventBatch(events=group))
            seq = self._append(BatchKind.EVENTS, lane, self._clock.now_us(), len(group), body)
        return seq

    def _append(self, kind: BatchKind, lane: int, cycle_at_us: int, count: int, body: bytes) -> int:
        try:
            seq = self._append_making_room(kind, lane, cycle_at_us, count, body)
        except StoreError as error:
            reason = "disk-full" if isinstance(error, StoreFullError) else "store-failed"
            self._gaps.owe(Loss(None, kind, cycle_at_us, count, reason))
            raise
        self._headroom.take()
        self.on_put()
        return seq

    def _append_making_room(self, kind: BatchKind, lane: int, cycle_at_us: int, count: int, body: bytes) -> int:
        if len(body) > MAX_BODY_BYTES:
            raise StoreError(f"a row of {len(body)} bytes is over the limit of {MAX_BODY_BYTES}")
        needed_bytes = len(body) + ROW_OVERHEAD_BYTES

        def write(attempt: int) -> int:
            # On a full disk the file must not grow, so that what the headroom gave stays for SQLite's log. Each
            # further attempt frees more, at the cost of older data.
            tight = attempt > 0 or self._headroom.is_tight()
            self._drop_to_fit(needed_bytes, reused_bytes=needed_bytes * max(1, attempt) if tight else 0)
            self._gaps.settle_debt()
            if self._gaps.owed:
                running_mark.pass_over(self._db, max(gap.to_us for gap in self._gaps.owed))
            return self._insert(kind, lane, cycle_at_us, count, body)

        seq = self._written(write)
        self._gaps.debt_settled()
        return seq

    def _written(self, work: Callable[[int], _Result]) -> _Result:
        """Do the work in a transaction; on a full disk give up the headroom and try again, a few times.

        `work` gets the number of the attempt. What failed left nothing behind, so all of it is done again.
        """
        for attempt in range(MAX_FULL_RETRIES):
            try:
                with self._guarded(), self._db.atomic():
                    return work(attempt)
            except StoreFullError:
                if attempt == MAX_FULL_RETRIES - 1:
                    raise
                self._headroom.give_up()
                self._empty_log()
        raise StoreFullError

    def _empty_log(self) -> None:
        """Move SQLite's log into the database, so that its space can be used again; it may itself find no room."""
        with suppress(StoreError), self._guarded():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _insert(self, kind: str, lane: int, cycle_at_us: int, count: int, body: bytes) -> int:
        cursor = self._db.execute(
            "INSERT INTO outbox (epoch, kind, lane, cycle_at_us, count, bytes, sha256, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [self.epoch, kind, lane, cycle_at_us, count, len(body), hashlib.sha256(body).digest(), body],
        )
        if kind == BatchKind.ROSTER:
            self._keep_roster(body)
        elif kind == BatchKind.TELEMETRY:
            running_mark.keep(self._db, self._mark(cycle_at_us, count))
        return int(cursor.lastrowid or 0)

    def _drop_to_fit(self, needed_bytes: int, reused_bytes: int) -> None:
        """Drop the oldest bulk rows until `needed_bytes` are under the limit and `reused_bytes` are free pages."""
        over_bytes = self._used_bytes() + needed_bytes - self._max_bytes
        free_bytes = int(self._value("PRAGMA freelist_count")) * self._page_bytes
        to_free_bytes = max(over_bytes, reused_bytes - free_bytes)
        reason = "outbox-full" if over_bytes > 0 else "disk-full"
        while to_free_bytes > 0:
            row = self._db.execute(
                "SELECT seq, kind, cycle_at_us, count, bytes FROM outbox WHERE lane = ? ORDER BY seq LIMIT 1",
                [LANE_BULK],
            ).fetchone()
            if row is None:
                if over_bytes > 0:
                    raise StoreFullError(
                        f"{self._path}: store.max_bytes is used up by events alone; raise it or free the link"
                    )
                return
            self._delete([row[0]])
            self._gaps.record([Loss(row[0], row[1], row[2], row[3], reason)])
            to_free_bytes -= row[4] + ROW_OVERHEAD_BYTES

    def _used_bytes(self) -> int:
        pages = int(self._value("PRAGMA page_count")) - int(self._value("PRAGMA freelist_count"))
        return pages * self._page_bytes

    # --- sending ----------------------------------------------------------------------------------------------

    def pending(self, max_rows: int, max_bytes: int) -> list[StoredBatch]:
        """What to send next; see `Backlog.pending`."""
        batches: list[StoredBatch] = []
        size_bytes = 0
        with self._guarded():
            for seq, row_bytes in self._choice(max_rows):
                if batches and size_bytes + row_bytes > max_bytes:
                    break
                batch = self._read(seq)
                if batch is not None:
                    batches.append(batch)
                    size_bytes += row_bytes
        return batches

    def _choice(self, max_rows: int) -> list[tuple[int, int]]:
        """Seq and size of the rows to send: urgent, newest, oldest. The index alone answers this."""
        pick = "SELECT seq, bytes FROM outbox WHERE lane = ? ORDER BY seq"
        chosen: dict[int, int] = {}
        for sql, lane, limit in (
            # Not all of them: urgent rows that the cloud asks to keep must not hold up everything else.
            (pick, LANE_URGENT, max(1, max_rows * 3 // 4)),
            (pick + " DESC", LANE_BULK, MAX_NEWEST_ROWS),
            (pick, LANE_BULK, max_rows),
        ):
            for seq, row_bytes in self._db.execute(sql + " LIMIT ?", [lane, limit]):
                chosen.setdefault(seq, row_bytes)
        return list(chosen.items())[:max_rows]

    def _read(self, seq: int) -> StoredBatch | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM outbox WHERE seq = ?", [seq]).fetchone()  # noqa: S608 - constant columns
        if row is None:
            return None
        batch, reason = _checked(row)
        if batch is None:
            self._put_aside(row, reason)
        return batch

    def settle(self, batches: Sequence[StoredBatch], answer: BatchesAnswer) -> Settled:
        """Apply verdicts; see `Backlog.settle`."""
        by_key = {(batch.header.epoch, batch.header.seq): batch for batch in batches}
        delivered: list[int] = []
        conflicts: list[int] = []
        rejected: list[BatchVerdict] = []
        for verdict in answer.verdicts:
            if (verdict.epoch, verdict.seq) not in by_key:
                continue
            if verdict.verdict in {Verdict.ACCEPTED, Verdict.DUPLICATE}:
                delivered.append(verdict.seq)
            elif verdict.verdict is Verdict.REJECTED:
                rejected.append(verdict)
            elif verdict.verdict is Verdict.EPOCH_CONFLICT and answer.new_epoch is not None:
                conflicts.append(verdict.seq)

        def write(_: int) -> None:
            self._delete(delivered)
            for verdict in rejected:
                reason = f"rejected:{verdict.code or 'unknown'}"
                self._put_batch_aside(by_key[verdict.epoch, verdict.seq], reason, verdict.detail)
            if answer.new_epoch is not None:
                self._new_epoch(answer.new_epoch, conflicts)
            if answer.sync_nonce is not None:
                self._set(STATE_NONCE, answer.sync_nonce)

        self._written(write)
        kept = len(batches) - len(delivered) - len(rejected) - len(conflicts)
        return Settled(len(delivered), len(rejected), kept, len(conflicts))

    def _new_epoch(self, epoch: int, conflicts: Sequence[int]) -> None:
        """Only rows that conflicted move: another one may have been accepted under its old epoch already."""
        self._set(STATE_EPOCH, str(epoch))
        for seq in conflicts:
            self._db.execute("UPDATE outbox SET epoch = ? WHERE seq = ?", [epoch, seq])

    def _delete(self, seqs: Sequence[int]) -> None:
        for seq in seqs:
            self._db.execute("DELETE FROM outbox WHERE seq = ?", [seq])

    # --- setting aside ----------------------------------------------------------------------------------------

    def set_aside(self, batch: StoredBatch, reason: str) -> None:
        """Take a row out of the way; see `Backlog.set_aside`."""
        self._written(lambda _: self._put_batch_aside(batch, reason))

    def _put_batch_aside(self, batch: StoredBatch, reason: str, detail: str = "") -> None:
        head = batch.header
        row = (head.seq, head.epoch, head.kind, head.cycle_at_us, head.count, b"", batch.body)
        self._put_aside(row, reason, detail)

    def _put_aside(self, row: Sequence[Any], reason: str, detail: str = "") -> None:
        seq, epoch, kind, cycle_at_us, count, _, body = (_plain(value) for value in row)
        text = f"{reason}: {detail}" if detail else reason
        with self._db.atomic():
            self._db.execute(
                "INSERT INTO set_aside (seq, epoch, kind, cycle_at_us, count, at_us, reason, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [seq, epoch, kind, cycle_at_us, count, self._clock.now_us(), text[:500], body],
            )
            self._db.execute(
                "DELETE FROM set_aside WHERE id <= (SELECT MAX(id) FROM set_aside) - ?", [MAX_SET_ASIDE_ROWS]
            )
            self._bound_set_aside()
            self._delete([seq])
            known = [value if isinstance(value, int) else 0 for value in (cycle_at_us, count)]
            self._gaps.record([Loss(seq, str(kind)[:32], known[0], known[1], reason[:64])])

    def _bound_set_aside(self) -> None:
        """Rows set aside are for a person to look at, and must not take the room of what is still to be sent."""
        limit_bytes = self._max_bytes // SET_ASIDE_SHARE
        while int(self._value("SELECT COALESCE(SUM(LENGTH(body)), 0) FROM set_aside")) > limit_bytes:
            self._db.execute("DELETE FROM set_aside WHERE id = (SELECT MIN(id) FROM set_aside)")

    # --- gaps and rosters -------------------------------------------------------------------------------------

    def seal_gaps(self) -> int:
        """Turn untold gaps into an event row; see `Backlog.seal_gaps`."""
        with self._guarded():
            rows = self._gaps.unreported()
        if rows:
            body = encode(EventBatch(events=[row.gap for row in rows]))
            self._written(lambda _: self._tell_gaps(rows, body))
        return len(rows)

    def _tell_gaps(self, rows: Sequence[GapRow], body: bytes) -> None:
        self._insert(BatchKind.EVENTS, LANE_URGENT, self._clock.now_us(), len(rows), body)
        self._gaps.mark_reported(rows)

    def gaps(self, limit: int) -> list[GapRow]:
        """The newest gaps, for people."""
        with self._guarded():
            return self._gaps.newest(limit)

    def _keep_roster(self, body: bytes) -> None:
        """Keep the roster after its delivery: the cloud may ask for it again."""
        try:
            roster_id = Roster.model_validate_json(decode_bytes(body)).roster_id()
        except (CodecError, ValueError):
            return  # the cloud will reject the row with its reason; here it is only a copy
        self._db.execute(
            "INSERT OR REPLACE INTO rosters (roster_id, at_us, body) VALUES (?, ?, ?)",
            [roster_id, self._clock.now_us(), body],
        )
        self._db.execute(
            "DELETE FROM rosters WHERE roster_id NOT IN"
            " (SELECT roster_id FROM rosters ORDER BY at_us DESC LIMIT ?)",
            [MAX_ROSTERS_KEPT],
        )

    def roster(self, roster_id: str) -> bytes | None:
        """A kept roster's body."""
        with self._guarded():
            row = self._db.execute("SELECT body FROM rosters WHERE roster_id = ?", [roster_id]).fetchone()
        return bytes(row[0]) if row else None

    def send_roster_again(self, roster_id: str) -> bool:
        """Queue a roster once more because the cloud does not know it; tells whether it is known here."""
        body = self.roster(roster_id)
        if body is None:
            return False
        self.put(BatchKind.ROSTER, self._clock.now_us(), 0, body)
        return True

    # --- looking ----------------------------------------------------------------------------------------------

    def stats(self) -> OutboxStats:
        """Depth, age, room and losses; answered from the index."""
        with self._guarded():
            row = self._db.execute(
                "SELECT COUNT(*), COALESCE(SUM(lane = 0), 0), COALESCE(SUM(count), 0), COALESCE(SUM(bytes), 0),"
                " MIN(cycle_at_us), MAX(cycle_at_us) FROM outbox INDEXED BY outbox_lane"
            ).fetchone()
            cycles, samples = self._gaps.totals()
            return OutboxStats(
                rows=row[0],
                urgent_rows=row[1],
                samples=row[2],
                body_bytes=row[3],
                used_bytes=self._used_bytes(),
                max_bytes=self._max_bytes,
                oldest_us=row[4],
                newest_us=row[5],
                set_aside_rows=int(self._value("SELECT COUNT(*) FROM set_aside")),
                gap_cycles=cycles,
                gap_samples=samples,
                epoch=self.epoch,
            )

    def rows(self) -> Iterator[StoredBatch]:
        """All readable rows, oldest first, one at a time; damaged ones are passed over."""
        seq = 0
        while True:
            with self._guarded():
                row = self._db.execute(
                    f"SELECT {_COLUMNS} FROM outbox WHERE seq > ? ORDER BY seq LIMIT 1",  # noqa: S608 - constant columns
                    [seq],
                ).fetchone()
            if row is None:
                return
            seq = row[0]
            batch, _ = _checked(row)
            if batch is not None:
                yield batch

    def _value(self, sql: str) -> Any:
        return self._db.execute(sql).fetchone()[0]


def _plain(value: Any) -> Any:
    return b"" if value is None else value


def _checked(row: Sequence[Any]) -> tuple[StoredBatch | None, str]:
    """The row as a batch, or None and why it cannot be one."""
    seq, epoch, kind, cycle_at_us, count, sha256, body = row
    if not isinstance(body, bytes) or hashlib.sha256(body).digest() != sha256:
        return None, "corrupt-row"
    try:
        header = BatchHeader(
            epoch=epoch, seq=seq, kind=kind, cycle_at_us=cycle_at_us, count=count, sha256=sha256.hex()
        )
    except ValueError:
        return None, "corrupt-row"
    return StoredBatch(header, body), ""


def _event_groups(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Split into groups that stay under the limits of one row."""
    group: list[Event] = []
    size_bytes = 0
    for event in events:
        event_bytes = len(event.model_dump_json())
        if group and (len(group) >= MAX_EVENTS_PER_BATCH or size_bytes + event_bytes > MAX_EVENT_ROW_BYTES):
            yield group
            group, size_bytes = [], 0
        group.append(event)
        size_bytes += event_bytes
    if group:
        yield group
