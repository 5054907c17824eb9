"""From a request to the stores: exactly once, whatever comes twice, damaged or in the wrong order."""

from typing import Any

import pytest

from hashyard_cloud.web import keys
from hashyard_shared import codec
from hashyard_shared.clock import US_PER_S
from hashyard_shared.events import Gap, Health, MinerDetails
from hashyard_shared.protocol import MAX_REQUEST_BYTES, pack_frame
from hashyard_shared.telemetry import MinerState

HOUR_US = 3_600 * US_PER_S
pytestmark = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])


def _names(answer: Any) -> list[str]:
    return [verdict.verdict.value for verdict in answer.verdicts]


async def _stored_samples(cloud: Any) -> int:
    rows = await cloud.app[keys.TELEMETRY]._rows("SELECT count() FROM hashyard.samples", {})
    return int(rows[0][0])


async def test_a_cycle_arrives_in_all_stores(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    answer = await agent.send(agent.roster_frame(roster, at_us), agent.cycle_frame(cycle(roster, at_us)))
    assert _names(answer) == ["accepted", "accepted"]
    await cloud.settle()
    async with cloud.database.reading() as tx:
        seen = await tx.miners.seen(cloud.organisation_id, site_id=cloud.site_id)
        hours = await tx.rollups.hours(cloud.organisation_id, [seen[0].miner.miner_id], at_us - HOUR_US, at_us + 1)
        days = await tx.rollups.days(cloud.organisation_id, [seen[0].miner.miner_id], at_us - 24 * HOUR_US, at_us)
        numbers = await tx.miners.numbers(cloud.organisation_id, [one.miner.miner_id for one in seen])
    assert [one.latest.hashrate_ths for one in seen] == [95.0, 95.0, 95.0]
    assert seen[1].latest.at_us == (at_us + 1_000) // 1_000 * 1_000
    assert seen[0].latest.pool_worker == "acme.001"
    assert hours[0].online_ms == 60_000
    assert hours[0].energy_wh == pytest.approx(3_250 / 60)
    assert hours[0].hashrate_ths_h == pytest.approx(95 / 60)
    assert (days[0].samples, days[0].energy_wh) == (1, hours[0].energy_wh)
    points = await cloud.app[keys.TELEMETRY].series(
        list(numbers.values()), at_us - 300 * US_PER_S, at_us + US_PER_S, 60
    )
    assert [point.hashrate_ths for point in points if point.miners] == [285.0]
    assert [point.hashrate_ths for point in points if not point.miners] == [None] * (len(points) - 1)


async def test_the_same_again_is_a_duplicate_and_counts_once(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    frames = [agent.roster_frame(roster, at_us), agent.cycle_frame(cycle(roster, at_us))]
    await agent.send(*frames)
    await cloud.settle()
    assert _names(await agent.send(*frames)) == ["duplicate", "duplicate"]
    assert _names(await agent.send(frames[1], frames[1])) == ["duplicate", "duplicate"]
    await cloud.settle()
    assert await _stored_samples(cloud) == 3


async def test_another_body_under_the_same_key_is_an_epoch_conflict(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    await agent.send(agent.roster_frame(roster, at_us), agent.cycle_frame(cycle(roster, at_us)))
    agent.seq = 1
    rolled_back = cycle(roster, at_us + 60 * US_PER_S)
    answer = await agent.send(agent.cycle_frame(rolled_back))
    assert _names(answer) == ["epoch-conflict"]
    assert answer.new_epoch == agent.epoch + 1
    agent.epoch = answer.new_epoch
    assert _names(await agent.send(agent.cycle_frame(rolled_back))) == ["accepted"]
    await cloud.settle()
    assert await _stored_samples(cloud) == 6


async def test_an_epoch_that_was_never_handed_out_gets_a_new_one(cloud: Any, roster: Any) -> None:
    agent = await cloud.agent()
    agent.epoch = 7
    answer = await agent.send(agent.roster_frame(roster, 1))
    assert _names(answer) == ["epoch-conflict"]
    assert answer.new_epoch == 8


async def test_telemetry_waits_for_its_roster(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    await agent.send(agent.cycle_frame(cycle(roster, at_us)))
    await cloud.settle()
    async with cloud.database.reading() as tx:
        assert (await tx.ingest.counts()).waiting == 1
    assert await _stored_samples(cloud) == 0
    await agent.send(agent.roster_frame(roster, at_us))
    await cloud.settle()
    assert await _stored_samples(cloud) == 3


async def test_a_poison_batch_does_not_block_its_neighbours(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    good = cycle(roster, at_us)
    lopsided = good.model_copy(update={"power_w": [1]})
    wild = good.model_copy(update={"pool": [5, None, None]})
    header, body = agent.cycle_frame(good)
    frames = [
        agent.roster_frame(roster, at_us),
        agent.cycle_frame(good),
        agent.cycle_frame(lopsided),
        agent.cycle_frame(wild),
        agent.frame("telemetry", at_us, 3, codec.encode_bytes(b'{"roster_id": 1}')),
        agent.frame("telemetry", at_us, 3, b"\x07junk"),
        agent.frame("telemetry", at_us, 3, codec.encode_bytes(b"[]")),
        agent.frame("weather", at_us, 3, b"x"),
        agent.frame("events", at_us, 3, codec.encode_bytes(b'{"events": [{"kind": "gap"}]}')),
        (header, body + b"x"),
        agent.cycle_frame(cycle(roster, at_us + 60 * US_PER_S)),
    ]
    answer = await agent.send(*frames)
    assert _names(answer) == ["accepted", "accepted", *["rejected"] * 8, "accepted"]
    codes = [verdict.code.value for verdict in answer.verdicts if verdict.code]
    assert codes == [
        "malformed",
        "malformed",
        "malformed",
        "unsupported",
        "malformed",
        "unsupported",
        "malformed",
        "corrupt",
    ]
    assert "power_w" in answer.verdicts[2].detail
    await cloud.settle()
    assert await _stored_samples(cloud) == 6


async def test_a_cycle_that_does_not_fit_its_roster_is_set_aside(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    short = cycle(roster, at_us)
    for name, value in short:
        if isinstance(value, list) and name != "pools":
            setattr(short, name, value[:2])
    await agent.send(agent.roster_frame(roster, at_us), agent.cycle_frame(short))
    await agent.send(agent.cycle_frame(cycle(roster, at_us)))
    await cloud.settle()
    async with cloud.database.reading() as tx:
        counts = await tx.ingest.counts()
    assert (counts.set_aside, counts.pending) == (1, 0)
    assert await _stored_samples(cloud) == 3


async def test_events_of_unknown_kinds_do_not_stop_the_known(cloud: Any, roster: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    gap = Gap(from_us=at_us - HOUR_US, to_us=at_us, cycles=60, samples=180, reason="disk-full")
    text = b'{"events": [{"kind": "moonphase", "x": 1}, ' + gap.model_dump_json().encode() + b"]}"
    frame = agent.frame("events", at_us, 2, codec.encode_bytes(text))
    assert _names(await agent.send(frame)) == ["accepted"]
    await cloud.settle()
    async with cloud.database.reading() as tx:
        gaps = await tx.agents.gaps(cloud.organisation_id, [agent.enrolled.agent_id], at_us - 1, at_us)
    assert [(one.samples, one.reason) for one in gaps] == [(180, "disk-full")]


async def test_health_and_details_keep_the_newest(cloud: Any, roster: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    base = {"version": "1", "backlog_bytes": 0, "oldest_at_us": None, "miners_found": 3, "cycle_s": 1.0}
    flags = {"emergency_stop": False, "shadow_mode": False}
    newer = Health(at_us=at_us, backlog_rows=1, **base, **flags)
    older = Health(at_us=at_us - 1, backlog_rows=9, **base, **flags)
    details = MinerDetails(at_us=at_us, miner_id=roster.miners[0].miner_id, fans_rpm=[5_400])
    await agent.send(agent.roster_frame(roster, at_us), agent.events_frame([newer, older, details], at_us))
    await cloud.settle()
    async with cloud.database.reading() as tx:
        stored = await tx.agents.get(cloud.organisation_id, agent.enrolled.agent_id)
        miner = await tx.miners.get(cloud.organisation_id, roster.miners[0].miner_id)
    assert Health.model_validate_json(stored.health).backlog_rows == 1
    assert MinerDetails.model_validate_json(miner.miner.details).fans_rpm == [5_400]
    assert miner.latest is None


async def test_late_data_adds_up_and_does_not_replace_the_newest(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us() // HOUR_US * HOUR_US + 30 * 60 * US_PER_S - HOUR_US
    await agent.send(agent.roster_frame(roster, at_us), agent.cycle_frame(cycle(roster, at_us)))
    await cloud.settle()
    before_us = cloud.clock.now_us()
    cloud.clock.offset_us += 60 * US_PER_S
    late = cycle(roster, at_us - 60 * US_PER_S, hashrate_ths=50)
    await agent.send(agent.cycle_frame(late))
    await cloud.settle()
    miner_id = roster.miners[0].miner_id
    async with cloud.database.reading() as tx:
        hours = await tx.rollups.hours(cloud.organisation_id, [miner_id], at_us - HOUR_US, at_us + 1)
        latest = (await tx.miners.get(cloud.organisation_id, miner_id)).latest
        changed = await tx.rollups.changed_since(
            cloud.organisation_id, cloud.site_id, at_us - HOUR_US, at_us, before_us
        )
    assert (hours[0].samples, hours[0].online_ms) == (2, 120_000)
    assert hours[0].hashrate_ths_h == pytest.approx(145 / 60)
    assert latest.hashrate_ths == 95.0
    assert changed


async def test_samples_of_a_wrong_clock_are_kept_and_flagged(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    frames = [agent.cycle_frame(cycle(roster, when)) for when in (1, at_us + 3 * HOUR_US, at_us)]
    await agent.send(agent.roster_frame(roster, at_us), *frames)
    await cloud.settle()
    assert await _stored_samples(cloud) == 9
    rows = await cloud.app[keys.TELEMETRY]._rows(
        "SELECT flags, count() FROM hashyard.samples GROUP BY 1 ORDER BY 1", {}
    )
    assert [tuple(row) for row in rows] == [(0, 3), (1, 3), (2, 3)]
    async with cloud.database.reading() as tx:
        latest = (await tx.miners.get(cloud.organisation_id, roster.miners[0].miner_id)).latest
    assert latest.at_us == at_us // 1_000 * 1_000


async def test_unreachable_is_a_state_and_not_zero(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    blind = cycle(roster, at_us, state=MinerState.UNREACHABLE)
    await agent.send(agent.roster_frame(roster, at_us), agent.cycle_frame(blind))
    await cloud.settle()
    miner_id = roster.miners[0].miner_id
    async with cloud.database.reading() as tx:
        latest = (await tx.miners.get(cloud.organisation_id, miner_id)).latest
        hours = await tx.rollups.hours(cloud.organisation_id, [miner_id], at_us - HOUR_US, at_us + 1)
    assert (latest.state, latest.power_w, latest.hashrate_ths) == (MinerState.UNREACHABLE, None, None)
    assert (hours[0].unreachable_ms, hours[0].hashrate_known_ms, hours[0].power_known_ms) == (60_000, 0, 0)


async def test_a_moved_miner_keeps_its_number_and_changes_its_address(
    cloud: Any, roster: Any, more_rosters: Any
) -> None:
    agent = await cloud.agent()
    await agent.send(agent.roster_frame(roster, 1))
    moved = [entry.model_copy(update={"ip": "127.9.9.9"}) for entry in roster.miners]
    await agent.send(agent.roster_frame(roster.model_copy(update={"miners": moved}), 2))
    await cloud.settle()
    async with cloud.database.reading() as tx:
        seen = await tx.miners.seen(cloud.organisation_id)
    assert [one.miner.ip for one in seen] == ["127.9.9.9"] * 3
    assert len({one.miner.miner_no for one in seen}) == 3


async def test_malformed_requests_are_refused_whole(cloud: Any, roster: Any) -> None:
    agent = await cloud.agent()
    frame = pack_frame(*agent.roster_frame(roster, 1))
    status, problem, _ = await agent.post(frame[:-1])
    assert (status, problem["type"]) == (422, "malformed")
    status, problem, _ = await agent.post(b"\0" * (MAX_REQUEST_BYTES + 1))
    assert (status, problem["type"]) == (413, "too-large")


async def test_a_copy_of_the_box_freezes_orders_and_not_telemetry(cloud: Any, roster: Any, cycle: Any) -> None:
    agent = await cloud.agent()
    at_us = cloud.clock.now_us()
    await agent.send(agent.roster_frame(roster, at_us))
    stale = agent.nonce
    for _ in range(2):
        at_us += US_PER_S
        await agent.send(agent.cycle_frame(cycle(roster, at_us)))
    agent.nonce = stale
    assert _names(await agent.send(agent.cycle_frame(cycle(roster, at_us + US_PER_S)))) == ["accepted"]
    async with cloud.database.reading() as tx:
        stored = await tx.agents.get(cloud.organisation_id, agent.enrolled.agent_id)
    assert stored.clone_suspected_at_us is not None
    await cloud.app[keys.AGENTS].clear_clone(cloud.organisation_id, agent.enrolled.agent_id)
    async with cloud.database.reading() as tx:
        stored = await tx.agents.get(cloud.organisation_id, agent.enrolled.agent_id)
    assert stored.clone_suspected_at_us is None
