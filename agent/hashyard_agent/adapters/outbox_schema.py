"""The outbox's tables, step by step. A released step never changes; a new one is added behind it."""

from typing import Final

from sqlite_utils import Database, Migrations

MIGRATIONS: Final = Migrations("outbox")


@MIGRATIONS()
def m0001_outbox(database: Database) -> None:
    """Rows to send, rows set aside, the gap ledger, rosters kept for asking back, and small state."""
    # AUTOINCREMENT: a seq must never come again, not even after every row was delivered.
    database.execute(
        """
        CREATE TABLE outbox (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            epoch INTEGER NOT NULL,
            kind TEXT NOT NULL,
            lane INTEGER NOT NULL,
            cycle_at_us INTEGER NOT NULL,
            count INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            sha256 BLOB NOT NULL,
            body BLOB NOT NULL
        )
        """
    )
    # Covering: depth, age and the choice of rows must not touch the bodies' pages.
    database.execute("CREATE INDEX outbox_lane ON outbox (lane, seq, cycle_at_us, bytes, count)")
    database.execute(
        """
        CREATE TABLE set_aside (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            seq INTEGER NOT NULL,
            epoch INTEGER NOT NULL,
            kind TEXT NOT NULL,
            cycle_at_us INTEGER NOT NULL,
            count INTEGER NOT NULL,
            at_us INTEGER NOT NULL,
            reason TEXT NOT NULL,
            body BLOB NOT NULL
        )
        """
    )
    database.execute(
        """
        CREATE TABLE gaps (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            from_us INTEGER NOT NULL,
            to_us INTEGER NOT NULL,
            cycles INTEGER NOT NULL,
            samples INTEGER NOT NULL,
            reason TEXT NOT NULL,
            first_seq INTEGER,
            last_seq INTEGER,
            reported INTEGER NOT NULL DEFAULT 0
        )
        """
    )
    database.execute(
        "CREATE TABLE rosters (roster_id TEXT PRIMARY KEY, at_us INTEGER NOT NULL, body BLOB NOT NULL)"
    )
    database.execute("CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
