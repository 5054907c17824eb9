"""Runs due work from a table with leases, so that several processes share it and none does it twice."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hashyard_cloud.services.ports.database import Database
from hashyard_shared.clock import US_PER_S, Clock

LOG: Final = logging.getLogger(__name__)
MAX_ERROR_CHARS: Final = 500
LEASE_S: Final = 600
"""How long one run may take before another process takes the work over."""


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of work: its name in the table, how often it is due, and what it does."""

    name: str
    interval_s: float
    work: Callable[[], Awaitable[object]]


class Runner:
    """Claims and runs due jobs one after the other until cancelled."""

    def __init__(self, database: Database, clock: Clock, owner: str, jobs: Sequence[Job], tick_s: float) -> None:
        self._database = database
        self._clock = clock
        self._owner = owner
        self._jobs = tuple(jobs)
        self._tick_s = tick_s
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        """Look at once for due work instead of at the next tick."""
        self._hurry.set()

    async def run(self) -> None:
        """Runs until cancelled. What a job raises is logged and recorded; the job is due again at its interval."""
        async with self._database.transaction() as tx:
            for job in self._jobs:
                await tx.jobs.ensure(job.name, self._clock.now_us())
        while True:
            # Cleared first: who asks while jobs run is looked after in the next round, not forgotten.
            self._hurry.clear()
            await self.run_due()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tick_s):
                    await self._hurry.wait()

    async def run_due(self) -> int:
        """Run each job that is due and free; how many ran."""
        now_us = self._clock.now_us()
        async with self._database.reading() as tx:
            rows = {row.name: row for row in await tx.jobs.all()}
        count = 0
        for job in self._jobs:
            row = rows.get(job.name)
            if row is not None and row.due_us <= now_us and row.lease_until_us <= now_us:
                count += await self._run_one(job)
        return count

    async def _run_one(self, job: Job) -> bool:
        now_us = self._clock.now_us()
        async with self._database.transaction() as tx:
            if not await tx.jobs.claim(job.name, self._owner, now_us, now_us + LEASE_S * US_PER_S):
                return False
        error = ""
        try:
            async with asyncio.timeout(LEASE_S):
                await job.work()
        except Exception as raised:
            # The edge of scheduled work: whatever one job raises must not stop the others.
            LOG.exception("job %s failed", job.name)
            error = f"{type(raised).__name__}: {raised}"[:MAX_ERROR_CHARS]
        due_us = now_us + round(job.interval_s * US_PER_S)
        async with self._database.transaction() as tx:
            await tx.jobs.finish(job.name, self._owner, self._clock.now_us(), due_us, error)
        return True
