"""One HTTP request to a miner, with its own deadline and connection, and the miner's errors told apart."""

import json
from typing import Any, Final

import aiohttp

from hashyard_agent.errors import (
    MinerAuthError,
    MinerConnectionError,
    MinerMalformedError,
    MinerRefusedError,
    MinerTimeoutError,
)
from hashyard_agent.ports import Credential

MAX_BODY_BYTES: Final = 1024 * 1024
_AUTH_REFUSED: Final = frozenset({401, 403})


async def request(
    ip: str,
    method: str,
    path: str,
    *,
    timeout_s: float,
    digest: Credential | None = None,
    headers: dict[str, str] | None = None,
    body: Any = None,
    form: dict[str, str] | None = None,
) -> bytes:
    """The body of a good answer. Redirects are not followed: a write must not wander to another device.

    Errors: `MinerError` and its kinds; a status of 400 and above is `MinerRefusedError` or `MinerAuthError`.
    """
    middlewares = (aiohttp.DigestAuthMiddleware(digest.username, digest.password),) if digest is not None else ()
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                # Two: the digest middleware asks again while it still holds the connection of the 401.
                connector=aiohttp.TCPConnector(force_close=True, limit=2),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=middlewares,
            ) as session,
            session.request(
                method, f"http://{ip}{path}", json=body, data=form, headers=headers, allow_redirects=False
            ) as response,
        ):
            content = await response.content.read(MAX_BODY_BYTES + 1)
            if not response.content.at_eof() or len(content) > MAX_BODY_BYTES:
                raise MinerMalformedError(ip, f"{path}: the answer is over {MAX_BODY_BYTES} bytes")
            status = response.status
    except TimeoutError as error:
        raise MinerTimeoutError(ip, f"{path}: no answer within {timeout_s:g} s") from error
    except aiohttp.ClientPayloadError as error:
        raise MinerMalformedError(ip, f"{path}: the answer is cut off") from error
    except (aiohttp.ClientError, OSError) as error:
        raise MinerConnectionError(ip, f"{path}: {error}") from error
    if status in _AUTH_REFUSED:
        raise MinerAuthError(ip, f"{path}: credentials refused (HTTP {status})")
    if status >= 300:
        raise MinerRefusedError(ip, f"{path}: HTTP {status}")
    return content


def parsed(ip: str, path: str, content: bytes) -> dict[str, Any]:
    """The answer as a JSON object. Errors: `MinerMalformedError`."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise MinerMalformedError(ip, f"{path}: the answer is not JSON, or cut off") from error
    if not isinstance(document, dict):
        raise MinerMalformedError(ip, f"{path}: the answer is not a JSON object")
    return document
