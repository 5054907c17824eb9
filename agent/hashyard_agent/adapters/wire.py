"""The miners' protocols in their raw form: the cgminer API, small HTTP answers, the Whatsminer version 3 API.

No call here has a deadline of its own except through `deadline()`, which every caller uses. Errors are
`MinerError`s that carry the address.
"""

import asyncio
import json
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from hashyard_agent.adapters.credentials import Credential
from hashyard_agent.errors import (
    MinerAuthError,
    MinerConnectionError,
    MinerMalformedError,
    MinerRefusedError,
    MinerTimeoutError,
)

if TYPE_CHECKING:  # aiohttp is imported when the first HTTP request is made: it costs 0.2 s
    import aiohttp

MAX_ANSWER_BYTES: Final = 1024 * 1024
MAX_TOKENS: Final = 20_000
CGMINER_PORT: Final = 4028
HTTP_PORT: Final = 80
WHATSMINER_V3_PORT: Final = 4433
_LENGTH: Final = struct.Struct("<I")
_AUTH_REFUSED: Final = frozenset({401, 403})


@asynccontextmanager
async def deadline(ip: str, timeout_s: float) -> AsyncIterator[None]:
    """Everything inside takes at most `timeout_s`, or ends in `MinerTimeoutError`."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        raise MinerTimeoutError(ip, f"no answer within {timeout_s:g} s") from error


class _Exchange(asyncio.Protocol):
    """Sends one request and collects the answer until the device closes or a NUL ends it.

    A protocol rather than streams: at thousands of miners a minute the streams are half of the cost.
    """

    def __init__(self, request: bytes, done: asyncio.Future[bytes]) -> None:
        self._request = request
        self._done = done
        self._answer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP transports are both readable and writable
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if data.endswith(b"\x00") or len(self._answer) > MAX_ANSWER_BYTES:
            self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc)

    def _finish(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._transport.abort()
        if self._done.done():
            return
        if error is not None and not self._answer:
            self._done.set_exception(error)
        else:
            self._done.set_result(bytes(self._answer))


async def exchange(ip: str, port: int, request: bytes) -> bytes:
    """One request, one answer, one connection. Errors: `MinerConnectionError`, `MinerMalformedError`."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    try:
        transport, _ = await loop.create_connection(lambda: _Exchange(request, done), ip, port)
    except OSError as error:
        raise MinerConnectionError(ip, f"port {port}: {error.strerror or error}") from error
    try:
        answer = await done
    except OSError as error:
        raise MinerConnectionError(ip, f"port {port}: {error.strerror or error}") from error
    finally:
        transport.abort()
    if not answer:
        raise MinerConnectionError(ip, f"port {port}: closed without an answer")
    if len(answer) > MAX_ANSWER_BYTES:
        raise MinerMalformedError(ip, f"answer is over {MAX_ANSWER_BYTES} bytes")
    return answer


async def cgminer(ip: str, command: str, parameter: str | None = None, port: int = CGMINER_PORT) -> dict[str, Any]:
    """One command of the cgminer API; an answer of error status is `MinerRefusedError`."""
    message = {"command": command} if parameter is None else {"command": command, "parameter": parameter}
    answer = parse_cgminer(ip, await exchange(ip, port, json.dumps(message).encode()))
    refusal = _refusal(answer)
    if refusal is not None:
        raise MinerRefusedError(ip, f"{command}: {refusal}")
    return answer


async def cgminer_text(ip: str, command: str, port: int = CGMINER_PORT) -> str:
    """The answer as text, whatever it says: evidence for recognition."""
    return (await exchange(ip, port, json.dumps({"command": command}).encode())).decode("utf-8", "replace")


def parse_cgminer(ip: str, data: bytes) -> dict[str, Any]:
    """An answer of the cgminer API; repairs the malformations that known firmwares produce."""
    text = data.rstrip(b"\x00\r\n ").decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except ValueError:
        answer = _repaired(ip, text)
    if not isinstance(answer, dict):
        raise MinerMalformedError(ip, "answer is not a JSON object")
    return answer


def _repaired(ip: str, text: str) -> Any:
    """Missing commas between objects, commas too many, raw line ends, bare inf and nan: seen on S9 and Avalon."""
    fixed = text.replace("}{", "},{").replace("\n", "").replace("\r", "").replace("\t", " ")
    fixed = re.sub(r",\s*([}\]])", r"\1", fixed)
    fixed = re.sub(r":\s*-?(?:inf|nan)\b", ":null", fixed)
    try:
        return json.loads(fixed)
    except ValueError as error:
        raise MinerMalformedError(ip, "answer is not JSON, or cut off") from error


def _refusal(answer: dict[str, Any]) -> str | None:
    status = answer.get("STATUS")
    if isinstance(status, list) and status and isinstance(status[0], dict):
        head: dict[str, Any] = status[0]
    elif isinstance(status, str):
        head = answer
    else:
        return None
    if head.get("STATUS") in {"E", "F"}:
        return f"{head.get('Msg', 'refused')} (code {head.get('Code', '?')})"
    return None


