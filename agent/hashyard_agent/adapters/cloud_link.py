"""The cloud over HTTPS. Certificates are always verified; a private CA replaces the public ones."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from hashyard_agent.errors import CloudRefusedError, CloudUnreachableError, SettingsError
from hashyard_agent.identity import Credentials, Keys
from hashyard_agent.ports import StoredBatch
from hashyard_shared.agent_keys import AgentKeyAnswer, AgentKeyRequest
from hashyard_shared.clock import Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import (
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    SENT_AT_HEADER,
    SYNC_NONCE_HEADER,
    BatchesAnswer,
    ChallengeAnswer,
    ChallengeRequest,
    DesiredState,
    EnrolAnswer,
    EnrolRequest,
    Problem,
    TokenAnswer,
    TokenRequest,
    pack_frame,
)
from hashyard_shared.signing import DocumentType, Envelope, SignatureError, decode_base64, sign

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
MAX_DESIRED_BYTES: Final = 64 * 1024 * 1024
MAX_RETRY_AFTER_S: Final = 3600.0
CONNECT_TIMEOUT_S: Final = 10.0
MAX_CONNECTIONS: Final = 4
_UNAUTHENTICATED: Final = 401
_NOT_MODIFIED: Final = 304
_RATE_LIMITED: Final = 429
_FIRST_SERVER_ERROR: Final = 500

_Model = TypeVar("_Model", bound=BaseModel)


class CloudHttp:
    """One session to one cloud: requests with bounded answers, errors as `CloudError`s."""

    def __init__(self, url: str, ca_file: Path | None, timeout_s: float) -> None:
        self._url = url
        self.timeout_s = timeout_s
        self._tls = _tls(ca_file)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=MAX_CONNECTIONS),
            # The body of an answer is bounded before it is unpacked, so nothing may unpack it on the way.
            auto_decompress=False,
            headers={PROTOCOL_HEADER: str(PROTOCOL_VERSION), "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        """Spend a one-time code."""
        return await self.post("/agent/v1/enrol", request, EnrolAnswer)

    async def challenge(self, agent_id: str) -> str:
        """A nonce to sign, in base64."""
        answer = await self.post("/agent/v1/challenge", ChallengeRequest(agent_id=agent_id), ChallengeAnswer)
        try:
            decode_base64(answer.nonce)
        except SignatureError as error:
            raise CloudUnreachableError("the cloud's challenge cannot be read") from error
        return answer.nonce

    async def change_key(self, request: AgentKeyRequest) -> AgentKeyAnswer:
        """Ask for a new key to count."""
        return await self.post("/agent/v1/key", request, AgentKeyAnswer)

    async def post(self, path: str, request: BaseModel, answer: type[_Model]) -> _Model:
        """Send JSON, read JSON. Errors: `CloudUnreachableError`, `CloudRefusedError`."""
        headers = {"Content-Type": "application/json"}
        async with self.request("POST", path, headers, request.model_dump_json().encode()) as response:
            return _parsed(answer, await _body(response, MAX_ANSWER_BYTES))

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A checked response: 2xx or 304, everything else is raised."""
        if self._session is None:
            raise CloudUnreachableError("the link is closed")
        total_s = self.timeout_s if timeout_s is None else timeout_s
        timeout = aiohttp.ClientTimeout(total=total_s, connect=min(CONNECT_TIMEOUT_S, total_s))
        try:
            async with self._session.request(
                method,
                self._url + path,
                headers=headers,
                data=data,
                timeout=timeout,
                # A redirect could lead the token elsewhere.
                allow_redirects=False,
            ) as response:
                await _raise_for_status(response)
                yield response
        except TimeoutError as error:
            raise CloudUnreachableError(f"no answer from {self._url} within {total_s:.0f} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise CloudUnreachableError(
                f"{self._url}: its certificate is not trusted ({error.certificate_error}); "
                "check the machine's date, and cloud.ca_file if the cloud has a private CA"
            ) from error
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno
            reason = os.strerror(number) if number and number > 0 else str(error.os_error)
            raise CloudUnreachableError(
                f"{self._url} cannot be reached ({reason}); check the network, DNS and cloud.url"
            ) from error
        except aiohttp.ClientError as error:
            raise CloudUnreachableError(f"{self._url}: {error or type(error).__name__}") from error


