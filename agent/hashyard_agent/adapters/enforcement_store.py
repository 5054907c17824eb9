"""The durable state of enforcement: one SQLite file, one transaction for state, snapshot, journal and events.

The file holds pool passwords (in snapshots and targets) and is readable by the agent's user alone.
"""

import fcntl
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from sqlite_utils import Database, Migrations

from hashyard_agent.adapters.store import explained, open_database
from hashyard_agent.enforcement.model import Change, PairRow, SnapshotRow, UnitRow
from hashyard_agent.enforcement.ports import LocalCommand
from hashyard_agent.errors import StoreError
from hashyard_shared.events import Event, JournalAppended
from hashyard_shared.journal import GENESIS, JournalLine, next_line

FILE_MODE: Final = 0o600
_UNIT: Final = TypeAdapter(UnitRow)
_PAIR: Final = TypeAdapter(PairRow)
_SNAPSHOT: Final = TypeAdapter(SnapshotRow)
_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)

MIGRATIONS: Final = Migrations("enforcement")


@MIGRATIONS()
def m0001_enforcement(database: Database) -> None:
    """Units, pairs, snapshots, the journal, events on their way to the outbox, local commands, small facts."""
    for statement in (
        "CREATE TABLE units (unit_id TEXT PRIMARY KEY, body TEXT NOT NULL)",
        """CREATE TABLE pairs (
            family TEXT, model TEXT, firmware TEXT, body TEXT NOT NULL, PRIMARY KEY (family, model, firmware)
        )""",
        """CREATE TABLE snapshots (
            snapshot_id TEXT PRIMARY KEY, unit_id TEXT NOT NULL, at_us INTEGER NOT NULL, body TEXT NOT NULL
        )""",
        "CREATE TABLE journal (idx INTEGER PRIMARY KEY, text TEXT NOT NULL, hash TEXT NOT NULL)",
        "CREATE TABLE events (number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)",
        """CREATE TABLE commands (
            command_id INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, actor TEXT NOT NULL,
            kind TEXT NOT NULL, arguments TEXT NOT NULL, finished_at_us INTEGER, result TEXT
        )""",
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    ):
        database.execute(statement)


def is_owned(path: Path) -> bool:
    """Whether some process enforces over this file now."""
    if not _lock_path(path).exists():
        return False
    try:
        os.close(_claimed(path))
    except StoreError:
        return True
    return False


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _claimed(path: Path) -> int:
    """The lock's file handle; the kernel lets go of it however the process ends."""
    lock = _lock_path(path)
    with explained(lock):
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise StoreError(f"{path} is in use: another agent process enforces over it") from error
    return handle


