"""A very short memory for sums over a whole house, so that eight people who look at once cost as much as one.

Unless told otherwise what is remembered is never older than a second, and is forgotten as soon as somebody of the
organisation changes anything here; readings come more slowly than that anyway.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from aiohttp import web

from hashyard_shared.clock import Clock

TTL_S: Final = 1.0
MAX_ENTRIES: Final = 1_000
SWEEP_ENTRIES: Final = 100
"""From so many on, what is too old is dropped whenever something new comes."""
_T = TypeVar("_T")


class ShortMemory:
    """Remembers by organisation and name; those who ask for the same at once wait for one answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[tuple[str, str], tuple[float, asyncio.Task[Any]]] = {}
        self._making: set[asyncio.Task[Any]] = set()

    async def get(
        self, organisation_id: str, name: str, make: Callable[[], Awaitable[_T]], ttl_s: float = TTL_S
    ) -> _T:
        """The remembered answer, or a new one that is remembered for so long."""
        key, now_s = (organisation_id, name), self._clock.monotonic_s()
        entry = self._entries.get(key)
        if entry is None or now_s >= entry[0]:
            self._drop_old(now_s)
            task = asyncio.ensure_future(_run(make))
            self._making.add(task)
            task.add_done_callback(self._making.discard)
            entry = (now_s + ttl_s, task)
            self._entries[key] = entry
        try:
            # One who goes away must not take the answer from the others.
            result: _T = await asyncio.shield(entry[1])
        except BaseException:
            if self._entries.get(key) is entry:
                del self._entries[key]
            raise
        return result

    def forget(self, organisation_id: str) -> None:
        """Something of this organisation was changed."""
        for key in [key for key in self._entries if key[0] == organisation_id]:
            del self._entries[key]

    async def settled(self, _app: web.Application | None = None) -> None:
        """Wait for answers still being made, whose askers are gone, so that the stores may close."""
        await asyncio.gather(*self._making, return_exceptions=True)

    def _drop_old(self, now_s: float) -> None:
        if len(self._entries) >= SWEEP_ENTRIES:
            self._entries = {key: entry for key, entry in self._entries.items() if entry[0] > now_s}
        if len(self._entries) >= MAX_ENTRIES:
            self._entries.clear()


async def _run(make: Callable[[], Awaitable[_T]]) -> _T:
    return await make()


MEMORY: Final = web.AppKey("MEMORY", ShortMemory)