class HttpCloudLink:
    """`CloudLink`: authenticated by a token that is got by signing a nonce and renewed when it is refused."""

    def __init__(
        self,
        http: CloudHttp,
        keys: Keys,
        clock: Clock,
        *,
        nonce: Callable[[], str | None],
        on_token: Callable[[int, Envelope], None],
    ) -> None:
        self._http = http
        self._keys = keys
        self._clock = clock
        self._nonce = nonce
        self._on_token = on_token
        self._token: str | None = None
        self._renewing = asyncio.Lock()

    async def send(self, batches: Sequence[StoredBatch]) -> BatchesAnswer:
        """Deliver rows as stored."""
        data = b"".join(pack_frame(batch.header, batch.body) for batch in batches)
        headers = {
            "Content-Type": "application/octet-stream",
            # Lets the cloud record how far this machine's clock is off; it never corrects by it.
            SENT_AT_HEADER: str(self._clock.now_us()),
        }
        nonce = self._nonce()
        if nonce is not None:
            headers[SYNC_NONCE_HEADER] = nonce
        async with self._authorised("POST", "/agent/v1/batches", headers, data) as response:
            return _parsed(BatchesAnswer, await _body(response, MAX_ANSWER_BYTES))

    async def desired(self, etag: str | None, wait_s: float) -> tuple[DesiredState, str] | None:
        """Long-poll for the newest desired state."""
        headers = {"If-None-Match": etag} if etag else {}
        path = f"/agent/v1/desired?wait_s={wait_s:g}"
        async with self._authorised("GET", path, headers, extra_s=wait_s) as response:
            if response.status == _NOT_MODIFIED:
                return None
            body = await _body(response, MAX_DESIRED_BYTES)
            return _parsed(DesiredState, body), response.headers.get("ETag", "")

    @asynccontextmanager
    async def _authorised(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None = None,
        extra_s: float = 0.0,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout_s = self._http.timeout_s + extra_s
        token = self._token or await self._renew(None)
        try:
            async with self._http.request(method, path, _bearer(headers, token), data, timeout_s) as response:
                yield response
                return
        except CloudRefusedError as error:
            if error.status != _UNAUTHENTICATED:
                raise
        token = await self._renew(token)
        async with self._http.request(method, path, _bearer(headers, token), data, timeout_s) as response:
            yield response

    async def _renew(self, refused: str | None) -> str:
        async with self._renewing:
            if self._token is not None and self._token != refused:
                return self._token
            used = self._keys.current()
            try:
                answer = await self._log_in(used)
            except CloudRefusedError as error:
                # Our key may have been changed a moment ago, here or by the technician's command.
                if error.code is not ErrorCode.KEY_MISMATCH or not await self._keys.settle(used.fingerprint):
                    raise
                answer = await self._log_in(self._keys.current())
            self._token = answer.token
            self._on_token(answer.epoch, answer.time)
            return answer.token

    async def _log_in(self, credentials: Credentials) -> TokenAnswer:
        agent_id = credentials.identity.agent_id
        nonce = await self._http.challenge(agent_id)
        signed = sign(credentials.key, DocumentType.CHALLENGE, decode_base64(nonce))
        return await self._http.post(
            "/agent/v1/token", TokenRequest(agent_id=agent_id, signed=signed), TokenAnswer
        )


def _bearer(headers: Mapping[str, str], token: str) -> dict[str, str]:
    return {**headers, "Authorization": f"Bearer {token}"}


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"cloud.ca_file: {ca_file} cannot be used as a CA certificate: {error}") from error


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status < 300 or status == _NOT_MODIFIED:
        return
    problem = _problem(await _body(response, MAX_ANSWER_BYTES), status)
    if status >= _FIRST_SERVER_ERROR or status == _RATE_LIMITED:
        detail = problem.detail or problem.title
        raise CloudUnreachableError(f"the cloud answered {status}: {detail}", _retry_after_s(response))
    code = problem.type.rpartition(":")[2].rpartition("/")[2]
    known = ErrorCode(code) if code in set(ErrorCode) else ErrorCode.INTERNAL
    raise CloudRefusedError(known, problem.detail or problem.title, status)


def _problem(body: bytes, status: int) -> Problem:
    try:
        return Problem.model_validate_json(body)
    except ValidationError:
        own = status >= _FIRST_SERVER_ERROR
        title = "no reason given" if own else "an answer that is not of this protocol; check cloud.url"
        return Problem(type="", title=title, status=status)


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    # Only seconds: a date would need a clock that is right.
    return min(float(text), MAX_RETRY_AFTER_S) if text.isdecimal() else None


async def _body(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit_bytes:
            raise CloudUnreachableError(f"the cloud's answer is over {limit_bytes} bytes")
    return bytes(body)


def _parsed(model: type[_Model], body: bytes) -> _Model:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise CloudUnreachableError(f"the cloud's answer is not a {model.__name__}") from error
