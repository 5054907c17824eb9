"""What a firmware profile says, checked on load.

A *path* walks a JSON document: parts are divided by `/`; `*` is every element of a list or every value of an
object; `fan{1-8}` is each of `fan1` ... `fan8` that exists; `[]` takes a text of `Name[value]` pieces apart; `#4`
is the fifth word of a text; anything else is a key or a list index. The first part names the request whose answer
is meant. A field takes the first of its `paths` that yields a value.
"""

import re
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

SCHEMA_VERSION: Final = 1
MAX_EXPANSION: Final = 32
_RANGE: Final = re.compile(r"^(?P<head>[^{}]*)\{(?P<low>\d+)-(?P<high>\d+)\}(?P<tail>[^{}]*)$")

Family = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
Port = Annotated[int, Field(ge=1, le=65_535)]
PathPart = str | tuple[str, ...]


class ProfileError(Exception):
    """A firmware profile is missing or cannot be used."""

    def __init__(self, message: str | None = None, *, source: str = "") -> None:
        text = message or self.__doc__ or ""
        super().__init__(f"{source}: {text}" if source else text)
        self.source = source


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Unit(StrEnum):
    """Units as firmwares tell them. Hash rates become TH/s, everything else stays."""

    HS = "H/s"
    MHS = "MH/s"
    GHS = "GH/s"
    THS = "TH/s"
    WATT = "W"
    CELSIUS = "C"
    RPM = "rpm"
    SECOND = "s"
    COUNT = "count"
    MINUTE = "min"

    @property
    def factor(self) -> float:
        """What a value is multiplied with to be in the unit that the agent uses."""
        return _FACTORS.get(self, 1.0)


_FACTORS: Final[dict[Unit, float]] = {Unit.HS: 1e-12, Unit.MHS: 1e-6, Unit.GHS: 1e-3, Unit.MINUTE: 60.0}


class Transport(StrEnum):
    """How requests of the fast lane travel."""

    CGMINER = "cgminer"
    HTTP = "http"
    WHATSMINER_V3 = "whatsminer-v3"


class Auth(StrEnum):
    """How an HTTP request proves who asks."""

    NONE = "none"
    DIGEST = "digest"
    VNISH = "vnish"


class Request(_Strict):
    """One request. `name` is the first part of paths; `command` a cgminer command or an HTTP path.

    `transport` and `port` are those of the section unless they are given here.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    command: str
    parameter: str | None = None
    transport: Transport | None = None
    port: Port | None = None
    auth: Auth = Auth.NONE
    optional: bool = False


class FieldSpec(_Strict):
    """Where a figure is and in which unit. `source` says how this is known."""

    paths: tuple[str, ...] = Field(min_length=1)
    unit: Unit
    reduce: Literal["first", "max", "min", "sum", "mean"] = "first"
    zero_is_missing: bool = False
    source: str

    @cached_property
    def compiled(self) -> tuple[tuple[PathPart, ...], ...]:
        """The paths, ready to walk."""
        return tuple(compile_path(path) for path in self.paths)


class TextSpec(_Strict):
    """Where a text is (MAC, model, firmware)."""

    paths: tuple[str, ...] = Field(min_length=1)
    source: str

    @cached_property
    def compiled(self) -> tuple[tuple[PathPart, ...], ...]:
        """The paths, ready to walk."""
        return tuple(compile_path(path) for path in self.paths)


class Condition(_Strict):
    """True when the value at `key` is one of `equals`; `key` is a path inside the row or document."""

    key: str
    equals: tuple[str | int | bool, ...]

    @cached_property
    def compiled(self) -> tuple[PathPart, ...]:
        """The path, ready to walk."""
        return compile_path(self.key)


class PoolRows(_Strict):
    """Pools as a list of rows in an answer; names are keys inside a row."""

    rows: str
    url: str = "URL"
    worker: str = "User"
    active: Condition | None = None
    alive: Condition | None = None
    priority: str | None = "Priority"
    accepted: str | None = "Accepted"
    rejected: str | None = "Rejected"
    source: str

    @cached_property
    def compiled(self) -> tuple[PathPart, ...]:
        """The path of the rows, ready to walk."""
        return compile_path(self.rows)


class PoolSlot(_Strict):
    """A pool that the firmware keeps in fields of its own. In `url`, `{key}` is that key's value in `document`."""

    document: str
    url: str
    worker: str
    active: Condition | None = None
    accepted: str | None = None
    rejected: str | None = None


class Pools(_Strict):
    """How pools are read: as rows or as fixed slots."""

    rows: PoolRows | None = None
    slots: tuple[PoolSlot, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.rows is None) == (not self.slots):
            raise ValueError("give either rows or slots")
        return self


class Marker(_Strict):
    """Evidence on the wire for this family: the answer to a probe contains all of these texts and none of those.

    `probe` is `http:/path` (port 80), `cgminer:command` (port 4028) or `v3:command` (port 4433). Case is ignored.
    """

    probe: str = Field(pattern=r"^(http:/\S*|cgminer:\S+|v3:\S+)$")
    contains: tuple[str, ...] = Field(min_length=1)
    absent: tuple[str, ...] = ()
    source: str


class Recognise(_Strict):
    """How the family is recognised: the driver's class names, and our own second look on the wire.

    Of several families whose markers fit, the one with the highest `precedence` is meant: a descendant firmware
    often still shows its ancestor's marks.
    """

    driver_classes: tuple[str, ...] = ()
    markers: tuple[Marker, ...] = ()
    precedence: int = 0


class Section(_Strict):
    """Requests that belong together, over one transport."""

    transport: Transport
    port: Port
    joined: bool = False
    requests: tuple[Request, ...] = Field(min_length=1, max_length=8)