class SqliteEnforcementStore:
    """Implements `EnforcementStore`. Calls may come from any thread, one at a time."""

    def __init__(self, path: Path, *, owner: bool = True, read_only: bool = False) -> None:
        """Open the file, creating it if need be. Errors: `StoreError` and its kinds.

        Only one process may be the `owner`, who enforces; others may look, or leave a command.
        """
        self._path = path
        self._claim: int | None = None
        if not read_only:
            with explained(path):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.touch(mode=FILE_MODE)
            self._claim = _claimed(path) if owner else None
        self._lock = threading.Lock()
        try:
            self._db = open_database(path, MIGRATIONS, read_only=read_only)
        except BaseException:
            self._release()
            raise

    def close(self) -> None:
        """Close the file and give ownership up."""
        self._db.close()
        self._release()

    def _release(self) -> None:
        claim, self._claim = self._claim, None
        if claim is not None:
            os.close(claim)

    def units(self) -> list[UnitRow]:
        return [_UNIT.validate_json(body) for (body,) in self._all("SELECT body FROM units")]

    def pairs(self) -> list[PairRow]:
        return [_PAIR.validate_json(body) for (body,) in self._all("SELECT body FROM pairs")]

    def facts(self) -> dict[str, str]:
        return dict(self._all("SELECT name, value FROM facts"))

    def snapshot(self, snapshot_id: str) -> SnapshotRow | None:
        rows = self._all("SELECT body FROM snapshots WHERE snapshot_id = ?", (snapshot_id,))
        return _SNAPSHOT.validate_json(rows[0][0]) if rows else None

    def commit(self, changes: Sequence[Change]) -> None:
        with self._lock, explained(self._path), self._db.atomic():
            for change in changes:
                self._apply(change)

    def events(self, limit: int) -> tuple[int, list[Event]]:
        rows = self._all("SELECT number, body FROM events ORDER BY number LIMIT ?", (limit,))
        return (rows[-1][0] if rows else 0), [_EVENT.validate_json(body) for _, body in rows]

    def forget_events(self, upto: int) -> None:
        with self._lock, explained(self._path), self._db.atomic():
            self._db.execute("DELETE FROM events WHERE number <= ?", (upto,))

    def commands(self, limit: int, kinds: Sequence[str]) -> list[LocalCommand]:
        rows = self._all(
            "SELECT command_id, at_us, actor, kind, arguments FROM commands WHERE finished_at_us IS NULL "
            "AND kind IN (SELECT value FROM json_each(?)) ORDER BY command_id LIMIT ?",
            (json.dumps(list(kinds)), limit),
        )
        return [LocalCommand(number, at, actor, kind, json.loads(text)) for number, at, actor, kind, text in rows]

    def add_command(self, at_us: int, actor: str, kind: str, arguments: dict[str, Any]) -> int:
        """A technician's command for whichever process enforces; returns its number."""
        with self._lock, explained(self._path), self._db.atomic():
            cursor = self._db.execute(
                "INSERT INTO commands (at_us, actor, kind, arguments) VALUES (?, ?, ?, ?)",
                (at_us, actor, kind, json.dumps(arguments)),
            )
            return int(cursor.lastrowid or 0)

    def command_result(self, command_id: int) -> str | None:
        """What the technician is told; None while the command was not taken."""
        rows = self._all("SELECT result FROM commands WHERE command_id = ?", (command_id,))
        return rows[0][0] if rows else None

    def finish_command(self, command_id: int, at_us: int, result: str) -> None:
        with self._lock, explained(self._path), self._db.atomic():
            self._db.execute(
                "UPDATE commands SET finished_at_us = ?, result = ? WHERE command_id = ?",
                (at_us, result, command_id),
            )

    def journal(self, start: int, limit: int) -> list[JournalLine]:
        rows = self._all("SELECT idx, text, hash FROM journal WHERE idx >= ? ORDER BY idx LIMIT ?", (start, limit))
        return [JournalLine(index=index, text=text, hash=digest) for index, text, digest in rows]

    def journal_length(self) -> int:
        """How many lines there are."""
        return int(self._all("SELECT COALESCE(MAX(idx) + 1, 0) FROM journal")[0][0])

    def _all(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock, explained(self._path):
            return list(self._db.execute(sql, values).fetchall())

    def _apply(self, change: Change) -> None:
        if change.snapshot is not None:
            self._put_snapshot(change.snapshot)
        if change.unit is not None:
            body = _UNIT.dump_json(change.unit).decode()
            self._db.execute("INSERT OR REPLACE INTO units VALUES (?, ?)", (change.unit.unit_id, body))
        if change.pair is not None:
            pair = change.pair
            values = (pair.family, pair.model, pair.firmware, _PAIR.dump_json(pair).decode())
            self._db.execute("INSERT OR REPLACE INTO pairs VALUES (?, ?, ?, ?)", values)
        for name, value in change.facts.items():
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
        lines = self._append(change)
        events: list[Event] = [*change.events]
        if lines:
            events.append(JournalAppended(at_us=change.at_us, lines=lines))
        for event in events:
            self._db.execute("INSERT INTO events (body) VALUES (?)", (event.model_dump_json(),))

    def _put_snapshot(self, row: SnapshotRow) -> None:
        values = (row.snapshot_id, row.unit_id, row.at_us, _SNAPSHOT.dump_json(row).decode())
        # Never replaced: a snapshot is the way back, and only the first one of an episode shows it.
        self._db.execute("INSERT INTO snapshots VALUES (?, ?, ?, ?)", values)

    def _append(self, change: Change) -> list[JournalLine]:
        lines: list[JournalLine] = []
        if not change.journal:
            return lines
        head = self._db.execute("SELECT idx, hash FROM journal ORDER BY idx DESC LIMIT 1").fetchone()
        index, previous = (head[0] + 1, head[1]) if head else (0, GENESIS)
        for entry in change.journal:
            line = next_line(index, previous, change.at_us, entry.kind, entry.data)
            self._db.execute("INSERT INTO journal VALUES (?, ?, ?)", (line.index, line.text, line.hash))
            lines.append(line)
            index, previous = index + 1, line.hash
        return lines
