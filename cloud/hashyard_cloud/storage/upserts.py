"""`INSERT ... ON CONFLICT`, which both engines have and SQLAlchemy spells per engine."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert

MAX_VARIABLES: Final = 900
"""How many values one IN list carries; longer lists are asked in pieces."""


def insert_or_ignore(connection: AsyncConnection, table: Table) -> Insert:
    """An insert that leaves a row alone that is there already."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def upsert(connection: AsyncConnection, table: Table, changed: Sequence[str], newer: str | None = None) -> Insert:
    """An insert that replaces these columns where the key exists, and with `newer` only where that one grows."""
    insert = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    where: ColumnElement[bool] | None = None if newer is None else insert.excluded[newer] > table.c[newer]
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: insert.excluded[name] for name in changed},
        where=where,
    )


def adding(connection: AsyncConnection, table: Table, sums: Sequence[str]) -> Insert:
    """An insert that adds these columns to the row where the key exists."""
    insert = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: table.c[name] + insert.excluded[name] for name in sums},
    )


async def execute_tuples(
    connection: AsyncConnection, statement: Insert, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run an insert once for each tuple, its values in the order of `names`, without a dictionary for each row."""
    if not rows:
        return
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(names))
    order = compiled.positiontup or []
    if list(order) != list(names):
        places = [list(names).index(name) for name in order]
        rows = [tuple(row[place] for place in places) for row in rows]
    await connection.exec_driver_sql(str(compiled), list(rows))


def pieces(items: Sequence[Any], size: int = MAX_VARIABLES) -> list[Sequence[Any]]:
    """Cut a list so that each piece fits an IN list."""
    return [items[at : at + size] for at in range(0, len(items), size)]
