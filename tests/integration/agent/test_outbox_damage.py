"""A damaged database file, and a migration that is killed half way: what can be read is carried over."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.adapters.store import StoreCorruptError, open_database
from hashyard_shared.clock import SystemClock
from hashyard_shared.protocol import BatchKind

PAGE_BYTES = 4096
ROWS = 200


def opened(folder: Path) -> SqliteOutbox:
    return SqliteOutbox(folder / "outbox.db", max_bytes=50_000_000, headroom_bytes=0, clock=SystemClock())


def filled(folder: Path) -> None:
    outbox = opened(folder)
    outbox.adopt_epoch(3)
    for at in range(ROWS):
        outbox.put(BatchKind.TELEMETRY, at, 1, os.urandom(3_000))
    outbox.close()


def overwrite(folder: Path, first_page: int, pages: int) -> None:
    with (folder / "outbox.db").open("r+b") as file:
        file.seek(first_page * PAGE_BYTES)
        file.write(os.urandom(pages * PAGE_BYTES))


def read_all(outbox: SqliteOutbox) -> set[int]:
    return {batch.header.seq for batch in outbox.rows()}


def test_a_file_that_is_no_database_any_more_is_set_aside_and_the_agent_starts(tmp_path: Path) -> None:
    filled(tmp_path)
    overwrite(tmp_path, 0, 1)
    outbox = opened(tmp_path)
    assert outbox.put(BatchKind.TELEMETRY, 1, 1, b"fresh") >= 1
    assert list(tmp_path.glob("outbox.damaged-*.db"))
    outbox.close()


def test_damage_that_is_met_later_is_marked_and_the_next_start_carries_over_the_rest(tmp_path: Path) -> None:
    filled(tmp_path)
    overwrite(tmp_path, 60, 40)
    outbox = opened(tmp_path)
    met: list[StoreCorruptError] = []
    outbox.on_damage = met.append
    with pytest.raises(StoreCorruptError):
        read_all(outbox)
    assert met
    outbox.close()
    outbox = opened(tmp_path)
    kept = read_all(outbox)
    assert 100 < len(kept) < ROWS
    assert outbox.epoch == 3
    assert outbox.put(BatchKind.TELEMETRY, 1, 1, b"next") == ROWS + 1
    gap = outbox.gaps(1)[0].gap
    missing = set(range(1, ROWS + 1)) - kept
    assert gap.reason == "store-damaged"
    assert gap.first_seq is not None
    assert gap.last_seq is not None
    assert missing <= set(range(gap.first_seq, gap.last_seq + 1))
    outbox.close()
    assert not (tmp_path / "outbox.db.suspect").exists()


KILLED = """
import os, sys
from pathlib import Path
from sqlite_utils import Migrations
from hashyard_agent.adapters.store import open_database

steps = Migrations("trial")

@steps()
def m1(database):
    database.execute("CREATE TABLE a (x)")

@steps()
def m2(database):
    database.execute("CREATE TABLE b (x)")
    database.execute("INSERT INTO a VALUES (1)")
    os._exit(9)

open_database(Path(sys.argv[1]), steps)
"""


def test_a_migration_killed_half_way_is_done_whole_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "trial.db"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == 9
    steps = Migrations("trial")

    @steps(name="m1")
    def first(database: Database) -> None:
        database.execute("CREATE TABLE a (x)")

    @steps(name="m2")
    def second(database: Database) -> None:
        database.execute("CREATE TABLE b (x)")
        database.execute("INSERT INTO a VALUES (1)")

    open_database(path, steps).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM a").fetchone() == (1,)
        assert connection.execute("SELECT COUNT(*) FROM b").fetchone() == (0,)
