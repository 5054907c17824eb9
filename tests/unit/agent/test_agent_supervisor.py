"""Parts that fail are started again; the others never notice."""

import asyncio

from hashyard_agent.errors import StoreError
from hashyard_agent.supervisor import Part, Supervisor
from hashyard_agent.text import ago, duration, size
from hashyard_shared.clock import SystemClock


async def test_a_failing_part_is_started_again_and_the_others_run_on() -> None:
    tries = 0
    steady = 0
    again = asyncio.Event()

    async def flaky() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StoreError("the disk is full")
        if tries == 2:
            raise ValueError("a fault")
        again.set()
        await asyncio.Event().wait()

    async def calm() -> None:
        nonlocal steady
        steady += 1
        await asyncio.Event().wait()

    supervisor = Supervisor(SystemClock(), [Part("flaky", flaky), Part("calm", calm)], first_restart_s=0.01)
    task = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(5):
        await again.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (tries, steady) == (3, 1)
    assert supervisor.failing == {}


async def test_what_fails_is_told_while_it_waits() -> None:
    async def broken() -> None:
        raise StoreError("the disk is full")

    supervisor = Supervisor(SystemClock(), [Part("sync", broken)], first_restart_s=60)
    task = asyncio.create_task(supervisor.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert supervisor.failing == {"sync": "the disk is full"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_spans_and_sizes_read_as_people_say_them() -> None:
    second = 1_000_000
    assert duration(12 * second) == "12 s"
    assert duration(34 * 60 * second) == "34 min"
    assert duration((3 * 3600 + 12 * 60) * second) == "3 h 12 min"
    assert duration((2 * 86_400 + 4 * 3600) * second) == "2 d 4 h"
    assert ago(-second) == "in the future"
    assert [size(12), size(10_900_000), size(10_000_000_000)] == ["12 B", "10.9 MB", "10.0 GB"]
