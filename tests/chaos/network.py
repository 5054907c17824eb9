"""The network between agent and cloud, as a proxy that can be told to misbehave. Runs in a thread of its own."""

import asyncio
import random
import threading
from collections import Counter, deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

MAX_REQUEST_BYTES: Final = 32 * 1024 * 1024
KEPT_REQUESTS: Final = 30
UPSTREAM_TIMEOUT_S: Final = 70
START_TIMEOUT_S: Final = 10
GHOST_EVERY_S: Final = 0.2
_HEADERS_PASSED: Final = ("Content-Type", "ETag", "Retry-After")
_HEADERS_DROPPED: Final = frozenset({"host", "content-length", "connection"})


@dataclass(frozen=True, slots=True)
class Mood:
    """Chances, per request, of what goes wrong. `dark`: no request gets through at all.

    `halves`: uploads whose line dies in the middle of the body, before the whole one goes through on another.
    `held`: a delivery that arrives only after a later one, when its sender has long given it up. `ghosts`: old
    deliveries come up again all the time, whole or in parts, whether the agent has something to send or not.
    """

    dark: bool = False
    storm: float = 0.0
    cut_upload: float = 0.0
    cut_answer: float = 0.0
    slow: float = 0.0
    slow_s: float = 1.0
    twice: float = 0.0
    late: float = 0.0
    halves: float = 0.0
    held: float = 0.0
    ghosts: bool = False


CALM: Final = Mood()
DARK: Final = Mood(dark=True)
BAD: Final = Mood(storm=0.25, cut_upload=0.2, cut_answer=0.2, slow=0.2, twice=0.3, late=0.3, halves=0.3, held=0.15)
ROUGH: Final = Mood(storm=0.15, cut_upload=0.05, cut_answer=0.15, slow=0.5, slow_s=0.4, held=0.1, ghosts=True)
"""Faults of every kind, and still deliveries get through: what fails all the time is seldom tried again."""
STORM: Final = Mood(storm=0.9)
FAULTS: Final = ("storm", "slow", "cut_body", "cut_answer", "twice", "late", "reordered")
"""What is counted of the network: 5xx, slow answers, bodies and answers cut in the middle, repeats, disorder."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A delivery as it went by, to be played again."""

    path: str
    headers: dict[str, str]
    data: bytes


