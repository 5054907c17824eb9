"""A small HTTP/1.1 server for devices: keep-alive, bounded, and able to break off in mid-answer.

Devices of a site speak old and odd HTTP; an own server answers byte by byte as they do and lets faults cut in.
"""

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from hashyard_simulator.device import Device
from hashyard_simulator.faults import FaultKind, halve, pass_gate

MAX_HEAD_BYTES = 16_384
MAX_BODY_BYTES = 1_000_000
IDLE_TIMEOUT_S = 30.0


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; raises `ValueError`."""
        return json.loads(self.body or b"null")


@dataclass(slots=True)
class Response:
    status: int = 200
    body: bytes = b""
    content_type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines.append(f"Content-Type: {self.content_type}")
        lines.append(f"Content-Length: {len(self.body)}")
        lines.extend(f"{name}: {value}" for name, value in self.headers.items())
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def json_response(document: Any, status: int = 200) -> Response:
    return Response(status, json.dumps(document).encode(), "application/json")


def text_response(text: str, status: int = 200) -> Response:
    return Response(status, text.encode(), "text/html; charset=utf-8")


class HttpHandler(Protocol):
    """What a family's web interface gives the server."""

    device: Device

    def is_write(self, request: Request) -> bool: ...
    def refusal(self, request: Request) -> Response: ...
    def respond(self, request: Request) -> Response: ...


async def serve_http(handler: HttpHandler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves one connection until the peer leaves, is idle, or a fault ends it."""
    device = handler.device
    while True:
        request = await _read_request(reader)
        if request is None:
            return
        device.counters.requests += 1
        write = handler.is_write(request)
        await pass_gate(device.faults, device.clock.monotonic_s(), write=write)
        refused = device.refuses(write=write)
        if refused and write:
            device.log_write(request.path, request.body.decode(errors="replace"), "refused")
        response = handler.refusal(request) if refused else handler.respond(request)
        payload = response.encode()
        half = device.faults.take(FaultKind.HALF_JSON, device.clock.monotonic_s(), write=write)
        if half is not None:
            head = len(payload) - len(response.body)
            payload = payload[:head] + halve(response.body)
        writer.write(payload)
        await writer.drain()
        if half is not None or request.headers.get("connection", "").lower() == "close":
            return


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the peer closed, was idle, or sent no HTTP."""
    try:
        async with asyncio.timeout(IDLE_TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
            first, _, rest = head.decode("latin-1").partition("\r\n")
            method, _, target = first.partition(" ")
            target = target.partition(" ")[0]
            headers = {}
            for line in rest.splitlines():
                name, colon, value = line.partition(":")
                if colon:
                    headers[name.strip().lower()] = value.strip()
            length = int(headers.get("content-length", "0"))
            if not target or length > MAX_BODY_BYTES:
                return None
            body = await reader.readexactly(length)
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return None
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body)


_DIGEST_PART = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\s]+))')


class DigestAuth:
    """RFC 7616 digest with MD5 and qop=auth, as the stock firmwares ask for it."""

    def __init__(self, realm: str, account: str, password: Callable[[], str]) -> None:
        self._realm = realm
        self._account = account
        self._password = password
        self._nonce = secrets.token_hex(16)

    def challenge(self) -> Response:
        response = text_response("<html><body><h1>401 - Unauthorized</h1></body></html>", 401)
        response.headers["WWW-Authenticate"] = f'Digest realm="{self._realm}", nonce="{self._nonce}", qop="auth"'
        return response

    def allows(self, request: Request) -> bool:
        header = request.headers.get("authorization", "")
        if not header.startswith("Digest "):
            return False
        parts = {m[1]: m[2] if m[2] is not None else m[3] for m in _DIGEST_PART.finditer(header)}
        if parts.get("nonce") != self._nonce or parts.get("username") != self._account:
            return False
        target = request.path + (f"?{request.query}" if request.query else "")
        if parts.get("uri") != target:
            return False
        ha1 = _md5(f"{self._account}:{self._realm}:{self._password()}")
        ha2 = _md5(f"{request.method}:{target}")
        if "qop" in parts:
            middle = f"{self._nonce}:{parts.get('nc', '')}:{parts.get('cnonce', '')}:{parts['qop']}"
        else:
            middle = self._nonce
        return secrets.compare_digest(_md5(f"{ha1}:{middle}:{ha2}"), parts.get("response", ""))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
