"""The enforcer's memory: what is on disk, held in memory, and changed only through the disk."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final

from hashyard_agent.enforcement.model import Change, JournalEntry, PairRow, SnapshotRow, UnitRow
from hashyard_agent.enforcement.ports import EnforcementStore
from hashyard_shared.clock import Clock
from hashyard_shared.events import MAX_DETAIL_CHARS, Event, UnitStatus

MAX_TOGETHER: Final = 200
MAX_WAITING: Final = 20_000

PairKey = tuple[str, str, str]


class Committer:
    """Gathers changes that wait at the same moment into one transaction: one sync of the disk serves all."""

    def __init__(self, store: EnforcementStore) -> None:
        self._store = store
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[Change, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def commit(self, change: Change) -> None:
        """Return when the change is on disk. Errors: `StoreError`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        # Shielded: a cancelled waiter must not take the others' transaction with it.
        await asyncio.shield(future)

    async def call(self, act: Callable[[], Any]) -> Any:
        """Run another call of the store in its thread."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="enforcement-store")
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)

    async def close(self) -> None:
        """Let what waits reach the disk, and end the thread; a later call starts another."""
        if self._task is not None:
            await self._task
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown()

    async def _work(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_TOGETHER))]
            try:
                await self.call(partial(self._store.commit, [change for change, _ in batch]))
            except Exception as error:  # noqa: BLE001 - handed to every waiter, whatever it is; nobody may wait for ever
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                        # A waiter that was cancelled never looks.
                        future.exception()
                continue
            for _, future in batch:
                if not future.done():
                    future.set_result(None)


class Book:
    """Units, pairs and facts. A row in memory is never ahead of the disk."""

    def __init__(self, store: EnforcementStore, clock: Clock) -> None:
        """Read everything. Errors: `StoreError`."""
        self._store = store
        self._clock = clock
        self._committer = Committer(store)
        self.units: dict[str, UnitRow] = {row.unit_id: row for row in store.units()}
        self.pairs: dict[PairKey, PairRow] = {(p.family, p.model, p.firmware): p for p in store.pairs()}
        self.facts: dict[str, str] = store.facts()
        self.changed = asyncio.Event()

    async def close(self) -> None:
        """Wait for the last transaction."""
        await self._committer.close()

    async def save(
        self,
        row: UnitRow,
        *entries: JournalEntry,
        snapshot: SnapshotRow | None = None,
        pair: PairRow | None = None,
        events: tuple[Event, ...] = (),
    ) -> UnitRow:
        """Make a unit's new state durable, with its journal lines and, when it shows outside, its status event."""
        now_us = self._clock.now_us()
        old = self.units.get(row.unit_id)
        if old is None or old.step is not row.step:
            row = replace(row, step_at_us=now_us)
        status = () if old is not None and _shown(old) == _shown(row) else (status_event(row, now_us),)
        change = Change(now_us, row, snapshot, entries, (*events, *status), pair)
        await self._committer.commit(change)
        self.units[row.unit_id] = row
        if pair is not None:
            self.pairs[pair.family, pair.model, pair.firmware] = pair
        self.changed.set()
        return row

    async def note(
        self, *entries: JournalEntry, events: tuple[Event, ...] = (), facts: Mapping[str, str] | None = None
    ) -> None:
        """Make journal lines, events and facts durable that belong to no unit's state."""
        kept = dict(facts or {})
        await self._committer.commit(Change(self._clock.now_us(), journal=entries, events=events, facts=kept))
        self.facts.update(kept)
        self.changed.set()

    async def snapshot(self, snapshot_id: str) -> SnapshotRow | None:
        """A snapshot by its id."""
        found: SnapshotRow | None = await self._committer.call(lambda: self._store.snapshot(snapshot_id))
        return found

    async def call(self, act: Callable[[], Any]) -> Any:
        """Run a call of the store in its thread."""
        return await self._committer.call(act)


def _shown(row: UnitRow) -> tuple[object, ...]:
    order_id = row.order.order_id if row.order else None
    return (
        row.mac,
        order_id,
        row.goal,
        row.phase,
        row.level,
        row.code,
        row.detail,
        row.active_pool,
        row.active_worker,
        row.expires_at_us,
    )


def status_event(row: UnitRow, at_us: int) -> UnitStatus:
    """The unit's state as it is reported."""
    return UnitStatus(
        at_us=at_us,
        unit_id=row.unit_id,
        mac=row.mac,
        order_id=row.order.order_id if row.order else None,
        order_kind=row.goal,
        sequence=row.order.sequence if row.order else None,
        phase=row.phase,
        level=row.level,
        code=row.code,
        detail=row.detail[:MAX_DETAIL_CHARS],
        active_pool=row.active_pool,
        active_worker=row.active_worker,
        expires_at_us=row.expires_at_us,
    )
