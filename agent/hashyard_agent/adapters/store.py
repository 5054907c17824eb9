"""SQLite databases as the agent uses them: WAL, `synchronous=FULL`, migrated, with errors that say what to do.

Each database has one owner and one thread. A second process may read it while the owner runs.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from hashyard_agent.errors import StoreError

if TYPE_CHECKING:
    # Loading it takes longer than all that a look at the store needs; see `open_database`.
    from sqlite_utils import Database, Migrations

BUSY_TIMEOUT_MS: Final = 10_000
_WAL_KEPT_BYTES: Final = 1024 * 1024
_AUTOCHECKPOINT_PAGES: Final = 256


class StoreFullError(StoreError):
    """The disk or the store is full."""


class StoreCorruptError(StoreError):
    """The store's file is damaged."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path} is damaged ({detail})")
        self.path = path


class StoreNewerError(StoreError):
    """The store was written by a newer version of the agent."""


class Store(Protocol):
    """What the stores use of a database."""

    def execute(self, sql: str, parameters: Sequence[Any] = ...) -> sqlite3.Cursor:
        """Run one statement."""
        ...

    def atomic(self) -> AbstractContextManager[Any]:
        """A transaction, or a part of the one that is open."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class _Reader:
    """A read-only connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, parameters)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        # Nothing is written here, so there is nothing to bind together.
        yield

    def close(self) -> None:
        self._connection.close()


def open_database(path: Path, migrations: "Migrations", *, read_only: bool = False) -> Store:
    """Open and migrate; read-only as `open_read_only`. Errors: `StoreError` and its kinds, naming the file."""
    if read_only:
        return open_read_only(path)
    from sqlite_utils import Database  # noqa: PLC0415 - only a writing process needs it, and it loads slowly

    with explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            database = Database(connection, recursive_triggers=False, execute_plugins=False)
            _refuse_newer(path, database, migrations)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}")
            database.execute(f"PRAGMA wal_autocheckpoint={_AUTOCHECKPOINT_PAGES}")
            database.execute("PRAGMA foreign_keys=ON")
            if migrations.pending(database):
                migrations.apply(database)
        except BaseException:
            connection.close()
            raise
        return database


def open_read_only(path: Path) -> Store:
    """Look at the store of an agent that may be running. Errors: `StoreError`."""
    with explained(path):
        if not path.exists():
            raise StoreError(f"there is no store at {path}; is the agent set up, and is this its settings file?")
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        except BaseException:
            connection.close()
            raise
        return _Reader(connection)


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


def _refuse_newer(path: Path, database: "Database", migrations: "Migrations") -> None:
    known = {migration.name for migration in migrations.pending(database)}
    known |= _all_names(migrations)
    newer = [applied.name for applied in migrations.applied(database) if applied.name not in known]
    if newer:
        raise StoreNewerError(
            f"{path} was written by a newer version of the agent (step {newer[-1]!r} is not known here); "
            "install that version again, or point store.path to another folder"
        )


def _all_names(migrations: "Migrations") -> set[str]:
    from sqlite_utils import Database  # noqa: PLC0415 - as in `open_database`

    with Database(memory=True, execute_plugins=False) as empty:
        return {migration.name for migration in migrations.pending(empty)}


def _explain(path: Path, error: sqlite3.Error) -> StoreError:
    name = getattr(error, "sqlite_errorname", "") or ""
    # The second is how SQLite says that the index of its log found no room.
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")):
        return StoreFullError(f"{path}: the disk is full; free some space or lower store.max_bytes")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreError(
            f"{path} cannot be written ({name}): the disk is read-only or belongs to another user; "
            "remount it writable or correct store.path"
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreCorruptError(path, str(error))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(f"{path} is held by another process; is a second agent running?")
    if name.startswith("SQLITE_IOERR"):
        return StoreError(f"{path}: the disk failed ({name}); check it, and the system log")
    return StoreError(f"{path}: {error}")