class Network:
    """A reverse proxy to `http://127.0.0.1:<cloud_port>`. `mood` may be set from any thread."""

    def __init__(self, cloud_port: int, seed: int) -> None:
        self.mood = CALM
        self.did: Counter[str] = Counter()
        self.deliveries = 0
        self.port = 0
        self._cloud_port = cloud_port
        self._chance = random.Random(seed)
        self._old: deque[_Sent] = deque(maxlen=KEPT_REQUESTS)
        self._held: _Sent | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="network", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise TimeoutError("the network did not come up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._done is not None:
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(START_TIMEOUT_S)

    @property
    def url(self) -> str:
        """What the agent believes to be the cloud."""
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        timeout = aiohttp.ClientTimeout(total=UPSTREAM_TIMEOUT_S, connect=2)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as self._session:
            app = web.Application(client_max_size=MAX_REQUEST_BYTES)
            app.router.add_route("*", "/{tail:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.port = runner.addresses[0][1]
            ghosts = asyncio.create_task(self._ghosts())
            self._ready.set()
            await self._done.wait()
            ghosts.cancel()
            await asyncio.gather(ghosts, return_exceptions=True)
            await runner.cleanup()

    async def _ghosts(self) -> None:
        """What lingers in a bad network: repeats, late arrivals, bodies and answers whose line dies half way."""
        while True:
            await asyncio.sleep(GHOST_EVERY_S)
            if not self.mood.ghosts or not self._old:
                continue
            what = self._chance.choice(("twice", "late", "cut_body", "cut_answer"))
            sent = self._old[-1] if what == "twice" else self._chance.choice(list(self._old))
            self.did[what] += 1
            if what in {"twice", "late"}:
                await self._quietly(sent)
            else:
                await self._half(sent, whole=what == "cut_answer")

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        mood = self.mood
        delivery = request.path.endswith("/batches")
        self.deliveries += delivery
        if mood.dark:
            return self._cut(request, "dark")
        data = await request.read()
        if self._happens(mood.storm, "storm"):
            return web.Response(status=self._chance.choice((500, 502, 503)), headers={"Retry-After": "1"})
        if self._happens(mood.slow, "slow"):
            await asyncio.sleep(self._chance.uniform(0, mood.slow_s))
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HEADERS_DROPPED}
        sent = _Sent(request.path_qs, headers, data)
        if delivery and await self._stopped(mood, sent):
            return self._cut(request, "cut")
        try:
            answer, body = await self._pass_on(request.method, sent)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return self._cut(request, "cloud_away")
        if delivery:
            await self._again(mood, sent)
        if self._happens(mood.cut_answer, "cut_answer"):
            return await self._half_answer(request, answer.status, body)
        passed = {name: answer.headers[name] for name in _HEADERS_PASSED if name in answer.headers}
        return web.Response(status=answer.status, body=body, headers=passed)

    async def _stopped(self, mood: Mood, sent: _Sent) -> bool:
        """Whether this delivery does not get through now; parts of it may have, and all of it may later."""
        if self._happens(mood.halves, "cut_body"):
            await self._half(sent)
        if self._happens(mood.cut_upload, "cut_body"):
            await self._half(sent)
            return True
        if self._held is not None or not self._happens(mood.held, "held"):
            return False
        self._held = sent
        return True

    async def _pass_on(self, method: str, sent: _Sent) -> tuple[aiohttp.ClientResponse, bytes]:
        url = f"http://127.0.0.1:{self._cloud_port}{sent.path}"
        async with self._session.request(method, url, headers=sent.headers, data=sent.data) as answer:
            return answer, await answer.read()

    async def _again(self, mood: Mood, sent: _Sent) -> None:
        """Duplicates and late arrivals: nobody waits for their answers."""
        held, self._held = self._held, None
        if held is not None:
            self.did["reordered"] += 1
            await self._quietly(held)
        if self._happens(mood.twice, "twice"):
            await self._quietly(sent)
        if self._old and self._happens(mood.late, "late"):
            await self._quietly(self._chance.choice(list(self._old)))
        self._old.append(sent)

    async def _quietly(self, sent: _Sent) -> None:
        try:
            await self._pass_on("POST", sent)
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.did["again_failed"] += 1

    async def _half(self, sent: _Sent, *, whole: bool = False) -> None:
        """The cloud gets the head and a part of the body, then the line is dead; `whole`: before the answer."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._cloud_port)
        except OSError:
            return
        lines = [f"POST {sent.path} HTTP/1.1", "Host: cloud", f"Content-Length: {len(sent.data)}"]
        lines += [f"{name}: {value}" for name, value in sent.headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode()
        end = len(sent.data) if whole else self._chance.randrange(len(sent.data) or 1)
        writer.write(head + sent.data[:end])
        try:
            await writer.drain()
        except OSError:
            self.did["half_failed"] += 1
        writer.transport.abort()

    async def _half_answer(self, request: web.Request, status: int, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        response.content_length = len(body) + 1
        await response.prepare(request)
        await response.write(body[: self._chance.randrange(len(body) + 1)])
        _abort(request)
        return response

    def _cut(self, request: web.Request, why: str) -> web.StreamResponse:
        self.did[why] += 1
        _abort(request)
        return web.Response(status=500)

    def _happens(self, chance: float, what: str) -> bool:
        if chance <= 0 or self._chance.random() >= chance:
            return False
        self.did[what] += 1
        return True


def _abort(request: web.Request) -> None:
    transport: Any = request.transport
    if transport is not None:
        transport.abort()
