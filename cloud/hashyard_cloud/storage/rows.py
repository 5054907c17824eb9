"""Between frozen row dataclasses and what SQLAlchemy binds and answers."""

from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from sqlalchemy import Row, Table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def values(row: "DataclassInstance") -> dict[str, Any]:
    """The columns of a row; enumerations as their text."""
    found: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        found[field.name] = value.value if isinstance(value, Enum) else value
    return found


@cache
def _enumerations(kind: "type[DataclassInstance]") -> dict[str, type[Enum]]:
    found: dict[str, type[Enum]] = {}
    for name, hint in get_type_hints(kind).items():
        for option in (hint, *get_args(hint)):
            if isinstance(option, type) and issubclass(option, Enum):
                found[name] = option
    return found


RowClass = TypeVar("RowClass")


def loaded(kind: type[RowClass], record: Row[Any]) -> RowClass:
    """The row dataclass of a record; text back to enumerations."""
    found = dict(record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so
    for name, enumeration in _enumerations(kind).items():  # type: ignore[arg-type] # every row class is a dataclass
        if found[name] is not None:
            found[name] = enumeration(found[name])
    return kind(**found)


def loaded_plain(kind: type[RowClass], table: Table, record: Sequence[Any]) -> RowClass:
    """The row dataclass from the first columns of a record, which are the table's in their order."""
    found = dict(zip(table.c.keys(), record, strict=False))
    for name, enumeration in _enumerations(kind).items():  # type: ignore[arg-type] # as above
        if found[name] is not None:
            found[name] = enumeration(found[name])
    return kind(**found)
