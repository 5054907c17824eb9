"""Commands that come with the desired state: each is carried out at most once, and its outcome is told.

A task is marked as taken, durably, before it begins: a restart of the agent must not restart a miner twice. What
was taken and not finished when the agent ended is told as such; whoever asked may ask again under a new id.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from hashyard_agent.backlog import StateStore
from hashyard_agent.errors import StoreError
from hashyard_agent.fleet import Fleet, KnownMiner
from hashyard_agent.ports import Identity, Outbox
from hashyard_shared.clock import Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import MAX_DETAIL_CHARS, CommandResult, Event, Unsupported
from hashyard_shared.protocol import (
    TASK_ASSIGN_POOLS,
    TASK_LED,
    TASK_REBOOT,
    TASK_ROTATE_KEY,
    DesiredState,
    Task,
)

LOG = logging.getLogger(__name__)
LED: Final = TASK_LED
REBOOT: Final = TASK_REBOOT
AT_ONCE: Final = 64
_STATE_KEY: Final = "tasks"
_TAKEN: Final = "taken"
_DONE: Final = "done"


class Outcome(Protocol):
    """What became of a command on one miner."""

    @property
    def done(self) -> bool: ...
    @property
    def detail(self) -> str: ...
    @property
    def code(self) -> ErrorCode | None: ...


class Commands(Protocol):
    """What can be asked of miners; paced, and each with proof that it happened."""

    async def lights(self, miners: Sequence[Identity], *, on: bool) -> Sequence[Outcome]:
        """Switch the locating lights."""
        ...

    async def reboot(self, miners: Sequence[Identity]) -> Sequence[Outcome]:
        """Restart."""
        ...


class Cap(Protocol):
    """The site's daily cap on what the cloud may disturb."""

    def room(self, macs: Sequence[str]) -> str | None:
        """Why these may not be disturbed without a technician, or None."""
        ...

    async def note(self, macs: Sequence[str]) -> None:
        """These are about to be disturbed. Errors: `StoreError`."""
        ...


class PoolAnswer(Protocol):
    """What became of an assignment; `code` when it was refused."""

    @property
    def text(self) -> str: ...
    @property
    def code(self) -> ErrorCode | None: ...


class PoolDesk(Protocol):
    """Who writes pools."""

    @property
    def cap(self) -> Cap: ...

    async def assign_pools(self, customer_id: str, actor: str) -> PoolAnswer:
        """Write a customer's recorded pools to his units; answers once that is taken. Errors: `StoreError`."""
        ...


