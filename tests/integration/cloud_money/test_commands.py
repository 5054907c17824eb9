"""Commands to miners from the cloud: asked, travelling as tasks, answered, refused or expired; never twice."""

from dataclasses import replace

import pytest

from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError, RateLimitedError
from hashyard_cloud.services.commands import ASKED_PER_MINUTE, EXPIRES_S, MAX_UNITS_PER_COMMAND
from hashyard_cloud.services.ports.commands import CommandKind, CommandRow, CommandState
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import CommandResult, Event, Unsupported
from hashyard_shared.protocol import Task
from hashyard_support.money import OWNER, Host, add_unit


async def _ask(host: Host, kind: CommandKind, *unit_ids: str) -> list[CommandRow]:
    async with host.database.transaction() as tx:
        return await host.built.commands.ask(tx, host.org, OWNER, kind, unit_ids)


async def _tasks(host: Host) -> list[Task]:
    async with host.database.reading() as tx:
        return await host.built.desk.tasks(tx, host.org, host.site)


async def _tell(host: Host, event: Event, site_id: str = "site-1") -> None:
    assert host.agent is not None
    async with host.database.transaction() as tx:
        await host.built.commands.apply(tx, replace(host.agent, site_id=site_id), (1, 1, 0), event)


async def _now(host: Host, row: CommandRow) -> CommandRow:
    async with host.database.reading() as tx:
        found = await tx.commands.get(host.org, row.command_id)
    assert found is not None
    return found


def _result(host: Host, row: CommandRow, *, done: bool, code: ErrorCode | None = None) -> CommandResult:
    return CommandResult(
        at_us=host.clock.now_us(),
        command_id=row.command_id,
        miner_id=row.miner_id or "",
        done=done,
        code=code,
        detail="seen",
    )


async def _units(host: Host) -> list[str]:
    async with host.database.reading() as tx:
        return [bound.unit.unit_id for bound in await tx.equipment.bound(host.org)]


async def test_what_is_asked_of_many_waits_for_the_agent_and_is_answered_one_by_one(host: Host) -> None:
    units = (await _units(host))[:2]
    before = await host.version()
    rows = sorted(await _ask(host, CommandKind.REBOOT, *units), key=lambda row: row.command_id)
    assert await host.version() > before
    tasks = await _tasks(host)
    assert [(task.task_id, task.kind, task.miner_id, task.expires_at_us) for task in tasks] == [
        (row.command_id, "reboot", row.miner_id, row.expires_us) for row in rows
    ]
    await _tell(host, _result(host, rows[0], done=True))
    await _tell(host, _result(host, rows[1], done=False, code=ErrorCode.ORDER_OVER_DAILY_CAP))
    assert await _tasks(host) == []
    done, refused = [await _now(host, row) for row in rows]
    assert (done.state, refused.state, refused.code) == (
        CommandState.DONE,
        CommandState.REFUSED,
        "order-over-daily-cap",
    )
    # A repeated answer, and a contrary one, change nothing.
    await _tell(host, _result(host, rows[0], done=False))
    assert (await _now(host, rows[0])).state is CommandState.DONE
    assert (await host.activity())[-3:] == ["command.reboot"] * 3


async def test_a_light_says_which_way(host: Host) -> None:
    (unit,) = (await _units(host))[:1]
    await _ask(host, CommandKind.LIGHT_ON, unit)
    host.clock.pass_s(1)
    await _ask(host, CommandKind.LIGHT_OFF, unit)
    assert [(task.kind, task.arguments) for task in await _tasks(host)] == [
        ("led", {"on": True}),
        ("led", {"on": False}),
    ]


async def test_what_nobody_answers_expires_and_is_not_sent_any_more(host: Host) -> None:
    (row,) = await _ask(host, CommandKind.REBOOT, (await _units(host))[0])
    host.clock.pass_s(EXPIRES_S)
    assert await _tasks(host) == []
    assert (await _now(host, row)).state_at(host.clock.now_us()) is CommandState.EXPIRED
    # The agent had begun it in time: what it saw is what counts.
    await _tell(host, _result(host, row, done=True))
    assert (await _now(host, row)).state_at(host.clock.now_us()) is CommandState.DONE


async def test_an_agent_of_another_site_cannot_answer(host: Host) -> None:
    (row,) = await _ask(host, CommandKind.REBOOT, (await _units(host))[0])
    await _tell(host, _result(host, row, done=True), site_id="elsewhere")
    assert (await _now(host, row)).state is CommandState.ASKED


async def test_an_agent_that_is_too_old_is_told_as_such(host: Host) -> None:
    (row,) = await _ask(host, CommandKind.REBOOT, (await _units(host))[0])
    await _tell(host, Unsupported(at_us=1, what=f"task {row.command_id}: reboot"))
    assert (await _now(host, row)).code == "unsupported"


async def test_recorded_pools_are_asked_for_by_the_record_alone(host: Host) -> None:
    async with host.database.transaction() as tx:
        row = await host.built.commands.ask_pools(tx, host.org, OWNER, host.customer, host.site)
    (task,) = await _tasks(host)
    assert (task.kind, task.miner_id) == ("assign-pools", None)
    assert task.arguments == {"customer_id": host.customer, "actor": OWNER.name}
    await _tell(host, _result(host, row, done=False, code=ErrorCode.POOLS_NOT_RECORDED))
    assert (await _now(host, row)).code == "pools-not-recorded"
    async with host.database.transaction() as tx:
        with pytest.raises(NotFoundError):
            await host.built.commands.ask_pools(tx, host.org, OWNER, "nobody", host.site)


async def test_asking_is_limited_and_all_or_nothing(host: Host) -> None:
    unit = (await _units(host))[0]
    unseen = await add_unit(host, 77, host.contract)
    async with host.database.transaction() as tx:
        await tx.equipment.update(replace(unseen, mac="02:00:00:00:99:99"))
    with pytest.raises(ConflictError):
        await _ask(host, CommandKind.REBOOT, unit, unseen.unit_id)
    with pytest.raises(NotFoundError):
        await _ask(host, CommandKind.REBOOT, unit, "nothing")
    with pytest.raises(MalformedError):
        await _ask(host, CommandKind.REBOOT, *(str(n) for n in range(MAX_UNITS_PER_COMMAND + 1)))
    with pytest.raises(MalformedError):
        await _ask(host, CommandKind.ASSIGN_POOLS, unit)
    assert await _tasks(host) == []
    for _ in range(ASKED_PER_MINUTE - 2):
        await _ask(host, CommandKind.LIGHT_ON, unit)
    with pytest.raises(RateLimitedError):
        await _ask(host, CommandKind.LIGHT_ON, unit)
