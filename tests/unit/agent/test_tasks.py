"""Tasks from the cloud: at most once over restarts, and an answer for each, known or not."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hashyard_agent.enforcement.local_commands import Answer
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
NOW_US = 1_000


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
    counted: list[str] = field(default_factory=list)
    limit: int = 10

    async def lights(self, miners: Sequence[Identity], *, on: bool) -> Sequence[Done]:
        self.asked.append(f"led {on}")
        return [Done()]

    async def reboot(self, miners: Sequence[Identity]) -> Sequence[Done]:
        self.asked.append("reboot")
        if self.block is not None:
            await self.block.wait()
        return [Done(done=False, detail="did not come back", code=ErrorCode.MINER_UNREACHABLE)]

    @property
    def cap(self) -> "Site":
        return self

    def room(self, macs: Sequence[str]) -> str | None:
        return None if len(self.counted) + len(macs) <= self.limit else "the cap is reached"

    async def note(self, macs: Sequence[str]) -> None:
        self.counted.extend(macs)

    async def assign_pools(self, customer_id: str, actor: str) -> Answer:
        self.asked.append(f"assign {customer_id} for {actor}")
        return Answer("no pools are recorded", ErrorCode.POOLS_NOT_RECORDED)

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
        return TaskDesk(
            commands=self,
            pools=self,
            fleet=fleet,
            outbox=self,
            state=self,
            clock=SystemClock(),
            time_us=lambda: NOW_US,
        )


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


async def test_a_reboot_over_the_daily_cap_is_refused_and_does_nothing() -> None:
    site = Site(limit=1)
    tasks = [Task(task_id=f"t{n}", kind="reboot", miner_id=MINER_ID) for n in range(2)]
    await worked(site.desk(), document(*tasks))
    assert site.asked == ["reboot"]
    assert site.counted == [MINER.mac]
    codes = [event.code for event in site.told if isinstance(event, CommandResult)]
    assert sorted(codes, key=str) == [ErrorCode.MINER_UNREACHABLE, ErrorCode.ORDER_OVER_DAILY_CAP]


async def test_a_task_that_expired_on_its_way_is_not_begun() -> None:
    site = Site()
    await worked(site.desk(), document(Task(task_id="t", kind="reboot", miner_id=MINER_ID, expires_at_us=NOW_US)))
    assert site.asked == []
    assert [event.code for event in site.told if isinstance(event, CommandResult)] == [ErrorCode.ORDER_EXPIRED]


async def test_an_assignment_names_a_customer_and_is_refused_by_name() -> None:
    site = Site()
    given: dict[str, str | int | float | bool] = {"customer_id": "cust-1", "actor": "Ann"}
    await worked(site.desk(), document(Task(task_id="t", kind="assign-pools", arguments=given)))
    assert site.asked == ["assign cust-1 for Ann"]
    assert [event.code for event in site.told if isinstance(event, CommandResult)] == [
        ErrorCode.POOLS_NOT_RECORDED
    ]
