"""An operation of the API as a row of a table: address, handler, and what a caller needs for it.

Path, query, body and answer are read off the handler's annotations, here and for the OpenAPI document alike:
`async def handler(call: Call, query: SomeQuery, body: SomeBody) -> SomeAnswer`, either of the two or none.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, get_type_hints

from aiohttp import web
from pydantic import BaseModel

from hashyard_cloud.services.api_tokens import Access, Area, Caller
from hashyard_cloud.services.enforcement import Enforcement
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.telemetry import TelemetryStore
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.web import keys
from hashyard_cloud.web.api.v1.types import Answer, Body, Query
from hashyard_shared.clock import Clock

PREFIX: Final = "/api/v1"
_PARAMETER: Final = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Call:
    """One call as a handler sees it. `key` is the idempotency key, empty where none was sent."""

    app: web.Application
    caller: Caller
    ids: Mapping[str, str]
    remote: str
    key: str = ""

    @property
    def org(self) -> str:
        """The caller's organisation."""
        return self.caller.organisation_id

    @property
    def database(self) -> Database:
        """The relational store."""
        return self.app[keys.DATABASE]

    @property
    def telemetry(self) -> TelemetryStore:
        """The telemetry store."""
        return self.app[keys.TELEMETRY]

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self.app[keys.CLOCK]

    @property
    def built(self) -> Enforcement:
        """Money and enforcement."""
        return self.app[keys.ENFORCEMENT]

    @cached_property
    def now_us(self) -> int:
        """One time for the whole call."""
        return self.clock.now_us()

    @property
    def actor(self) -> Actor:
        """As the activity log names the caller: the member, and by which token."""
        user = self.caller.user
        return Actor(user.user_id, f"{user.name or user.email} (API, {self.caller.token.name})", self.remote)


Handler = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True)
class Operation:
    """`secret` marks an answer that is told once and never kept."""

    method: str
    path: str
    handler: Handler
    area: Area
    access: Access
    allowed: frozenset[Role]
    status: int = 200
    secret: bool = False

    @property
    def name(self) -> str:
        """Its `operationId`."""
        return str(getattr(self.handler, "__name__", ""))

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]

    @property
    def description(self) -> str:
        """What else there is to say."""
        rest = (self.handler.__doc__ or "").strip().partition("\n")[2]
        return "\n".join(line.strip() for line in rest.strip().splitlines())

    @property
    def parameters(self) -> list[str]:
        """The names in its path."""
        return _PARAMETER.findall(self.path)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.handler)

    @property
    def query(self) -> type[Query] | None:
        """What may be in its query."""
        return self._hints.get("query")

    @property
    def body(self) -> type[Body] | None:
        """What must be in its body."""
        return self._hints.get("body")

    @property
    def answer(self) -> type[BaseModel]:
        """What it answers."""
        answer: type[BaseModel] = self._hints["return"]
        return answer


@dataclass(frozen=True)
class Feature:
    """Operations about one area, as its module lists them."""

    area: Area

    def read(self, path: str, handler: Handler, allowed: frozenset[Role]) -> Operation:
        """A GET."""
        return Operation("GET", path, handler, self.area, Access.READ, allowed)

    def add(self, path: str, handler: Handler, allowed: frozenset[Role], *, secret: bool = False) -> Operation:
        """A POST that makes something: 201."""
        return Operation("POST", path, handler, self.area, Access.WRITE, allowed, 201, secret)

    def act(self, path: str, handler: Handler, allowed: frozenset[Role]) -> Operation:
        """A POST that does something to what is there."""
        return Operation("POST", path, handler, self.area, Access.WRITE, allowed)

    def put(self, path: str, handler: Handler, allowed: frozenset[Role]) -> Operation:
        """A PUT."""
        return Operation("PUT", path, handler, self.area, Access.WRITE, allowed)

    def delete(self, path: str, handler: Handler, allowed: frozenset[Role]) -> Operation:
        """A DELETE."""
        return Operation("DELETE", path, handler, self.area, Access.WRITE, allowed)
