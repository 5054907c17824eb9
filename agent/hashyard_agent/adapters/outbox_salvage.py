"""A damaged outbox: keep the file for a person, and carry over every row that can still be read.

SQLite tells damage only where it meets it, so an agent that meets it leaves a mark beside the file and ends; the
next start finds the mark. What could not be read is entered in the gap ledger as a range of numbers: some of it
may have been delivered before, which nobody can tell any more, and the cloud has those.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from hashyard_agent.adapters.gap_ledger import GapLedger, Loss
from hashyard_agent.adapters.store import Store, StoreCorruptError, explained, open_database
from hashyard_shared.protocol import BatchKind

LOG = logging.getLogger(__name__)
MAX_UNREADABLE_IN_A_ROW: Final = 2_000
"""After this many numbers that cannot be read one by one, the rest of the file is given up."""
REASON: Final = "store-damaged"
_ROW: Final = "seq, epoch, kind, lane, cycle_at_us, count, bytes, sha256, body"
_GAP: Final = "from_us, to_us, cycles, samples, reason, first_seq, last_seq, reported"
_COPIED: Final = {"state": 2, "rosters": 3}


def mark_suspect(path: Path) -> None:
    """Damage was met: let the next start look into it."""
    with explained(path):
        _mark(path).touch()


def open_or_salvage(path: Path, now_us: int) -> Store:
    """Open the outbox, or make a new one of what is left of it. Errors: `StoreError`."""
    from hashyard_agent.adapters.outbox_schema import MIGRATIONS  # noqa: PLC0415 - see `open_database`

    if not _mark(path).exists():
        try:
            return open_database(path, MIGRATIONS)
        except StoreCorruptError as error:
            LOG.error("%s; what can be read is carried over", error)  # noqa: TRY400 - the message says all
    aside = set_file_aside(path, f"damaged-{now_us}")
    store = open_database(path, MIGRATIONS)
    try:
        _carry_over(aside, store, now_us)
    except BaseException:
        store.close()
        raise
    with explained(path):
        _mark(path).unlink(missing_ok=True)
    return store


def set_file_aside(path: Path, word: str) -> Path:
    """Rename a database that is not open, with its log; returns where it is now. Errors: `StoreError`."""
    aside = path.with_name(f"{path.stem}.{word}{path.suffix}")
    with explained(path):
        for end in ("", "-wal", "-shm"):
            part = path.with_name(path.name + end)
            if part.exists():
                part.rename(aside.with_name(aside.name + end))
    return aside


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ".suspect")


def _carry_over(aside: Path, store: Store, now_us: int) -> None:
    carried = 0
    unreadable: list[int] = []
    with explained(aside), closing(sqlite3.connect(aside)) as damaged, store.atomic():
        for table, columns in _COPIED.items():
            marks = ", ".join("?" * columns)
            for row in _rows(damaged, f"SELECT * FROM {table}"):  # noqa: S608 - names from the constant above
                store.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 - as above
        for row in _rows(damaged, f"SELECT {_GAP} FROM gaps"):  # noqa: S608 - constant
            store.execute(f"INSERT INTO gaps ({_GAP}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - constant
        last = _last_seq(damaged)
        for row in _outbox_rows(damaged, last, unreadable):
            store.execute(f"INSERT INTO outbox ({_ROW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - constant
            carried += 1
        _continue_numbers(store, last)
        if unreadable:
            ledger = GapLedger(store)
            # One entry over the range: what was in it cannot be counted any more.
            ledger.record([Loss(unreadable[0], BatchKind.EVENTS, now_us, 0, REASON)])
            store.execute(
                "UPDATE gaps SET last_seq = ? WHERE reason = ? AND reported = 0", [unreadable[-1], REASON]
            )
    LOG.warning(
        "the damaged outbox is kept as %s; %d row(s) were carried over, %d number(s) could not be read",
        aside,
        carried,
        len(unreadable),
    )


def _rows(damaged: sqlite3.Connection, sql: str) -> Iterator[tuple[Any, ...]]:
    """As many rows as can be read."""
    try:
        yield from damaged.execute(sql)
    except sqlite3.DatabaseError as error:
        LOG.warning("a part of the damaged outbox cannot be read: %s", error)


def _last_seq(damaged: sqlite3.Connection) -> int:
    found = [row[0] for row in _rows(damaged, "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")]
    found += [row[0] for row in _rows(damaged, "SELECT MAX(seq) FROM outbox") if row[0] is not None]
    return max(found, default=0)


def _outbox_rows(damaged: sqlite3.Connection, last: int, unreadable: list[int]) -> Iterator[tuple[Any, ...]]:
    seq = 0
    in_a_row = 0
    while seq < last and in_a_row < MAX_UNREADABLE_IN_A_ROW:
        try:
            row = damaged.execute(
                f"SELECT {_ROW} FROM outbox WHERE seq > ? ORDER BY seq LIMIT 1",  # noqa: S608 - constant
                [seq],
            ).fetchone()
        except sqlite3.DatabaseError:
            # Perhaps the very next one: step over it.
            seq += 1
            in_a_row += 1
            unreadable.append(seq)
            continue
        if row is None:
            return
        in_a_row = 0
        seq = row[0]
        yield row
    if in_a_row:
        unreadable.append(last)


def _continue_numbers(store: Store, last: int) -> None:
    """The next row's number comes after every one that was ever given out, as far as that can be read."""
    store.execute("DELETE FROM sqlite_sequence WHERE name = 'outbox'")
    store.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)", [last])
