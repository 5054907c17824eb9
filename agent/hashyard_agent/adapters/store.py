"""SQLite databases as the agent uses them: WAL, `synchronous=FULL`, migrated, with errors that say what to do.

Each database has one owner and one thread. A second process may read it while the owner runs.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlite_utils import Database, Migrations

from hashyard_agent.errors import StoreError

BUSY_TIMEOUT_MS: Final = 10_000
_WAL_KEPT_BYTES: Final = 1024 * 1024
_AUTOCHECKPOINT_PAGES: Final = 256


class StoreFullError(StoreError):
    """The disk or the store is full."""


class StoreCorruptError(StoreError):
    """The store's file is damaged."""


class StoreNewerError(StoreError):
    """The store was written by a newer version of the agent."""


def open_database(path: Path, migrations: Migrations, *, read_only: bool = False) -> Database:
    """Open and migrate. Errors: `StoreError` and its kinds, naming the file.

    A read-only connection neither creates nor migrates: it is for looking at the store of a running agent.
    """
    with explained(path):
        database = _connect(path, read_only=read_only)
        try:
            _refuse_newer(path, database, migrations)
            if read_only:
                return database
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}")
            database.execute(f"PRAGMA wal_autocheckpoint={_AUTOCHECKPOINT_PAGES}")
            database.execute("PRAGMA foreign_keys=ON")
            if migrations.pending(database):
                migrations.apply(database)
        except BaseException:
            database.close()
            raise
        return database


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into `StoreError`s that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explain(path, error) from error
    except PermissionError as error:
        raise StoreError(f"{path} cannot be used: permission denied; give it to the agent's user") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be used: {error.strerror or error}") from error


def _connect(path: Path, *, read_only: bool) -> Database:
    if read_only:
        if not path.exists():
            raise StoreError(f"there is no store at {path}; is the agent set up, and is this its settings file?")
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    else:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        return Database(connection, recursive_triggers=False, execute_plugins=False)
    except BaseException:
        connection.close()
        raise


def _refuse_newer(path: Path, database: Database, migrations: Migrations) -> None:
    known = {migration.name for migration in migrations.pending(database)}
    known |= _all_names(migrations)
    newer = [applied.name for applied in migrations.applied(database) if applied.name not in known]
    if newer:
        raise StoreNewerError(
            f"{path} was written by a newer version of the agent (step {newer[-1]!r} is not known here); "
            "install that version again, or point store.path to another folder"
        )


def _all_names(migrations: Migrations) -> set[str]:
    with Database(memory=True, execute_plugins=False) as empty:
        return {migration.name for migration in migrations.pending(empty)}


def _explain(path: Path, error: sqlite3.Error) -> StoreError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return StoreFullError(f"{path}: the disk is full; free some space or lower store.max_bytes")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreError(
            f"{path} cannot be written ({name}): the disk is read-only or belongs to another user; "
            "remount it writable or correct store.path"
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreCorruptError(f"{path} is damaged ({error})")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(f"{path} is held by another process; is a second agent running?")
    if name.startswith("SQLITE_IOERR"):
        return StoreError(f"{path}: the disk failed ({name}); check it, and the system log")
    return StoreError(f"{path}: {error}")
