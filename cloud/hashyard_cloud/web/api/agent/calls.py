"""What all agent calls share: protocol version, token, JSON in and out, errors as problem+json."""

import functools
import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from hashyard_cloud.errors import CloudError, MalformedError, TooLargeError, UnsupportedError
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.web import keys, problems
from hashyard_shared.errors import ErrorCode, SharedError
from hashyard_shared.protocol import OLDEST_PROTOCOL, PROTOCOL_HEADER, PROTOCOL_VERSION

_SPOKEN: Final = f"this cloud {OLDEST_PROTOCOL} and {PROTOCOL_VERSION}"
MAX_JSON_BYTES: Final = 64 * 1024
_Model = TypeVar("_Model", bound=BaseModel)


def anonymous(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Handler:
    """A call that needs no token."""

    @functools.wraps(handler)
    async def call(request: web.Request) -> web.StreamResponse:
        try:
            protocol(request)
            return await handler(request)
        except web.HTTPRequestEntityTooLarge as error:
            return problems.rendered(_caused(TooLargeError(), error))
        except ConnectionResetError as error:
            # Nobody is there to read this; it keeps a broken line from looking like a fault of ours.
            return problems.rendered(_caused(MalformedError("the request was cut off"), error))
        except SharedError as error:
            return problems.rendered(_caused(MalformedError(str(error), code=error.code), error))
        except CloudError as error:
            return problems.rendered(error)

    return call


def authenticated(handler: Callable[[web.Request, AgentRow], Awaitable[web.StreamResponse]]) -> Handler:
    """A call by an agent that shows its token."""

    @functools.wraps(handler)
    async def call(request: web.Request) -> web.StreamResponse:
        agent = await request.app[keys.AGENTS].authenticate(request.headers.get("Authorization"))
        return await handler(request, agent)

    return anonymous(call)


def protocol(request: web.Request) -> int:
    """The protocol version that the agent speaks; raises for one that is not spoken here."""
    text = request.headers.get(PROTOCOL_HEADER, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise MalformedError(f"the header {PROTOCOL_HEADER} must be a whole number", field=PROTOCOL_HEADER)
    version = int(text)
    if version < OLDEST_PROTOCOL:
        message = f"The agent is too old: it speaks protocol {version}, {_SPOKEN}. Update the agent."
        raise UnsupportedError(message, code=ErrorCode.PROTOCOL_TOO_OLD)
    if version > PROTOCOL_VERSION:
        message = f"The agent is newer than the cloud: it speaks protocol {version}, {_SPOKEN}. Update the cloud."
        raise UnsupportedError(message, code=ErrorCode.PROTOCOL_TOO_NEW)
    return version


async def body_as(request: web.Request, model: type[_Model]) -> _Model:
    """The request's JSON; raises `MalformedError` that names the field."""
    data = await request.read()
    if len(data) > MAX_JSON_BYTES:
        raise TooLargeError
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise MalformedError(f"{field}: {first['msg']}", field=field or None) from error


def json_response(model: BaseModel, headers: dict[str, str] | None = None) -> web.Response:
    """A model as the answer."""
    return web.Response(text=model.model_dump_json(), content_type="application/json", headers=headers)


def seconds(text: str | None, name: str) -> float:
    """A number of seconds from a query; 0 when absent."""
    try:
        value = float(text or 0)
    except ValueError as error:
        raise MalformedError(f"{name} must be a number of seconds", field=name) from error
    if not math.isfinite(value) or value < 0:
        raise MalformedError(f"{name} must be a number of seconds", field=name)
    return value


def _caused(error: CloudError, cause: BaseException) -> CloudError:
    error.__cause__ = cause
    return error
