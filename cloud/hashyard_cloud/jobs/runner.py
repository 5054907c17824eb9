"""Runs due work from a table with leases, so that several processes share it and none does it twice."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hashyard_cloud.services.ports.database import Database
from hashyard_shared.clock import US_PER_S, Clock

LOG: Final = logging.getLogger(__name__)
MAX_ERROR_CHARS: Final = 500
LEASE_S: Final = 30
"""How long the work of a process that died stays untouched; renewed while it lives."""
MAX_RUN_S: Final = 1_800
"""How long one run may take at all."""


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of work: its name in the table, how often it is due, and what it does."""

    name: str
    interval_s: float
    work: Callable[[], Awaitable[object]]


class Runner:
    """Claims and runs due jobs until cancelled. Each has a loop of its own, so that a slow one delays no other."""

    def __init__(self, database: Database, clock: Clock, owner: str, jobs: Sequence[Job], tick_s: float) -> None:
        self._database = database
        self._clock = clock
        self._owner = owner
        self._jobs = tuple(jobs)
        self._tick_s = tick_s
        self._hurry = {job.name: asyncio.Event() for job in self._jobs}

    def hurry(self) -> None:
        """Look at once for due work instead of at the next tick."""
        for event in self._hurry.values():
            event.set()

    async def run(self) -> None:
        """Runs until cancelled. What a job raises is logged and recorded; the job is due again at its interval."""
        async with self._database.transaction() as tx:
            for job in self._jobs:
                await tx.jobs.ensure(job.name, self._clock.now_us())
        async with asyncio.TaskGroup() as group:
            for job in self._jobs:
                group.create_task(self._loop(job))

    async def _loop(self, job: Job) -> None:
        hurry = self._hurry[job.name]
        while True:
            # Cleared first: who asks while the job runs is looked after in the next round, not forgotten.
            hurry.clear()
            try:
                await self.run_due(job)
            except Exception:
                # The table of due work could not be read or written; the next look may do better.
                LOG.exception("job %s could not be looked up", job.name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tick_s):
                    await hurry.wait()

    async def run_due(self, *jobs: Job) -> int:
        """Run each of these jobs, or of all, that is due and free; how many ran."""
        now_us = self._clock.now_us()
        async with self._database.reading() as tx:
            rows = {row.name: row for row in await tx.jobs.all()}
        count = 0
        for job in jobs or self._jobs:
            row = rows.get(job.name)
            if row is not None and row.due_us <= now_us and row.lease_until_us <= now_us:
                count += await self._run_one(job)
        return count

    async def _run_one(self, job: Job) -> bool:
        now_us = self._clock.now_us()
        async with self._database.transaction() as tx:
            if not await tx.jobs.claim(job.name, self._owner, now_us, now_us + LEASE_S * US_PER_S):
                return False
        error = "stopped"
        holding = asyncio.create_task(self._hold(job))
        try:
            async with asyncio.timeout(MAX_RUN_S):
                await job.work()
            error = ""
        except Exception as raised:
            # The edge of scheduled work: whatever one job raises must not stop the others.
            LOG.exception("job %s failed", job.name)
            error = f"{type(raised).__name__}: {raised}"[:MAX_ERROR_CHARS]
        finally:
            holding.cancel()
            # Also when the service stops: the next one need not wait for the lease.
            await _to_the_end(self._finished(job, now_us, error, holding))
        return True

    async def _hold(self, job: Job) -> None:
        """Renew the lease for as long as the job runs."""
        while True:
            await asyncio.sleep(LEASE_S / 3)
            async with self._database.transaction() as tx:
                await tx.jobs.renew(job.name, self._owner, self._clock.now_us() + LEASE_S * US_PER_S)

    async def _finished(self, job: Job, started_us: int, error: str, holding: asyncio.Task[None]) -> None:
        await asyncio.gather(holding, return_exceptions=True)
        due_us = started_us + round(job.interval_s * US_PER_S)
        async with self._database.transaction() as tx:
            await tx.jobs.finish(job.name, self._owner, self._clock.now_us(), due_us, error)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work that must not be broken off, however often the waiter is cancelled; then be cancelled.

    A bare shield would let the waiter go while the work still uses a connection of a database about to close.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
