"""Parts that run side by side: one that fails is logged and started again, and never stops the others."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hashyard_agent.errors import AgentError
from hashyard_shared.clock import Clock
from hashyard_shared.errors import SharedError

LOG = logging.getLogger(__name__)
FIRST_RESTART_S: Final = 1.0
MAX_RESTART_S: Final = 60.0
STABLE_AFTER_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Part:
    """Something that runs until cancelled. `name` completes "... stopped"."""

    name: str
    run: Callable[[], Awaitable[None]]


class Supervisor:
    """Runs the parts; `failing` tells which one is waiting to be started again, and why."""

    def __init__(self, clock: Clock, parts: Sequence[Part], first_restart_s: float = FIRST_RESTART_S) -> None:
        self._clock = clock
        self._parts = tuple(parts)
        self._first_restart_s = first_restart_s
        self.failing: dict[str, str] = {}

    async def run(self) -> None:
        """Run all parts until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in self._parts:
                group.create_task(self._keep_running(part), name=part.name)

    async def _keep_running(self, part: Part) -> None:
        wait_s = self._first_restart_s
        while True:
            started_s = self._clock.monotonic_s()
            try:
                await part.run()
                problem = "ended by itself"
                LOG.error("%s ended by itself; it is started again in %.0f s", part.name, wait_s)
            except (AgentError, SharedError) as error:
                problem = str(error)
                LOG.error(  # noqa: TRY400 - an expected error; its message says all, a trace would hide it
                    "%s stopped: %s. It is started again in %.0f s", part.name, error, wait_s
                )
            except Exception as error:
                # A fault in one part must not take polling down with it; it is told with its trace.
                problem = f"{type(error).__name__}: {error}"
                LOG.exception("%s failed; it is started again in %.0f s", part.name, wait_s)
            self.failing[part.name] = problem[:500]
            await asyncio.sleep(wait_s)
            self.failing.pop(part.name, None)
            stable = self._clock.monotonic_s() - started_s >= STABLE_AFTER_S
            wait_s = self._first_restart_s if stable else min(MAX_RESTART_S, wait_s * 2)
