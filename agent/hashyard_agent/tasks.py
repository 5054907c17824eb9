"""Commands that come with the desired state: each is carried out at most once, and its outcome is told.

A task is marked as taken, durably, before it begins: a restart of the agent must not restart a miner twice. What
was taken and not finished when the agent ended is told as such; whoever asked may ask again under a new id.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from hashyard_agent.backlog import StateStore
from hashyard_agent.fleet import Fleet
from hashyard_agent.ports import Identity, Outbox
from hashyard_shared.clock import Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import MAX_DETAIL_CHARS, CommandResult, Event, Unsupported
from hashyard_shared.protocol import TASK_ROTATE_KEY, DesiredState, Task

LOG = logging.getLogger(__name__)
LED: Final = "led"
REBOOT: Final = "reboot"
KNOWN_KINDS: Final = frozenset({LED, REBOOT})
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


class TaskDesk:
    """Takes tasks from the newest document and carries them out one after the other."""

    def __init__(
        self, *, commands: Commands, fleet: Fleet, outbox: Outbox, state: StateStore, clock: Clock
    ) -> None:
        self._commands = commands
        self._fleet = fleet
        self._outbox = outbox
        self._state = state
        self._clock = clock
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
        while True:
            await self._woken.wait()
            self._woken.clear()
            for task in self._tasks:
                await self._take(task)

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

    async def _take(self, task: Task) -> None:
        # What the cloud no longer lists it has heard of; keeping its mark would only grow.
        listed = {known.task_id for known in self._tasks}
        marks = {task_id: mark for task_id, mark in self._marks().items() if task_id in listed}
        if task.task_id in marks:
            return
        self._save(marks | {task.task_id: _TAKEN})
        event = await self._carry_out(task)
        self._outbox.put_events([event])
        self._save(marks | {task.task_id: _DONE})

    async def _carry_out(self, task: Task) -> Event:
        if task.kind not in KNOWN_KINDS:
            LOG.warning("the cloud asks for %r, which this version does not know", task.kind)
            return Unsupported(at_us=self._clock.now_us(), what=f"task {task.task_id}: {task.kind}"[:128])
        miner_id = task.miner_id or ""
        miner = self._fleet.get(miner_id)
        if miner is None:
            return self._result(
                task.task_id, miner_id, done=False, code=ErrorCode.NOT_FOUND, detail="no such miner is known here"
            )
        if task.kind == LED:
            outcomes = await self._commands.lights([miner.identity], on=bool(task.arguments.get("on", True)))
        else:
            outcomes = await self._commands.reboot([miner.identity])
        outcome = outcomes[0]
        return self._result(task.task_id, miner_id, done=outcome.done, code=outcome.code, detail=outcome.detail)

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
