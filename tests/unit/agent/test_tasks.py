"""Tasks from the cloud: at most once over restarts, and an answer for each, known or not."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hashyard_agent.fleet import Fleet, KnownMiner
from hashyard_agent.ports import Identity
from hashyard_agent.tasks import TaskDesk
from hashyard_shared.clock import SystemClock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import CommandResult, Event, Unsupported
from hashyard_shared.protocol import BatchKind, DesiredState, SiteSettings, Task
from hashyard_shared.signing import Envelope

MINER = Identity("10.0.0.1", "02:00:00:00:00:01", None, "luxos", "", "", "")
MINER_ID = "mac:02:00:00:00:00:01"


@dataclass
class Done:
    """An outcome."""

    done: bool = True
    detail: str = "seen"
    code: ErrorCode | None = None


@dataclass
class Site:
    """Everything the desk needs, remembered."""

    asked: list[str] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    block: asyncio.Event | None = None

    async def lights(self, miners: Sequence[Identity], *, on: bool) -> Sequence[Done]:
        self.asked.append(f"led {on}")
        return [Done()]

    async def reboot(self, miners: Sequence[Identity]) -> Sequence[Done]:
        self.asked.append("reboot")
        if self.block is not None:
            await self.block.wait()
        return [Done(done=False, detail="did not come back", code=ErrorCode.MINER_UNREACHABLE)]

    def put(self, kind: BatchKind, cycle_at_us: int, count: int, body: bytes) -> int:
        raise AssertionError("only events are told")

    def put_events(self, events: Sequence[Event]) -> int:
        self.told.extend(events)
        return 1

    def state(self, key: str) -> str | None:
        return self.values.get(key)

    def set_state(self, key: str, value: str) -> None:
        self.values[key] = value

    def desk(self) -> TaskDesk:
        fleet = Fleet([KnownMiner(MINER)])
        return TaskDesk(commands=self, fleet=fleet, outbox=self, state=self, clock=SystemClock())


def document(*tasks: Task) -> DesiredState:
    time = Envelope(key="k", payload="", signature="")
    return DesiredState(
        version=1, site_id="s", settings=SiteSettings(), units=[], orders=[], tasks=list(tasks), time=time
    )


async def worked(desk: TaskDesk, *documents: DesiredState) -> None:
    task = asyncio.create_task(desk.run())
    for one in documents:
        desk.offer(one)
        for _ in range(5):
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_task_is_carried_out_once_however_often_it_comes() -> None:
    site = Site()
    wanted = document(Task(task_id="1", kind="led", miner_id=MINER_ID, arguments={"on": False}))
    await worked(site.desk(), wanted, wanted)
    await worked(site.desk(), wanted)
    assert site.asked == ["led False"]
    assert [event.done for event in site.told if isinstance(event, CommandResult)] == [True]


async def test_an_unknown_kind_is_answered_as_unsupported() -> None:
    site = Site()
    await worked(site.desk(), document(Task(task_id="1", kind="dance")))
    assert [event.what for event in site.told if isinstance(event, Unsupported)] == ["task 1: dance"]


async def test_a_failure_and_an_unknown_miner_are_told_with_their_code() -> None:
    site = Site()
    tasks = [Task(task_id="1", kind="reboot", miner_id=MINER_ID), Task(task_id="2", kind="reboot", miner_id="x")]
    await worked(site.desk(), document(*tasks))
    codes = [event.code for event in site.told if isinstance(event, CommandResult)]
    assert codes == [ErrorCode.MINER_UNREACHABLE, ErrorCode.NOT_FOUND]


async def test_what_was_begun_when_the_agent_ended_is_told_and_not_begun_again() -> None:
    site = Site(block=asyncio.Event())
    wanted = document(Task(task_id="1", kind="reboot", miner_id=MINER_ID))
    await worked(site.desk(), wanted)
    assert site.told == []
    await worked(site.desk(), wanted)
    assert site.asked == ["reboot"]
    assert [event.detail for event in site.told if isinstance(event, CommandResult)] == [
        "the agent ended meanwhile"
    ]
