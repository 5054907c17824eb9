"""Rebuilding what the telemetry store lost, and forgetting what is old."""

from typing import Any

import pytest

from hashyard_cloud.app import UPKEEP
from hashyard_cloud.services.upkeep import Repaired
from hashyard_cloud.web import keys
from hashyard_shared.clock import US_PER_S

DAY_US = 86_400 * US_PER_S


async def _deliver(cloud: Any, roster: Any, cycle: Any, count: int) -> Any:
    """Each cycle is a block of its own."""
    agent = await cloud.agent()
    at_us = cloud.clock.now_us() - count * 60 * US_PER_S
    await agent.send(agent.roster_frame(roster, at_us))
    for at in range(count):
        await agent.send(agent.cycle_frame(cycle(roster, at_us + at * 60 * US_PER_S)))
        await cloud.settle()
    return agent


async def test_a_lost_block_is_projected_anew_and_others_are_left_alone(
    cloud: Any, roster: Any, cycle: Any
) -> None:
    await _deliver(cloud, roster, cycle, 3)
    telemetry = cloud.app[keys.TELEMETRY]
    async with cloud.database.reading() as tx:
        blocks = await tx.ingest.done_blocks(None, 10)
    await telemetry.delete_blocks([blocks[1].block_no])
    assert await telemetry.count() == 6
    assert await cloud.app[UPKEEP].repair() == Repaired(checked=3, rebuilt=1, lost=0)
    assert await telemetry.count() == 9
    assert await cloud.app[UPKEEP].repair() == Repaired(checked=3, rebuilt=0, lost=0)


async def test_the_whole_store_can_be_rebuilt_from_the_bodies(cloud: Any, roster: Any, cycle: Any) -> None:
    await _deliver(cloud, roster, cycle, 2)
    telemetry = cloud.app[keys.TELEMETRY]
    now_us = cloud.clock.now_us()
    before = await telemetry.series([1, 2, 3], now_us - 600 * US_PER_S, now_us, 60)
    async with cloud.database.reading() as tx:
        miner_ids = [entry.miner_id for entry in roster.miners]
        hours = await tx.rollups.hours(cloud.organisation_id, miner_ids, 0, now_us)
    assert await cloud.app[UPKEEP].repair(everything=True) == Repaired(checked=2, rebuilt=2, lost=0)
    assert await telemetry.series([1, 2, 3], now_us - 600 * US_PER_S, now_us, 60) == before
    async with cloud.database.reading() as tx:
        assert await tx.rollups.hours(cloud.organisation_id, miner_ids, 0, now_us) == hours


async def test_old_bodies_are_dropped_and_still_known_as_duplicates(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    frames = [agent.roster_frame(roster, at_us), agent.cycle_frame(cycle(roster, at_us))]
    await agent.send(*frames)
    await cloud.settle()
    cloud.clock.offset_us += 15 * DAY_US
    await cloud.app[UPKEEP].drop_old()
    async with cloud.database.reading() as tx:
        assert await tx.ingest.bodies([1, 2]) == {}
    await agent.login()
    answer = await agent.send(*frames)
    assert [one.verdict.value for one in answer.verdicts] == ["duplicate", "duplicate"]
    await cloud.app[keys.TELEMETRY].delete_blocks([1])
    assert await cloud.app[UPKEEP].repair() == Repaired(checked=1, rebuilt=0, lost=1)


async def test_whole_old_months_of_samples_are_dropped(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    now_us = cloud.clock.now_us()
    old_us = now_us - 100 * DAY_US
    frames = [agent.cycle_frame(cycle(roster, at_us)) for at_us in (old_us, now_us)]
    await agent.send(agent.roster_frame(roster, old_us), *frames)
    await cloud.settle()
    telemetry = cloud.app[keys.TELEMETRY]
    await telemetry.drop_before(old_us)
    assert await telemetry.count() == 6
    await telemetry.drop_before(now_us - 32 * DAY_US)
    assert await telemetry.count() == 3


@pytest.mark.timeout(60)
async def test_fifty_agents_hear_of_a_change_within_two_seconds(cloud: Any, fan_out: Any) -> None:
    delays_s = await fan_out(cloud, 50)
    assert sorted(delays_s)[int(50 * 0.95)] < 2.0
