"""The Alembic chain, and bringing a store to the schema of this version."""

import hashlib
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from hashyard_cloud.errors import SchemaMismatchError, SchemaTooNewError, StoreError
from hashyard_cloud.storage.tables.schema_info import SCHEMA_INFO

HERE: Final = Path(__file__).parent
BASELINE_FILE: Final = HERE / "versions" / "0001_baseline.py"
_BASELINE_NAME: Final = "baseline_sha256"
# Any constant will do: it keeps two processes that start at once from migrating at once.
_ADVISORY_LOCK: Final = 4_872_301


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, with this connection where there is one."""
    made = Config()
    made.set_main_option("script_location", str(HERE))
    if connection is not None:
        made.attributes["connection"] = connection
    return made


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the store to this version's schema, in one transaction.

    Raises `SchemaTooNewError` when the store is ahead of the code, `SchemaMismatchError` when its baseline is
    another one, `StoreError` when it cannot be opened.
    """
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    except (OperationalError, OSError) as error:
        reason = getattr(error, "orig", None) or error
        raise StoreError(f"cannot open the database {engine.url.render_as_string()}: {reason}") from error


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if current is not None and current not in known:
        raise SchemaTooNewError
    command.upgrade(config(connection), "head")
    baseline = hashlib.sha256(BASELINE_FILE.read_bytes()).hexdigest()
    stored = connection.scalar(select(SCHEMA_INFO.c.value).where(SCHEMA_INFO.c.name == _BASELINE_NAME))
    if stored is None:
        connection.execute(insert(SCHEMA_INFO).values(name=_BASELINE_NAME, value=baseline))
    elif stored != baseline:
        raise SchemaMismatchError