class IdentityFields(_Strict):
    """Where a device tells who it is. Without `mac` the driver is asked, then the link's own table."""

    mac: TextSpec | None = None
    serial: TextSpec | None = None
    model: TextSpec | None = None
    firmware: TextSpec | None = None


class IdentitySection(Section):
    """How the agent itself asks who a device is: over routed networks no ARP table tells a MAC."""

    fields: IdentityFields


class FastFields(_Strict):
    """The figures of the fast lane. A family that does not tell one leaves it out."""

    hashrate_ths: FieldSpec
    expected_hashrate_ths: FieldSpec | None = None
    power_w: FieldSpec | None = None
    temp_chip_c: FieldSpec | None = None
    temp_board_c: FieldSpec | None = None
    fan_rpm: FieldSpec | None = None
    uptime_s: FieldSpec
    shares_accepted: FieldSpec
    shares_rejected: FieldSpec


class BoardField(_Strict):
    """A figure of each hashboard, in order: each value found is one board's, or with `words` each word is."""

    paths: tuple[str, ...] = Field(min_length=1)
    unit: Unit
    words: bool = False
    source: str

    @cached_property
    def compiled(self) -> tuple[tuple[PathPart, ...], ...]:
        """The paths, ready to walk."""
        return tuple(compile_path(path) for path in self.paths)


class BoardFields(_Strict):
    """Hashboards in the fast lane's answers. They go before what the driver says of the same board."""

    hashrate_ths: BoardField | None = None
    temp_board_c: BoardField | None = None
    temp_chip_c: BoardField | None = None
    chips: BoardField | None = None


class Fast(Section):
    """The fast lane: what is asked every cycle and where each figure is."""

    fields: FastFields
    pools: Pools
    boards: BoardFields = BoardFields()


class Write(_Strict):
    """How pools are written. Only a family that somebody has proven is `proven`; all others are read-only."""

    proven: bool = False
    writer: str = ""
    slots: int = Field(default=0, ge=0, le=64)
    pads_slots: bool = False
    groups: bool = False
    restarts_mining: bool = False
    passwords_readable: bool = False
    keeps_url_scheme: bool = True
    read_back_wait_s: float = Field(default=0, ge=0, le=600)
    source: str

    @model_validator(mode="after")
    def _proven_is_complete(self) -> Self:
        if self.proven and (not self.writer or not self.slots):
            raise ValueError("a proven family names its writer and its number of slots")
        return self


class Quirk(_Strict):
    """Something one would not expect, with where it is known from."""

    text: str
    source: str


class Model(_Strict):
    """A model that comes with this firmware. `names` are what devices and people call it."""

    names: tuple[str, ...] = Field(min_length=1)
    hashrate_ths: float = Field(gt=0)
    power_w: int = Field(gt=0)


class Profile(_Strict):
    """All that is known of one firmware family."""

    schema_version: Literal[1]
    family: Family
    title: str
    make: str
    ports: tuple[Port, ...] = Field(min_length=1, max_length=8)
    credentials: tuple[str, ...] = ()
    recognise: Recognise
    identity: IdentitySection
    fast: Fast
    write: Write
    models: tuple[Model, ...] = ()
    quirks: tuple[Quirk, ...] = ()
    details_driver: Literal["pyasic", "asic-rs", "none"] = "pyasic"
    """Who reads details; `asic-rs` where that extra is installed, pyasic where not."""

    @field_validator("ports")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a port is named twice")
        return value

    @model_validator(mode="after")
    def _paths_name_requests(self) -> Self:
        fast = self.fast
        paths = [*_field_paths(fast.fields), *_pool_paths(fast.pools), *_field_paths(fast.boards)]
        _check_paths("fast", fast, paths)
        _check_paths("identity", self.identity, _field_paths(self.identity.fields))
        return self

    @property
    def writable(self) -> bool:
        """Whether pools may be written at all."""
        return self.write.proven

    def expected_hashrate_ths(self, model: str) -> float | None:
        """The nameplate hash rate of a model, or None where it is not known or not one figure."""
        wanted = _plain(model)
        rates = {each.hashrate_ths for each in self.models if wanted in {_plain(name) for name in each.names}}
        return rates.pop() if len(rates) == 1 else None


def compile_path(path: str) -> tuple[PathPart, ...]:
    """A path's parts; a range becomes a tuple of keys. Raises `ValueError` for a malformed range."""
    return tuple(_compile_part(part) for part in path.split("/"))


def _compile_part(part: str) -> PathPart:
    if "{" not in part:
        return part
    found = _RANGE.match(part)
    if found is None:
        raise ValueError(f"{part!r} is not a range like fan{{1-8}}")
    low, high = int(found["low"]), int(found["high"])
    if not low <= high < low + MAX_EXPANSION:
        raise ValueError(f"{part!r} does not name 1 to {MAX_EXPANSION} keys")
    return tuple(f"{found['head']}{number}{found['tail']}" for number in range(low, high + 1))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def _field_paths(fields: BaseModel) -> list[str]:
    specs = (getattr(fields, name) for name in type(fields).model_fields)
    return [path for spec in specs if spec is not None for path in spec.paths]


def _pool_paths(pools: Pools) -> list[str]:
    if pools.rows is not None:
        return [pools.rows.rows]
    return [slot.document for slot in pools.slots]


def _check_paths(section: str, requests: Section, paths: list[str]) -> None:
    names = {request.name for request in requests.requests}
    for path in paths:
        compile_path(path)
        if path.split("/", 1)[0] not in names:
            raise ValueError(f"{section}: path {path!r} names no request; there are {', '.join(sorted(names))}")