class TaskDesk:
    """Takes tasks from the newest document and carries them out side by side; the commands keep the pace.

    `time_us` is a lower bound of the real time, by which tasks expire.
    """

    def __init__(
        self,
        *,
        commands: Commands,
        pools: PoolDesk,
        fleet: Fleet,
        outbox: Outbox,
        state: StateStore,
        clock: Clock,
        time_us: Callable[[], int],
    ) -> None:
        self._commands = commands
        self._pools = pools
        self._fleet = fleet
        self._outbox = outbox
        self._state = state
        self._clock = clock
        self._time_us = time_us
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._counting = asyncio.Lock()
        self._kinds: dict[str, Callable[[Task], Awaitable[CommandResult]]] = {
            TASK_LED: self._led,
            TASK_REBOOT: self._reboot,
            TASK_ASSIGN_POOLS: self._assign,
        }
        self._tasks: tuple[Task, ...] = ()
        self._woken = asyncio.Event()

    def offer(self, document: DesiredState) -> None:
        """A new document came; its tasks are looked at by `run`."""
        # A new key of the agent itself is the affair of `key_change`.
        self._tasks = tuple(task for task in document.tasks if task.kind != TASK_ROTATE_KEY)
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled. Errors: `StoreError`."""
        self._report_broken_off()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._woken.wait()
                    self._woken.clear()
                    for task in self._newly_taken():
                        group.create_task(self._do(task))
        except ExceptionGroup as stopped:
            found, others = stopped.split(StoreError)
            if found is None or others is not None:
                raise
            # One of them says it; the others are the same disk.
            raise StoreError(str(found.exceptions[0])) from stopped

    def _report_broken_off(self) -> None:
        marks = self._marks()
        broken = [task_id for task_id, mark in marks.items() if mark == _TAKEN]
        events: list[Event] = [
            self._result(task_id, "", done=False, code=ErrorCode.INTERNAL, detail="the agent ended meanwhile")
            for task_id in broken
        ]
        if events:
            self._outbox.put_events(events)
            self._save(marks | dict.fromkeys(broken, _DONE))

    def _newly_taken(self) -> list[Task]:
        marks = self._marks()
        new = [task for task in self._tasks if task.task_id not in marks]
        if new:
            # What the cloud no longer lists it has heard of; keeping its mark would only grow.
            listed = {known.task_id for known in self._tasks}
            kept = {task_id: mark for task_id, mark in marks.items() if task_id in listed or mark == _TAKEN}
            self._save(kept | {task.task_id: _TAKEN for task in new})
        return new

    async def _do(self, task: Task) -> None:
        async with self._slots:
            event = await self._carry_out(task)
        self._outbox.put_events([event])
        self._save(self._marks() | {task.task_id: _DONE})

    async def _carry_out(self, task: Task) -> Event:
        act = self._kinds.get(task.kind)
        if act is None:
            LOG.warning("the cloud asks for %r, which this version does not know", task.kind)
            return Unsupported(at_us=self._clock.now_us(), what=f"task {task.task_id}: {task.kind}"[:128])
        if task.expires_at_us is not None and task.expires_at_us <= self._time_us():
            return self._refused(task, ErrorCode.ORDER_EXPIRED, "it had expired when it was heard of")
        return await act(task)

    async def _led(self, task: Task) -> CommandResult:
        miner = self._fleet.get(task.miner_id or "")
        if miner is None:
            return self._unknown(task)
        return self._of(
            task, await self._commands.lights([miner.identity], on=bool(task.arguments.get("on", True)))
        )

    async def _reboot(self, task: Task) -> CommandResult:
        miner = self._fleet.get(task.miner_id or "")
        if miner is None:
            return self._unknown(task)
        macs = _macs(miner)
        # One after the other: two that see the same last place must not both take it.
        async with self._counting:
            refusal = self._pools.cap.room(macs)
            if refusal is not None:
                return self._refused(task, ErrorCode.ORDER_OVER_DAILY_CAP, refusal)
            await self._pools.cap.note(macs)
        return self._of(task, await self._commands.reboot([miner.identity]))

    async def _assign(self, task: Task) -> CommandResult:
        customer_id, actor = str(task.arguments.get("customer_id", "")), str(task.arguments.get("actor", "cloud"))
        answer = await self._pools.assign_pools(customer_id, actor)
        return self._result(task.task_id, "", done=answer.code is None, code=answer.code, detail=answer.text)

    def _of(self, task: Task, outcomes: Sequence[Outcome]) -> CommandResult:
        one = outcomes[0]
        return self._result(task.task_id, task.miner_id or "", done=one.done, code=one.code, detail=one.detail)

    def _unknown(self, task: Task) -> CommandResult:
        return self._refused(task, ErrorCode.NOT_FOUND, "no such miner is known here")

    def _refused(self, task: Task, code: ErrorCode, detail: str) -> CommandResult:
        return self._result(task.task_id, task.miner_id or "", done=False, code=code, detail=detail)

    def _result(
        self, task_id: str, miner_id: str, *, done: bool, code: ErrorCode | None, detail: str
    ) -> CommandResult:
        return CommandResult(
            at_us=self._clock.now_us(),
            command_id=task_id,
            miner_id=miner_id,
            done=done,
            code=code,
            detail=detail[:MAX_DETAIL_CHARS],
        )

    def _marks(self) -> dict[str, str]:
        text = self._state.state(_STATE_KEY)
        return dict(json.loads(text)) if text else {}

    def _save(self, marks: dict[str, str]) -> None:
        self._state.set_state(_STATE_KEY, json.dumps(marks))


def _macs(miner: KnownMiner) -> list[str]:
    """What the daily cap counts a miner by: its MAC, or what stands for it."""
    return [miner.identity.mac or miner.ip]
