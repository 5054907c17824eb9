"""Field types and base classes of what the API takes and gives.

Bodies are read strictly: a number is not a text, an unknown field is refused. The OpenAPI document is made from
the same classes, so that what it says is what is checked. Times are RFC 3339 in UTC, amounts decimal text.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hashyard_cloud.domain.money import MICRO
from hashyard_cloud.errors import MalformedError
from hashyard_cloud.services.inputs import MAX_CLAUSE_CHARS, MAX_NOTES_CHARS
from hashyard_shared.clock import US_PER_S, utc

MAX_ID_CHARS: Final = 64
MAX_PAGE_ROWS: Final = 200
DEFAULT_PAGE_ROWS: Final = 50
MAX_CURSOR_CHARS: Final = 512
MAX_SEARCH_CHARS: Final = 100
_CONTROL: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f"
_LINE: Final = r"^[^\x00-\x1f]*$"
_TEXT: Final = rf"^[^{_CONTROL}]*$"
_FILLED: Final = rf"^[^{_CONTROL}]*[^{_CONTROL}\s][^{_CONTROL}]*$"
_EMAIL: Final = r'^[^\s@<>",;\x00-\x1f]+@[^\s@<>",;\x00-\x1f]+\.[^\s@<>",;.\x00-\x1f]+$'
ID_PATTERN: Final = r"^[!-~]+$"
_ID: Final = re.compile(ID_PATTERN)
_INSTANT: Final = r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$"

Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_CHARS, pattern=ID_PATTERN)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=_FILLED)]
Line = Annotated[str, StringConstraints(max_length=120, pattern=_LINE)]
Search = Annotated[str, StringConstraints(max_length=MAX_SEARCH_CHARS, pattern=_LINE)]
Notes = Annotated[str, StringConstraints(max_length=MAX_NOTES_CHARS, pattern=_TEXT)]
Clause = Annotated[str, StringConstraints(max_length=MAX_CLAUSE_CHARS, pattern=_TEXT)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=_FILLED)]
"""Why something is done; it is part of the record."""
Email = Annotated[str, StringConstraints(max_length=254, pattern=_EMAIL)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$"), Field(examples=["1250.00"])]
"""An amount, zero or more, as decimal text with a full stop."""
SignedAmount = Annotated[
    str, StringConstraints(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$"), Field(examples=["-12.50"])
]
Instant = Annotated[str, StringConstraints(pattern=_INSTANT), Field(examples=["2026-03-18T10:30:00Z"])]
"""A time in UTC."""
Day = Annotated[
    str, StringConstraints(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$"), Field(examples=["2026-03-18"])
]
Seconds = Annotated[int, Field(ge=0, le=366 * 86_400)]


class Body(BaseModel):
    """What is sent in a request's body."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Query(BaseModel):
    """What may be asked for in a request's query."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PageQuery(Query):
    """Which page of a list: `cursor` is the `next_cursor` of the page before."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ROWS)] = DEFAULT_PAGE_ROWS
    cursor: (
        Annotated[str, StringConstraints(min_length=1, max_length=MAX_CURSOR_CHARS, pattern=ID_PATTERN)] | None
    ) = None


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def of(cls, row: Any, **more: Any) -> Self:
        """From a stored row: `x_at` from its `x_us`, an amount `x` from its `x_micro`, the rest by name."""
        return cls(**{name: more[name] if name in more else _value(row, name) for name in cls.model_fields})


def _value(row: Any, name: str) -> Any:
    for stored in (f"{name.removesuffix('_at')}_us", f"{name}_us"):
        if name.endswith("_at") and hasattr(row, stored):
            return instant(getattr(row, stored))
    if hasattr(row, f"{name}_micro"):
        return decimal(getattr(row, f"{name}_micro"))
    return getattr(row, name)


_Item = TypeVar("_Item", bound=Answer)


class Page(Answer, Generic[_Item]):
    """A page of a list; `next_cursor` is null on the last one."""

    items: list[_Item]
    next_cursor: str | None


class Done(Answer):
    """How many rows an action was about."""

    count: int


def instant(at_us: int | None) -> str | None:
    """A stored time as it is told."""
    if at_us is None:
        return None
    text = utc(at_us - at_us % US_PER_S).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = at_us % US_PER_S
    return f"{text}.{fraction:06d}Z" if fraction else f"{text}Z"


def at_us(text: str, field: str) -> int:
    """A time that was sent, in UTC microseconds; raises `MalformedError` for a day that does not exist."""
    try:
        value = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedError("There is no such time; write it as 2026-03-18T10:30:00Z.", field=field) from error
    # Whole seconds apart from the fraction: a float of both would lose microseconds.
    return round(value.replace(microsecond=0).timestamp()) * US_PER_S + value.microsecond


def decimal(micro: int | None) -> str | None:
    """Micro-units as decimal text with at least two decimals."""
    if micro is None:
        return None
    whole, part = divmod(abs(micro), MICRO)
    text = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micro < 0 else ''}{whole}.{text}"


def usable_id(text: str) -> bool:
    """Whether a part of a path can be an id at all."""
    return len(text) <= MAX_ID_CHARS and _ID.fullmatch(text) is not None
