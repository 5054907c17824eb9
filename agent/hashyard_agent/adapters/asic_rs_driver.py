"""The second driver, asic-rs: details of families that pyasic reads poorly. Reads only, in a process of its own.

Never for a Whatsminer of version 2: any command that such a device refuses makes asic-rs unlock it, even within a
read. What a device is, is therefore told by our own evidence before asic-rs hears of its address.
"""

import asyncio
import contextlib
import itertools
import json
import sys
from collections import deque
from importlib.util import find_spec
from typing import Any, Final

from hashyard_agent import documents
from hashyard_agent.adapters.fast_reader import ProfileReader
from hashyard_agent.adapters.fingerprint import Fingerprinter
from hashyard_agent.errors import (
    MinerConnectionError,
    MinerMalformedError,
    MinerRefusedError,
    MinerTimeoutError,
)
from hashyard_agent.ports import Details, Identity
from hashyard_profiles import Profiles
from hashyard_shared.clock import Clock
from hashyard_shared.events import Board

NEVER: Final = frozenset({"whatsminer-v2"})
CALL_TIMEOUT_S: Final = 20.0
GRACE_S: Final = 5.0
MAX_WAITING: Final = 64
MAX_STARTS: Final = 5
STARTS_WINDOW_S: Final = 300.0
STOP_TIMEOUT_S: Final = 5.0
MAX_LINE_BYTES: Final = 1024 * 1024
MAX_BOARDS: Final = 64
MAX_FANS: Final = 16
MAX_ERRORS: Final = 50
MAX_TEXT_CHARS: Final = 128


def installed() -> bool:
    """Whether the extra is there; it is not imported here."""
    return find_spec("pyasic_rs") is not None


class AsicRsWorker:
    """The process that holds asic-rs; started when it is needed, and again when it died, within limits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._starts: deque[float] = deque(maxlen=MAX_STARTS)
        self._starting = asyncio.Lock()

    async def ask(self, ip: str, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """One request. Errors: `MinerTimeoutError`, `MinerConnectionError` when the process is gone."""
        if len(self._waiting) >= MAX_WAITING:
            raise MinerConnectionError(ip, "the second driver has too much to do")
        process = await self._running(ip)
        number = next(self._numbers)
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        try:
            line = json.dumps({"id": number, "ip": ip, "timeout_s": timeout_s, **request}) + "\n"
            if process.stdin is None:
                raise MinerConnectionError(ip, "the second driver takes no requests")
            process.stdin.write(line.encode())
            await process.stdin.drain()
            async with asyncio.timeout(timeout_s + GRACE_S):
                return await answered
        except TimeoutError as error:
            raise MinerTimeoutError(ip, "the second driver did not answer") from error
        except OSError as error:
            raise MinerConnectionError(ip, "the second driver is gone") from error
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()  # it holds nothing that could be lost, and asking it to end makes it abort
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
        if self._reading is not None:
            await self._reading

    async def _running(self, ip: str) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return self._process
            now_s = self._clock.monotonic_s()
            if len(self._starts) == MAX_STARTS and now_s - self._starts[0] < STARTS_WINDOW_S:
                raise MinerConnectionError(ip, "the second driver dies again and again; it rests for a while")
            self._starts.append(now_s)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "hashyard_agent.adapters.asic_rs_worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=MAX_LINE_BYTES,
            )
            self._reading = asyncio.create_task(self._read(self._process))
            return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand each answer to who waits for it; when the process dies, all of them hear of it."""
        try:
            while process.stdout is not None and (line := await process.stdout.readline()):
                answer = json.loads(line)
                waiting = self._waiting.get(answer.get("id", 0))
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except ValueError:
            process.kill()  # a line that is no JSON or has no end: nothing after it can be trusted
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(OSError("the process ended"))


class AsicRsDriver:
    """`MinerDriver` over asic-rs: identification by our own evidence, details by asic-rs, no writes."""

    def __init__(
        self,
        profiles: Profiles,
        reader: ProfileReader,
        fingerprinter: Fingerprinter,
        worker: AsicRsWorker,
        *,
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._profiles = profiles
        self._reader = reader
        self._fingerprinter = fingerprinter
        self._worker = worker
        self._call_timeout_s = call_timeout_s

    async def identify(self, ip: str) -> Identity:
        """Who answers, by evidence and by the device's own words. Errors: `MinerError` and its kinds."""
        evidence = await self._fingerprinter.collect(ip)
        shown = self._fingerprinter.families(evidence)
        if not shown:
            raise MinerConnectionError(ip, "what answers here does not speak as a known miner")
        return await self._reader.who(ip, shown[0], self._call_timeout_s)

    async def details(self, identity: Identity) -> Details:
        """Boards, fans and messages from asic-rs; pools and what we read better ourselves from our own reader."""
        profile = self._profiles.get(identity.family)
        if profile is None or identity.family in NEVER:
            raise MinerRefusedError(identity.ip, f"the second driver is not used for {identity.family!r}")
        own = await self._reader.details(identity, self._call_timeout_s)
        credential = self._reader.credential(identity, profile)
        request: dict[str, Any] = {}
        if credential is not None:
            request = {"username": credential.username, "password": credential.password}
        answer = await self._worker.ask(identity.ip, request, self._call_timeout_s)
        if "error" in answer:
            if answer["error"] == "timeout":
                raise MinerTimeoutError(identity.ip)
            raise MinerRefusedError(identity.ip, f"the second driver: {answer['error']}")
        return _details(identity, own, answer)

    async def set_led(self, identity: Identity, on: bool) -> None:
        """Not offered: this driver only reads."""
        del on
        raise MinerRefusedError(identity.ip, "the second driver only reads")

    async def reboot(self, identity: Identity) -> None:
        """Not offered: this driver only reads."""
        raise MinerRefusedError(identity.ip, "the second driver only reads")


def _details(identity: Identity, own: Details, answer: dict[str, Any]) -> Details:
    try:
        told = tuple(Board(index=index, **board) for index, board in enumerate(answer["boards"][:MAX_BOARDS]))
        return Details(
            identity=identity,
            boards=documents.merged_boards(own.boards, told),
            fans_rpm=tuple(answer["fans_rpm"][:MAX_FANS]) or own.fans_rpm,
            pools=own.pools,
            errors=tuple(str(text)[:MAX_TEXT_CHARS] for text in answer["messages"][:MAX_ERRORS]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MinerMalformedError(identity.ip, "the second driver's answer cannot be read") from error
