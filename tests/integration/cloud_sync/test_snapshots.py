"""Sealed snapshots: kept for the site's units, given out again, and nobody else's."""

import json
from dataclasses import replace
from typing import Any

from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.equipment import UnitRow, UnitState
from hashyard_cloud.services.snapshots import KEPT_PER_UNIT, as_file, give_out
from hashyard_shared.events import Snapshot

OWNER = Actor("user-1", "Dale Owner")


def unit(cloud: Any, unit_id: str, site_id: str) -> UnitRow:
    return UnitRow(
        unit_id=unit_id,
        organisation_id=cloud.organisation_id,
        site_id=site_id,
        label=unit_id,
        position="",
        serial=unit_id,
        mac=None,
        model="S19",
        state=UnitState.ACTIVE,
        expected_hashrate_ths=None,
        nameplate_w=None,
        host_owned=False,
        state_since_us=1,
        created_us=1,
    )


def snapshot(unit_id: str, at_us: int) -> Snapshot:
    return Snapshot(
        at_us=at_us, unit_id=unit_id, mac="02:00:00:00:00:01", snapshot_id=f"s-{at_us}", sealed=f"sealed {at_us}"
    )


async def given(cloud: Any) -> list[dict[str, Any]]:
    async with cloud.database.transaction() as tx:
        rows = await give_out(tx, 1, cloud.organisation_id, OWNER, cloud.site_id)
    return list(json.loads(as_file(rows))["snapshots"])


async def test_the_newest_of_each_unit_comes_back_out_also_after_re_enrolment(cloud: Any) -> None:
    agent = await cloud.agent()
    async with cloud.database.transaction() as tx:
        await tx.equipment.add(unit(cloud, "unit-1", cloud.site_id))
        await tx.equipment.add(unit(cloud, "unit-2", cloud.site_id))
    events = [snapshot("unit-1", at_us) for at_us in range(10, 10 + 2 * KEPT_PER_UNIT)]
    frame = agent.events_frame([*events, snapshot("unit-2", 5)], 1)
    await agent.send(frame)
    await cloud.settle()
    await agent.send(frame)
    await cloud.settle()
    # The box dies; another one takes its place, and asks for what it had sealed.
    new = cloud.stranger()
    await new.enrol(await cloud.code(), replaces_agent_id=agent.enrolled.agent_id)
    assert new.epoch == agent.epoch + 1
    assert [(one["unit_id"], one["sealed"]) for one in await given(cloud)] == [
        ("unit-1", f"sealed {10 + 2 * KEPT_PER_UNIT - 1}"),
        ("unit-2", "sealed 5"),
    ]
    async with cloud.database.reading() as tx:
        actions = [row.action for row in await tx.activity.all(cloud.organisation_id, limit=10)]
    assert "snapshots.given-out" in actions


async def test_a_snapshot_of_a_unit_that_is_not_at_the_agents_site_is_not_kept(cloud: Any) -> None:
    agent = await cloud.agent()
    async with cloud.database.transaction() as tx:
        site = await tx.sites.get(cloud.organisation_id, cloud.site_id)
        await tx.sites.add(replace(site, site_id="site-2", name="Hall 2", code="H2"))
        await tx.equipment.add(unit(cloud, "elsewhere", "site-2"))
    await agent.send(agent.events_frame([snapshot("elsewhere", 1), snapshot("nobody", 2)], 1))
    await cloud.settle()
    assert await given(cloud) == []