async def whatsminer_v3(ip: str, command: str, parameter: str | None = None) -> dict[str, Any]:
    """One reading command of the version 3 API: a little-endian length, then JSON, both ways."""
    message = {"cmd": command} if parameter is None else {"cmd": command, "param": parameter}
    body = json.dumps(message).encode()
    try:
        reader, writer = await asyncio.open_connection(ip, WHATSMINER_V3_PORT)
    except OSError as error:
        raise MinerConnectionError(ip, f"port {WHATSMINER_V3_PORT}: {error.strerror or error}") from error
    try:
        writer.write(_LENGTH.pack(len(body)) + body)
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > MAX_ANSWER_BYTES:
            raise MinerMalformedError(ip, f"answer is over {MAX_ANSWER_BYTES} bytes")
        answer = json.loads(await reader.readexactly(length))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise MinerMalformedError(ip, "answer is cut off") from error
        raise MinerConnectionError(ip, f"port {WHATSMINER_V3_PORT}: closed without an answer") from error
    except OSError as error:
        raise MinerConnectionError(ip, error.strerror or str(error)) from error
    except ValueError as error:
        raise MinerMalformedError(ip, "answer is not JSON") from error
    finally:
        writer.transport.abort()
    if not isinstance(answer, dict):
        raise MinerMalformedError(ip, "answer is not a JSON object")
    if answer.get("code", 0) != 0:
        raise MinerRefusedError(ip, f"{command}: {answer.get('msg', 'refused')} (code {answer.get('code')})")
    return answer


class HttpWire:
    """Small HTTP requests to miners. One connection a request; certificates of miners are not to be trusted."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._tokens: dict[str, str] = {}

    async def close(self) -> None:
        """Close what is open; the object can be used again afterwards."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def json(self, ip: str, path: str, *, auth: str = "none", credential: Credential | None = None) -> Any:
        """A JSON answer. `auth` is none, digest or vnish. Errors: `MinerError` and its kinds."""
        if auth == "vnish":
            return await self._with_token(ip, path, credential)
        status, _, body = await self._request(ip, path, credential=credential if auth == "digest" else None)
        return _json_body(ip, path, status, body)

    async def page(self, ip: str, path: str = "/") -> str:
        """Status, headers and page as text, redirects not followed: evidence for recognition."""
        status, headers, body = await self._request(ip, path)
        lines = "\n".join(f"{name}: {value}" for name, value in headers.items())
        return f"{status}\n{lines}\n\n{body.decode('utf-8', 'replace')}"

    async def _with_token(self, ip: str, path: str, credential: Credential | None) -> Any:
        """Some reads need no token; a token is fetched when the device asks for one, and anew when it is stale."""
        token = self._tokens.get(ip)
        headers = {"Authorization": token} if token is not None else None
        status, _, body = await self._request(ip, path, headers=headers)
        if status in _AUTH_REFUSED:
            self._tokens.pop(ip, None)
            token = await self._unlock(ip, credential)
            status, _, body = await self._request(ip, path, headers={"Authorization": token})
        return _json_body(ip, path, status, body)

    async def _unlock(self, ip: str, credential: Credential | None) -> str:
        if credential is None:
            raise MinerAuthError(ip, "no credential is known for this miner")
        status, _, body = await self._request(ip, "/api/v1/unlock", post={"pw": credential.password})
        answer = _json_body(ip, "unlock", status, body)
        token = answer.get("token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise MinerAuthError(ip, "unlock gave no token")
        if len(self._tokens) >= MAX_TOKENS:
            self._tokens.clear()
        self._tokens[ip] = token
        return token

    async def _request(
        self,
        ip: str,
        path: str,
        *,
        credential: Credential | None = None,
        headers: dict[str, str] | None = None,
        post: dict[str, Any] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        import aiohttp  # noqa: PLC0415 - see above: only where HTTP is spoken

        session = self._ensure_session()
        digest = (
            (aiohttp.DigestAuthMiddleware(login=credential.username, password=credential.password),)
            if credential is not None
            else None
        )
        method = "GET" if post is None else "POST"
        try:
            async with session.request(
                method,
                f"http://{ip}{path}",
                json=post,
                headers=headers,
                allow_redirects=False,
                middlewares=digest,
            ) as response:
                return response.status, dict(response.headers), await _bounded_body(ip, path, response)
        except aiohttp.ClientPayloadError as error:
            raise MinerMalformedError(ip, f"{path}: answer is cut off") from error
        except (aiohttp.ClientError, OSError) as error:
            raise MinerConnectionError(ip, f"{path}: {error}") from error

    def _ensure_session(self) -> "aiohttp.ClientSession":
        import aiohttp  # noqa: PLC0415 - see above: only where HTTP is spoken

        if self._session is None or self._session.closed:
            # The poller bounds how much is in flight; a second limit here would make one hung miner delay others.
            connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=False)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _bounded_body(ip: str, path: str, response: "aiohttp.ClientResponse") -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise MinerMalformedError(ip, f"{path}: answer is over {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _json_body(ip: str, path: str, status: int, body: bytes) -> Any:
    if status in _AUTH_REFUSED:
        raise MinerAuthError(ip, f"{path}: credentials refused (HTTP {status})")
    if status >= 400:
        raise MinerRefusedError(ip, f"{path}: HTTP {status}")
    try:
        return json.loads(body)
    except ValueError as error:
        raise MinerMalformedError(ip, f"{path}: answer is not JSON, or cut off") from error
