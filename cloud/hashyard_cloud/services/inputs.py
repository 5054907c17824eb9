"""What people and programs may send, with bounds: shared by forms, the API and imports."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from hashyard_cloud.domain.dunning import duration_s
from hashyard_cloud.domain.errors import DomainError
from hashyard_cloud.domain.money import Money
from hashyard_cloud.errors import MalformedError
from hashyard_cloud.services.users import normal_email
from hashyard_shared.ids import MalformedIdError, normalise_mac

CURRENCIES: Final = ("USD", "EUR", "GBP", "CAD", "AUD", "CHF", "SEK", "NOK", "BRL", "AED")
MAX_SLOGAN_CHARS: Final = 150
MAX_NOTES_CHARS: Final = 4_000
MAX_CLAUSE_CHARS: Final = 20_000


class InputError(MalformedError):
    """Some fields are not right."""

    def __init__(self, errors: dict[str, str]) -> None:
        first = next(iter(errors), None)
        message = f"{first}: {errors[first]}" if first else None
        super().__init__(message, field=first)
        self.errors = errors


class Input(BaseModel):
    """Base of what is sent. Unknown fields are refused, so that a typing mistake is not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _email(text: str) -> str:
    try:
        return normal_email(text)
    except MalformedError as error:
        raise ValueError(str(error)) from error


def _optional_email(text: str) -> str:
    return _email(text) if text else ""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("Use a zone such as America/Chicago.") from error
    return name


def _mac(text: str) -> str | None:
    if not text:
        return None
    try:
        return normalise_mac(text)
    except MalformedIdError as error:
        raise ValueError("Write it as aa:bb:cc:dd:ee:ff.") from error


def _duration(value: Any) -> Any:
    if not isinstance(value, str) or value.strip().isdigit():
        return value
    try:
        return duration_s(value)
    except DomainError as error:
        raise ValueError(str(error)) from error


def _micro(value: Any) -> Any:
    if isinstance(value, Decimal | int | float):
        value = str(value)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return 0
    try:
        return Money.parse(value, "USD").micro
    except DomainError as error:
        raise ValueError(str(error)) from error


def _empty_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _no_controls(text: str) -> str:
    if any(ord(char) < 32 and char not in "\n\r\t" for char in text):
        raise ValueError("Leave control characters out.")
    return text


_CLEAN: Final = AfterValidator(_no_controls)
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120), _CLEAN]
Slogan = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_SLOGAN_CHARS), _CLEAN]
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120), _CLEAN]
Notes = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_NOTES_CHARS), _CLEAN]
Clause = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_CLAUSE_CHARS), _CLEAN]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_email)]
OptionalEmail = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_optional_email)
]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Timezone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)]
OptionalMac = Annotated[
    str | None, StringConstraints(strip_whitespace=True, max_length=32), AfterValidator(lambda x: _mac(x or ""))
]
Duration = Annotated[int, BeforeValidator(_duration), Field(ge=0, le=366 * 86_400)]
"""Seconds, or text such as `15 d`, `2 min`, `30 s`."""
MicroAmount = Annotated[int, BeforeValidator(_micro), Field(ge=0, le=10**15)]
"""An amount such as `12.50`, kept in millionths."""
BLANK_ZERO: Final = BeforeValidator(lambda value: 0 if _empty_none(value) is None else value)
"""A number left blank is nothing."""
BLANK_NONE: Final = BeforeValidator(_empty_none)
"""A field left blank is None. Bounds stand inside, `Annotated[Annotated[int, Field(ge=0)] | None, BLANK_NONE]`;
around it they would be applied to None too."""

_Model = TypeVar("_Model", bound=BaseModel)

_WORDS: Final = {
    "missing": "Fill this in.",
    "string_too_short": "Fill this in.",
    "int_parsing": "Give a whole number.",
    "int_from_float": "Give a whole number.",
    "float_parsing": "Give a number.",
    "extra_forbidden": "There is no such field.",
    "enum": "Choose one of the values offered.",
    "literal_error": "Choose one of the values offered.",
    "finite_number": "Give a number.",
}


def read(model: type[_Model], values: Mapping[str, Any]) -> _Model:
    """The model of these values; raises `InputError` with one sentence for each field that is wrong."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InputError({_field(item): _sentence(item) for item in reversed(error.errors())}) from error


def _field(item: Any) -> str:
    return str(item["loc"][0]) if item["loc"] else "form"


def _sentence(item: Any) -> str:
    kind = item["type"]
    bounds = item.get("ctx", {})
    if kind == "value_error":
        return str(bounds["error"])
    if kind == "string_too_long":
        return f"Use at most {bounds['max_length']:,} characters."
    if kind in {"greater_than_equal", "greater_than"}:
        return f"Give at least {bounds.get('ge', bounds.get('gt')):,}."
    if kind in {"less_than_equal", "less_than"}:
        return f"Give at most {bounds.get('le', bounds.get('lt')):,}."
    return _WORDS.get(kind, str(item["msg"]) + ".")
