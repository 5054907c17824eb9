"""The table of due work: once, by one process, and a failure stops nothing else."""

import asyncio
import logging
from pathlib import Path

import pytest
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import greenlet_spawn

from hashyard_cloud.domain.default import CaseState
from hashyard_cloud.jobs.runner import LEASE_S, Job, Runner
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.storage.database import SqlDatabase
from hashyard_cloud.storage.tables.contracts import CONTRACT_VERSIONS
from hashyard_support.money import TERMS, Host, add_contract


async def ensure(host: Host, *jobs: Job) -> None:
    async with host.database.transaction() as tx:
        for job in jobs:
            await tx.jobs.ensure(job.name, host.clock.now_us())


async def test_due_work_runs_once_in_its_interval_over_all_processes(host: Host) -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("x")

    job = Job("count", 10, work)
    await ensure(host, job)
    runners = [Runner(host.database, host.clock, name, [job], 1) for name in ("one", "two", "three")]
    await asyncio.gather(*(runner.run_due() for runner in runners))
    assert done == ["x"]
    host.clock.pass_s(9)
    await runners[0].run_due()
    assert done == ["x"]
    host.clock.pass_s(1)
    await runners[1].run_due()
    assert done == ["x", "x"]


async def test_a_failing_job_is_recorded_and_the_others_go_on(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    async def fails() -> None:
        raise ValueError("broken")

    async def works() -> None:
        done.append("x")

    jobs = [Job("a", 1, fails), Job("b", 1, works)]
    await ensure(host, *jobs)
    with caplog.at_level(logging.CRITICAL):
        await Runner(host.database, host.clock, "one", jobs, 1).run_due()
    assert done == ["x"]
    async with host.database.reading() as tx:
        rows = {row.name: row for row in await tx.jobs.all()}
    assert rows["a"].last_error == "ValueError: broken"
    assert rows["a"].lease_until_us == 0
    assert rows["b"].last_error == ""


async def test_work_of_a_process_that_died_is_taken_over(host: Host) -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("x")

    job = Job("count", 1, work)
    await ensure(host, job)
    now_us = host.clock.now_us()
    async with host.database.transaction() as tx:
        assert await tx.jobs.claim("count", "dead", now_us, now_us + LEASE_S * 1_000_000)
    runner = Runner(host.database, host.clock, "alive", [job], 1)
    await runner.run_due()
    assert done == []
    host.clock.pass_s(LEASE_S)
    await runner.run_due()
    assert done == ["x"]


async def test_a_stopped_process_leaves_no_lease_behind(host: Host) -> None:
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    job = Job("count", 1, work)
    await ensure(host, job)
    task = asyncio.create_task(Runner(host.database, host.clock, "one", [job], 1).run_due())
    async with asyncio.timeout(5):
        await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with host.database.reading() as tx:
        (row,) = await tx.jobs.all()
    assert (row.lease_until_us, row.last_error) == (0, "stopped")


async def test_a_stop_while_the_end_is_recorded_waits_for_the_record(host: Host) -> None:
    async def work() -> None:
        task.cancel()  # arrives at the next wait, which is that for the record

    job = Job("count", 1, work)
    await ensure(host, job)
    task = asyncio.create_task(Runner(host.database, host.clock, "one", [job], 1).run_due())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(host.database, SqlDatabase)
    assert isinstance(host.database.engine.pool, QueuePool)
    assert host.database.engine.pool.checkedout() == 0
    async with host.database.reading() as tx:
        (row,) = await tx.jobs.all()
    assert row.lease_until_us == 0


async def test_closing_with_a_connection_in_use_is_told(tmp_path: Path) -> None:
    database = SqlDatabase(f"sqlite:///{tmp_path}/cloud.db")
    pool = database.engine.pool
    async with database.reading():
        with pytest.warns(ResourceWarning, match="1 connections in use"):
            await database.close()
    await greenlet_spawn(pool.dispose)


async def test_the_loop_looks_at_once_when_hurried(host: Host) -> None:
    ran = asyncio.Event()

    async def work() -> None:
        ran.set()

    runner = Runner(host.database, host.clock, "one", [Job("count", 5, work)], 3_600)
    task = asyncio.create_task(runner.run())
    async with asyncio.timeout(5):
        await ran.wait()
        ran.clear()
        host.clock.pass_s(5)
        runner.hurry()
        await ran.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_slow_job_delays_no_other(host: Host) -> None:
    release, ran = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        await release.wait()

    async def quick() -> None:
        ran.set()

    runner = Runner(host.database, host.clock, "one", [Job("slow", 1, slow), Job("quick", 1, quick)], 0.01)
    task = asyncio.create_task(runner.run())
    async with asyncio.timeout(5):
        for _ in range(3):
            await ran.wait()
            ran.clear()
            host.clock.pass_s(1)
    async with host.database.reading() as tx:
        rows = {row.name: row for row in await tx.jobs.all()}
    assert rows["slow"].runs == 0
    assert rows["quick"].runs >= 2
    release.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_case_that_cannot_be_judged_stops_no_other(host: Host) -> None:
    await add_contract(host, "contract-2", "HC-2026-0002")
    await host.invoice()
    await host.invoice(contract="contract-2")
    host.clock.pass_s(TERMS["due_s"])
    await host.dunning.run()
    host.clock.pass_s(TERMS["grace_s"])
    async with host.database.transaction() as tx:
        # A store that somebody damaged: the first contract has no terms any more.
        await tx.connection.execute(
            CONTRACT_VERSIONS.delete().where(CONTRACT_VERSIONS.c.contract_id == host.contract)
        )
        await tx.defaults.add_case(broken_case(host))
        invoice = (await tx.invoices.all(host.org, contract_id=host.contract))[0]
        await tx.defaults.add_invoice(host.org, "broken", invoice.invoice_id)
    with pytest.raises(ExceptionGroup, match="1 of the round's steps failed"):
        await host.dunning.run()
    async with host.database.reading() as tx:
        numbers = {case.contract_id: case.gate_us for case in await tx.defaults.cases(host.org)}
    assert numbers == {host.contract: None, "contract-2": host.clock.now_us()}


def broken_case(host: Host) -> CaseRow:
    return CaseRow(
        case_id="broken",
        organisation_id=host.org,
        customer_id=host.customer,
        contract_id=host.contract,
        number="DC-0900",
        state=CaseState.OPEN,
        reason="test",
        currency="USD",
        opened_us=host.clock.now_us(),
        opened_by="test",
        closed_us=None,
        closed_by="",
        closed_reason="",
        redirect_percent=100,
        plan="",
        plan_until_us=None,
        gate_open=False,
        gate_us=None,
        redirected_us=None,
        restored_us=None,
    )
