"""Cursors: where a page ended, as opaque text that only this service reads."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hashyard_cloud.errors import MalformedError
from hashyard_cloud.web.api.v1.types import PageQuery

_Row = TypeVar("_Row")
Key = tuple[str | int, ...]


def encode(key: Key) -> str:
    """A cursor for the row with this key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def decode(cursor: str, like: Sequence[type]) -> Key:
    """The key of a cursor; raises `MalformedError` unless it has values of these types."""
    try:
        found: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _wrong() from error
    if not isinstance(found, list) or [type(part) for part in found] != list(like):
        raise _wrong()
    if any(isinstance(part, int) and abs(part) >= 2**63 for part in found):
        raise _wrong()
    return tuple(found)


def _wrong() -> MalformedError:
    return MalformedError("This cursor is not one of ours; start again without it.", field="cursor")


def page(
    rows: Sequence[_Row], key: Callable[[_Row], Key], query: PageQuery, *, newest_first: bool = False
) -> tuple[list[_Row], str | None]:
    """One page of rows that are all at hand, and the next cursor. Keys are unique and of the same types."""
    ordered = sorted(rows, key=key, reverse=newest_first)
    if query.cursor is not None:
        types = [type(part) for part in key(ordered[0])] if ordered else None
        after = decode(query.cursor, types) if types else None
        ordered = [row for row in ordered if after is None or _later(key(row), after, newest_first)]
    shown = ordered[: query.limit]
    return shown, encode(key(shown[-1])) if len(ordered) > len(shown) else None


def _later(key: Key, after: Key, newest_first: bool) -> bool:
    return key < after if newest_first else key > after


def after(query: PageQuery) -> tuple[int, str] | None:
    """Time and id after which the page begins, for lists that the store pages; None for the first page."""
    if query.cursor is None:
        return None
    at_us, key = decode(query.cursor, [int, str])
    if not isinstance(at_us, int) or not isinstance(key, str):
        raise _wrong()
    return at_us, key


def cut(
    rows: Sequence[_Row], key: Callable[[_Row], tuple[int, str]], query: PageQuery
) -> tuple[list[_Row], str | None]:
    """The page and the next cursor, of one row more than was asked for."""
    shown = list(rows[: query.limit])
    return shown, encode(key(shown[-1])) if len(rows) > len(shown) else None


def offset(cursor: str, most: int) -> int:
    """The place in a list whose order has no single key."""
    place = decode(cursor, [int])[0]
    if not isinstance(place, int) or not 0 <= place <= most:
        raise _wrong()
    return place
