"""From request to operation and back: who calls, may they, what do they ask, and every error as problem+json."""

import json
import logging
from typing import Final, TypeVar

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler as WebHandler
from pydantic import BaseModel, ValidationError

from hashyard_cloud.errors import (
    CloudError,
    MalformedError,
    NotFoundError,
    TooLargeError,
    UnauthenticatedError,
    UnsupportedError,
)
from hashyard_cloud.services import api_tokens, idempotency
from hashyard_cloud.services.api_tokens import Access, Caller
from hashyard_cloud.services.ports.idempotency import IdempotencyKey
from hashyard_cloud.web import keys, problems
from hashyard_cloud.web.api.v1.operations import PREFIX, Call, Operation
from hashyard_cloud.web.api.v1.types import usable_id
from hashyard_shared.errors import ErrorCode, SharedError

LOG: Final = logging.getLogger(__name__)
MAX_BODY_BYTES: Final = 1024 * 1024
KEY_HEADER: Final = idempotency.FIELD
REPLAYED_HEADER: Final = "Idempotent-Replayed"
_Model = TypeVar("_Model", bound=BaseModel)


class MethodNotAllowedError(CloudError):
    """The address does not know this method."""

    code = ErrorCode.UNSUPPORTED
    status = 405


def handler_of(operation: Operation) -> WebHandler:
    """The aiohttp handler of an operation."""

    async def call(request: web.Request) -> web.StreamResponse:
        try:
            return await _answered(request, operation)
        except NotFoundError:
            # One body, whether a thing exists elsewhere or nowhere.
            return problems.rendered(NotFoundError())
        except CloudError as error:
            return problems.rendered(error)
        except SharedError as error:
            return problems.rendered(MalformedError(str(error), code=error.code))
        except web.HTTPRequestEntityTooLarge:
            return problems.rendered(TooLargeError())
        except Exception:
            # The edge: whatever an operation did not foresee is logged whole and told without detail.
            LOG.exception("%s failed", operation.name)
            return problems.rendered(CloudError())

    call.operation = operation  # type: ignore[attr-defined]  # read by the test that walks every route
    call.__name__ = operation.name
    return call


async def _answered(request: web.Request, operation: Operation) -> web.StreamResponse:
    caller = await _caller(request)
    request.app[keys.API_LIMIT].take(caller.token.token_id)
    caller.require(operation.area, operation.access, operation.allowed)
    if not all(usable_id(text) for text in request.match_info.values()):
        raise NotFoundError
    given: dict[str, BaseModel] = {}
    if operation.query is not None:
        given["query"] = _query(request, operation.query)
    elif request.query:
        raise _unknown_query(next(iter(request.query)))
    data = b""
    if operation.body is not None:
        data = await _body_bytes(request)
        given["body"] = parsed(operation.body, data)
    return await _once(request, operation, caller, given, data)


async def _caller(request: web.Request) -> Caller:
    app, header = request.app, request.headers.get(hdrs.AUTHORIZATION)
    try:
        return await api_tokens.authenticate(app[keys.DATABASE], app[keys.CLOCK], header)
    except UnauthenticatedError:
        app[keys.API_GUESS_LIMIT].take(request.remote or "")
        raise


async def _once(
    request: web.Request, operation: Operation, caller: Caller, given: dict[str, BaseModel], data: bytes
) -> web.Response:
    """Carry the operation out; with an idempotency key only if it was not carried out before."""
    text = request.headers.get(KEY_HEADER)
    key = idempotency.checked(text) if text is not None and operation.access is Access.WRITE else ""
    call = Call(request.app, caller, dict(request.match_info), request.remote or "", key)
    if not key:
        return _json(operation.status, _text(await operation.handler(call, **given)))
    route = f"{operation.method} {operation.path}"
    reserved = IdempotencyKey(call.org, caller.user.user_id, route, key)
    hashed = idempotency.body_hash(request.path.encode(), request.query_string.encode(), data)
    known = await idempotency.begin(call.database, call.clock, reserved, hashed)
    if known is not None:
        return _json(known.status or operation.status, known.answer or "", {REPLAYED_HEADER: "true"})
    try:
        answer = _text(await operation.handler(call, **given))
    except Exception:
        # A use case is one transaction: what raised changed nothing, so that the key may be used again.
        await idempotency.abandon(call.database, reserved)
        raise
    await idempotency.finish(call.database, reserved, operation.status, None if operation.secret else answer)
    return _json(operation.status, answer)


def _text(answer: BaseModel) -> str:
    return answer.model_dump_json()


def _json(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    response = web.Response(text=text, status=status, content_type="application/json", headers=headers)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.enable_compression()
    return response


async def _body_bytes(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise UnsupportedError("Send the body as application/json.")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise TooLargeError(f"A body has at most {MAX_BODY_BYTES:,} bytes.")
    data = await request.read()
    if len(data) > MAX_BODY_BYTES:
        raise TooLargeError(f"A body has at most {MAX_BODY_BYTES:,} bytes.")
    return data


def parsed(model: type[_Model], data: bytes) -> _Model:
    """The body as its model; raises `MalformedError` that names the first field that is wrong."""
    try:
        json.loads(data)
        return model.model_validate_json(data)
    except ValidationError as error:
        raise _malformed(error) from error
    except (ValueError, RecursionError) as error:
        raise MalformedError("The body is not JSON in UTF-8.", field="body") from error


def _query(request: web.Request, model: type[_Model]) -> _Model:
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise MalformedError("Give it once.", field=name)
        values[name] = value
    try:
        return model.model_validate_strings(values, strict=True)
    except ValidationError as error:
        raise _malformed(error) from error


def _malformed(error: ValidationError) -> MalformedError:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "body"
    message = "There is no such field." if first["type"] == "extra_forbidden" else f"{first['msg']}."
    return MalformedError(message, field=field)


def _unknown_query(name: str) -> MalformedError:
    return MalformedError("There is no such field.", field=name)


@web.middleware
async def middleware(request: web.Request, handler: WebHandler) -> web.StreamResponse:
    """Addresses and methods that do not exist, told as problem+json."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        if not request.path.startswith(f"{PREFIX}/"):
            raise
        return problems.rendered(NotFoundError())
    except web.HTTPMethodNotAllowed as error:
        if not request.path.startswith(f"{PREFIX}/"):
            raise
        response = problems.rendered(MethodNotAllowedError())
        response.headers[hdrs.ALLOW] = ", ".join(sorted(error.allowed_methods))
        return response


def routes_of(operations: tuple[Operation, ...]) -> list[web.RouteDef]:
    """The routes of a table of operations."""
    return [web.route(one.method, PREFIX + one.path, handler_of(one)) for one in operations]
