"""People who walk pages all at once, and what each page costs the processor."""

import asyncio
import math
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, ClientTimeout, CookieJar, TCPConnector

from hashyard_support.pages import OWNER_EMAIL, PASSWORD
from hashyard_support.visitor import Visitor

PEOPLE: Final = 8
WARM_UPS: Final = 2
COST_REQUESTS: Final = 16
API: Final = "/api/"
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Timing:
    """One page's answers."""

    name: str
    seconds: list[float] = field(default_factory=list)
    largest_bytes: int = 0
    cpu_ms: float = 0.0

    @property
    def p95_ms(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.95) - 1)] * 1_000

    @property
    def kb(self) -> float:
        return self.largest_bytes / 1_000


@asynccontextmanager
async def _person(url: str, addresses: dict[str, str]) -> AsyncIterator[ClientSession]:
    """Somebody of the host's staff who also looks at a customer's portal: one session for both."""
    async with ClientSession(
        url,
        cookie_jar=CookieJar(unsafe=True),
        connector=TCPConnector(limit=1),
        timeout=ClientTimeout(total=60),
        auto_decompress=False,
    ) as http:
        async with ClientSession(url, cookie_jar=http.cookie_jar) as door:
            visitor = Visitor(door)
            await visitor.sign_in(OWNER_EMAIL, PASSWORD)
            await visitor.post(f"{addresses['customer']}/view-portal", {})
        yield http


async def _ask(http: ClientSession, path: str, token: str) -> tuple[float, int]:
    headers = {"Authorization": f"Bearer {token}"} if path.startswith(API) else {}
    began = time.perf_counter()
    async with http.get(path, headers=headers) as answer:
        body = await answer.read()
        assert answer.status == 200, (path, answer.status, body[:500])
    return time.perf_counter() - began, len(body)


async def _walk(
    url: str, addresses: dict[str, str], token: str, rounds: int, timings: dict[str, Timing], number: int
) -> None:
    """One of the people: every page in an order of their own."""
    randomness = random.Random(number)
    async with _person(url, addresses) as http:
        for turn in range(rounds + WARM_UPS):
            order = list(addresses)
            randomness.shuffle(order)
            for name in order:
                seconds, size = await _ask(http, addresses[name], token)
                if turn >= WARM_UPS:
                    timings[name].seconds.append(seconds)
                timings[name].largest_bytes = max(timings[name].largest_bytes, size)


async def measure(url: str, addresses: dict[str, str], token: str, rounds: int) -> dict[str, Timing]:
    """All people at once."""
    timings = {name: Timing(name) for name in addresses}
    people = (_walk(url, addresses, token, rounds, timings, number) for number in range(PEOPLE))
    await asyncio.gather(*people)
    return timings


async def cost(url: str, addresses: dict[str, str], token: str, timings: dict[str, Timing], pid: int) -> None:
    """Processor time of the service for one answer of each page, nobody else being there."""
    async with _person(url, addresses) as http:
        for name, path in addresses.items():
            await _ask(http, path, token)
            before = _cpu_s(pid)
            for _ in range(COST_REQUESTS):
                await _ask(http, path, token)
            timings[name].cpu_ms = (_cpu_s(pid) - before) * 1_000 / COST_REQUESTS


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
