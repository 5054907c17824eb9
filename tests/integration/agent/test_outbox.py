"""The outbox on real SQLite: what is put is there, what is lost is told."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashyard_agent.adapters.outbox import MAX_NEWEST_ROWS, SqliteOutbox
from hashyard_agent.adapters.store import StoreFullError, StoreNewerError
from hashyard_agent.errors import StoreError
from hashyard_shared.clock import US_PER_S
from hashyard_shared.codec import MAX_BODY_BYTES, decode_bytes, encode
from hashyard_shared.events import Event, EventBatch, Health, SiteControl
from hashyard_shared.protocol import BatchesAnswer, BatchKind, BatchVerdict, Verdict
from hashyard_shared.telemetry import Roster, RosterEntry

MEGABYTE = 1024 * 1024


class StepClock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.at_us = 1_700_000_000 * US_PER_S

    def now_us(self) -> int:
        return self.at_us

    def monotonic_s(self) -> float:
        return self.at_us / US_PER_S


def opened(path: Path, max_bytes: int = 64 * MEGABYTE, headroom_bytes: int = 0) -> SqliteOutbox:
    return SqliteOutbox(path / "outbox.db", max_bytes=max_bytes, headroom_bytes=headroom_bytes, clock=StepClock())


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[SqliteOutbox]:
    box = opened(tmp_path)
    yield box
    box.close()


def put_cycles(outbox: SqliteOutbox, count: int, body_bytes: int = 100) -> list[int]:
    start_us = StepClock().now_us()
    return [
        outbox.put(BatchKind.TELEMETRY, start_us + at * 60 * US_PER_S, 10, bytes([at % 256]) * body_bytes)
        for at in range(count)
    ]


def control(text: str) -> Event:
    return SiteControl(at_us=1, control="test", value=text, actor="tester")


def health() -> Event:
    return Health(
        at_us=1,
        version="0",
        backlog_rows=0,
        backlog_bytes=0,
        oldest_at_us=None,
        miners_found=0,
        cycle_s=0,
        emergency_stop=False,
        shadow_mode=False,
    )


def answer_all(outbox: SqliteOutbox, verdict: Verdict, new_epoch: int | None = None) -> None:
    batches = outbox.pending(1_000, 10 * MEGABYTE)
    verdicts = [BatchVerdict(epoch=batch.header.epoch, seq=batch.header.seq, verdict=verdict) for batch in batches]
    outbox.settle(batches, BatchesAnswer(verdicts=verdicts, received_at_us=0, new_epoch=new_epoch, sync_nonce="n"))


def pending_seqs(outbox: SqliteOutbox) -> list[int]:
    return [batch.header.seq for batch in outbox.pending(1_000, 10 * MEGABYTE)]


def test_urgent_rows_go_first_then_the_newest_then_the_oldest(outbox: SqliteOutbox) -> None:
    cycles = put_cycles(outbox, 20)
    event = outbox.put_events([control("x")])
    quiet = outbox.put_events([health()])
    newest = [quiet, *reversed(cycles)][:MAX_NEWEST_ROWS]
    assert pending_seqs(outbox)[: 1 + MAX_NEWEST_ROWS] == [event, *newest]
    assert sorted(pending_seqs(outbox)) == [*cycles, event, quiet]


def test_at_least_one_row_is_given_whatever_its_size(outbox: SqliteOutbox) -> None:
    put_cycles(outbox, 2, body_bytes=1_000)
    assert len(outbox.pending(10, 1)) == 1


def test_a_row_stays_until_it_was_accepted(outbox: SqliteOutbox) -> None:
    put_cycles(outbox, 3)
    answer_all(outbox, Verdict.RETRY)
    assert outbox.stats().rows == 3
    answer_all(outbox, Verdict.ACCEPTED)
    assert outbox.stats().rows == 0
    assert outbox.state("sync-nonce") == "n"


def test_a_seq_never_comes_again_after_all_rows_went(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    last = put_cycles(outbox, 3)[-1]
    answer_all(outbox, Verdict.DUPLICATE)
    outbox.close()
    outbox = opened(tmp_path)
    assert put_cycles(outbox, 1) == [last + 1]
    outbox.close()


def test_only_rows_in_conflict_move_to_the_new_epoch(outbox: SqliteOutbox) -> None:
    outbox.adopt_epoch(1)
    put_cycles(outbox, 2)
    batches = outbox.pending(10, MEGABYTE)
    verdicts = [
        BatchVerdict(epoch=1, seq=batches[0].header.seq, verdict=Verdict.EPOCH_CONFLICT),
        BatchVerdict(epoch=1, seq=batches[1].header.seq, verdict=Verdict.RETRY),
    ]
    outbox.settle(batches, BatchesAnswer(verdicts=verdicts, received_at_us=0, new_epoch=2))
    put_cycles(outbox, 1)
    epochs = {batch.header.seq: batch.header.epoch for batch in outbox.pending(10, MEGABYTE)}
    assert epochs == {batches[0].header.seq: 2, batches[1].header.seq: 1, max(epochs): 2}


def test_a_rejected_row_is_set_aside_with_its_reason_and_told(outbox: SqliteOutbox) -> None:
    put_cycles(outbox, 1)
    answer_all(outbox, Verdict.REJECTED)
    assert outbox.stats().set_aside_rows == 1
    assert [row.gap.reason for row in outbox.gaps(5)] == ["rejected:unknown"]
    assert outbox.seal_gaps() == 1
    assert outbox.seal_gaps() == 0
    told = EventBatch.model_validate_json(decode_bytes(outbox.pending(5, MEGABYTE)[0].body))
    assert [event.kind for event in told.events] == ["gap"]


def test_a_damaged_row_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    good, bad, _ = put_cycles(outbox, 3)
    with sqlite3.connect(tmp_path / "outbox.db") as connection:
        connection.execute("UPDATE outbox SET body = ? WHERE seq = ?", [b"rotten", bad])
    connection.close()
    assert sorted(pending_seqs(outbox)) == [good, bad + 1]
    gap = outbox.gaps(1)[0].gap
    assert (gap.reason, gap.first_seq, gap.cycles, gap.samples) == ("corrupt-row", bad, 1, 10)
    outbox.close()


def test_the_oldest_cycles_make_room_and_are_told(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=2 * MEGABYTE)
    event = outbox.put_events([control("never dropped")])
    cycles = put_cycles(outbox, 60, body_bytes=60_000)
    waiting = pending_seqs(outbox)
    assert event in waiting
    kept = [seq for seq in waiting if seq != event]
    stats = outbox.stats()
    assert sorted(kept) == cycles[-len(kept) :]
    assert stats.gap_cycles == 60 - len(kept)
    assert stats.used_bytes <= 2 * MEGABYTE
    assert (tmp_path / "outbox.db").stat().st_size <= 2 * MEGABYTE
    assert len(outbox.gaps(100)) == 1, "one gap for one stretch"
    outbox.close()


def test_events_alone_filling_the_room_are_refused_with_what_to_do(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=MEGABYTE)
    with pytest.raises(StoreFullError, match="max_bytes"):  # noqa: PT012 - which of them is the first is not the point
        for _ in range(300):
            outbox.put_events([control(os.urandom(200).hex()) for _ in range(50)])
    outbox.close()


def test_a_row_over_the_limit_is_refused_and_told_later(outbox: SqliteOutbox) -> None:
    with pytest.raises(StoreError, match="over the limit"):
        outbox.put(BatchKind.TELEMETRY, 5, 7, b"x" * (MAX_BODY_BYTES + 1))
    assert outbox.stats().gap_samples == 7
    put_cycles(outbox, 1)
    assert outbox.gaps(1)[0].gap.samples == 7


def test_rosters_are_kept_for_asking_back(outbox: SqliteOutbox) -> None:
    roster = Roster(miners=[RosterEntry(miner_id="mac:1", ip="127.0.0.1", family="x")])
    outbox.put(BatchKind.ROSTER, 1, 1, encode(roster))
    answer_all(outbox, Verdict.ACCEPTED)
    assert outbox.stats().rows == 0
    assert outbox.send_roster_again(roster.roster_id())
    assert outbox.pending(1, MEGABYTE)[0].header.kind == BatchKind.ROSTER
    assert not outbox.send_roster_again("unknown")


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "outbox.db") as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('outbox', 'm9999', '')"
        )
    connection.close()
    with pytest.raises(StoreNewerError, match="m9999"):
        opened(tmp_path)


def test_a_read_only_look_needs_no_write(tmp_path: Path, outbox: SqliteOutbox) -> None:
    put_cycles(outbox, 2)
    look = SqliteOutbox(tmp_path / "outbox.db", max_bytes=1, headroom_bytes=0, clock=StepClock(), read_only=True)
    assert look.stats().rows == 2
    assert len(list(look.rows())) == 2
    with pytest.raises(StoreError, match="cannot be written"):
        look.set_state("a", "b")
    look.close()


def test_rows_belong_to_one_identity(outbox: SqliteOutbox) -> None:
    assert outbox.claim("agent-1")
    assert outbox.claim("agent-1")
    assert not outbox.claim("agent-2")


def test_a_missing_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        SqliteOutbox(tmp_path / "none.db", max_bytes=1, headroom_bytes=0, clock=StepClock(), read_only=True)
