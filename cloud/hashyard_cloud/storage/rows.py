"""Between frozen row dataclasses and what SQLAlchemy binds and answers."""

from dataclasses import fields
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def values(row: "DataclassInstance") -> dict[str, Any]:
    """The columns of a row; enumerations as their text."""
    found: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        found[field.name] = value.value if isinstance(value, Enum) else value
    return found
