"""Work that goes on after its answer was sent: bounded, and ended before the stores close."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from aiohttp import web

from hashyard_cloud.errors import UnavailableError

LOG: Final = logging.getLogger(__name__)
MAX_TASKS: Final = 8
BUSY_RETRY_S: Final = 10


class Background:
    """Runs coroutines; `stop` cancels what still runs and waits for it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def check_room(self) -> None:
        """Raise `UnavailableError` where there is no room for another."""
        if len(self._tasks) >= MAX_TASKS:
            raise UnavailableError("Too much is being done at once. Try again.", retry_after_s=BUSY_RETRY_S)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this; a failure is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("background work ended: %s", error, exc_info=error)

    async def settled(self) -> None:
        """Wait until nothing runs."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self, _app: web.Application | None = None) -> None:
        """End what still runs. Each piece is a transaction of its own, so nothing is left half done."""
        for task in self._tasks:
            task.cancel()
        await self.settled()


BACKGROUND: Final = web.AppKey("BACKGROUND", Background)
