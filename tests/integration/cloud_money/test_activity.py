"""The activity log: one chain for each organisation, whoever writes at once, and any change to it is found."""

import asyncio

import pytest
from sqlalchemy import delete, update

from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.storage.tables.activity import ACTIVITY
from hashyard_support.money import OWNER, Host

BOTH = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])


async def write(host: Host, number: int) -> None:
    async with host.database.transaction() as tx:
        actor = Actor(f"user-{number}", f"User {number}", "203.0.113.9")
        await activity.record(tx, host.clock.now_us(), host.org, actor, "test.done", f"line {number}")
        await asyncio.sleep(0)


@BOTH
async def test_writers_at_the_same_time_make_one_chain(host: Host) -> None:
    await asyncio.gather(*(write(host, number) for number in range(20)))
    async with host.database.reading() as tx:
        lines = await tx.activity.all(host.org, action="test.")
        assert await activity.first_break(tx, host.org) is None
    assert {line.text for line in lines} == {f"line {number}" for number in range(20)}


@pytest.mark.parametrize("what", ["text", "actor_name", "ip", "gone"])
async def test_a_changed_or_missing_line_is_found(host: Host, what: str) -> None:
    for number in range(5):
        await write(host, number)
    async with host.database.reading() as tx:
        position = (await tx.activity.all(host.org))[2].position
    where = (ACTIVITY.c.organisation_id == host.org) & (ACTIVITY.c.position == position)
    async with host.database.transaction() as tx:
        change = delete(ACTIVITY) if what == "gone" else update(ACTIVITY).values({what: "changed"})
        await tx.connection.execute(change.where(where))
    async with host.database.reading() as tx:
        assert await activity.first_break(tx, host.org) == position


async def test_pages_are_newest_first_and_filtered(host: Host) -> None:
    for number in range(5):
        await write(host, number)
    async with host.database.transaction() as tx:
        now_us = host.clock.now_us()
        await activity.record(tx, now_us, host.org, OWNER, "other", "for one", customer_id=host.customer)
    async with host.database.reading() as tx:
        first = await tx.activity.all(host.org, action="test.", limit=2)
        then = await tx.activity.all(host.org, action="test.", before=first[-1].position, limit=2)
        mine = await tx.activity.all(host.org, customer_id=host.customer)
    assert [line.text for line in first + then] == ["line 4", "line 3", "line 2", "line 1"]
    assert [line.text for line in mine] == ["for one"]
