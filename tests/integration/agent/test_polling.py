import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hashyard_agent.discovery import DiscoveryConfig
from hashyard_agent.miner_parts import MinerParts
from hashyard_agent.polling import Poller, PollerConfig
from hashyard_shared.events import MinerDetails
from hashyard_shared.telemetry import MinerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from hashyard_support.site import SimulatedSite

    StartSite = Callable[..., SimulatedSite]

FAST = PollerConfig(deadline_s=1.0, deadline_ratio=1.0, spread_ratio=0.2)
FAMILIES = {"antminer-s19": 3, "whatsminer-v2": 3, "luxos": 2, "vnish": 2, "bitaxe": 2}
NO_POWER = {"antminer-s19"}


async def polled(parts: MinerParts, subnet: str, outbox: Any, config: PollerConfig = FAST) -> Poller:
    await parts.discovery(DiscoveryConfig(subnets=(subnet,))).scan()
    return parts.poller(config, outbox, "boot")


async def test_a_cycle_holds_what_the_simulator_holds(
    simulated_site: "StartSite", parts: MinerParts, outbox: Any
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.30.0/24", FAMILIES)
    poller = await polled(parts, "127.20.30.0/24", outbox)
    report = await poller.cycle(1.0)
    assert (report.miners, report.online, report.taken) == (12, 12, 12)
    for ip, row in outbox.last().items():
        real = site.truth(ip)
        rate_ths = real["hashrate_ths"]
        assert row["state"] is MinerState.ONLINE
        assert row["hashrate_ths"] / 100 == pytest.approx(rate_ths, rel=0.02)
        assert row["fan_rpm"] in real["fans_rpm"]
        assert abs(row["uptime_s"] - real["uptime_s"]) <= 3
        assert row["temp_board_c"] == max(board["temp_pcb_c"] for board in real["boards"])
        assert row["temp_chip_c"] >= max(board["temp_chip_c"] for board in real["boards"])
        active = next(pool for pool in real["pools"] if pool["active"])
        assert tuple(row["pool"]) == (active["url"], active["user"])
        assert 0 <= active["accepted"] - row["shares_accepted"] <= 10
        if real["family"] in NO_POWER:
            assert row["power_w"] is None
        else:
            assert row["power_w"] == pytest.approx(real["power_w"], rel=0.03)
        assert row["miner_id"] == f"mac:{real['mac']}"


FAULTS: list[tuple[str, dict[str, Any], MinerState]] = [
    ("hang", {}, MinerState.UNREACHABLE),
    ("drop", {}, MinerState.UNREACHABLE),
    ("blackhole", {}, MinerState.UNREACHABLE),
    ("die", {}, MinerState.UNREACHABLE),
    ("reset", {}, MinerState.UNREACHABLE),
    ("slow", {"seconds": 5}, MinerState.UNREACHABLE),
    ("half_json", {}, MinerState.MISREAD),
    ("refuse", {"scope": "all"}, MinerState.MISREAD),
    ("zeros", {}, MinerState.MISREAD),
]
UNSEEN = ("hashrate_ths", "power_w", "fan_rpm", "uptime_s", "temp_chip_c", "temp_board_c", "pool")


@pytest.mark.parametrize("family", ["antminer-s19", "luxos", "bitaxe", "whatsminer-v3"])
async def test_a_fault_shows_as_a_state_and_never_as_zeros(
    simulated_site: "StartSite", parts: MinerParts, outbox: Any, family: str
) -> None:
    """One miner for each fault, and one that is well."""
    count = len(FAULTS) + 1
    site = await asyncio.to_thread(simulated_site, "127.20.31.0/27", {family: count}, "--restart-seconds", "0.2")
    poller = await polled(parts, "127.20.31.0/27", outbox)
    chosen = {f"127.20.31.{number}": fault for number, fault in enumerate(FAULTS, start=1)}
    for ip, (kind, params, _) in chosen.items():
        site.fault(ip, kind, **params)
    await poller.cycle(1.0)
    rows = outbox.last()
    for ip, (kind, _, state) in chosen.items():
        assert rows[ip]["state"] is state, kind
        assert [rows[ip][name] for name in UNSEEN] == [None] * len(UNSEEN), kind
    assert rows[f"127.20.31.{count}"]["state"] is MinerState.ONLINE
    for ip in chosen:
        site.heal(ip)
    async with asyncio.timeout(15):  # one that died boots first
        while any(row["uptime_s"] is None for row in outbox.last().values()):
            await poller.cycle(0.5)


SEEN: list[tuple[str, dict[str, Any], set[MinerState], bool | None]] = [
    ("auth", {"password": "another"}, {MinerState.ONLINE}, True),
    ("blank_pools", {}, {MinerState.ONLINE}, False),
    ("blank_pools", {"mode": "empty"}, {MinerState.ONLINE}, False),
    ("lie", {}, {MinerState.ONLINE}, True),
    ("after_restart_only", {}, {MinerState.ONLINE}, True),
    ("die_on_write", {}, {MinerState.ONLINE}, True),
    ("lose_pools", {}, {MinerState.DEGRADED}, False),
    ("restart", {"mode": "reboot"}, {MinerState.UNREACHABLE, MinerState.DEGRADED}, None),
]
"""Faults that a reading survives or sees for what they are: the right states, and whether the pool is seen."""


@pytest.mark.parametrize(
    "family",
    [
        "antminer-old",
        "antminer-s19",
        "avalon",
        "bitaxe",
        "braiins",
        "cgminer",
        "luxos",
        "vnish",
        "whatsminer-v2",
        "whatsminer-v3",
    ],
)
async def test_a_fault_that_a_reading_survives_is_not_made_worse(
    simulated_site: "StartSite", parts: MinerParts, outbox: Any, family: str
) -> None:
    subnet = "127.20.33.0/28"
    site = await asyncio.to_thread(simulated_site, subnet, {family: len(SEEN)}, "--restart-seconds", "60")
    poller = await polled(parts, subnet, outbox)
    for number, (kind, params, _, _) in enumerate(SEEN, start=1):
        site.fault(f"127.20.33.{number}", kind, **params)
    await poller.cycle(1.0)
    rows = outbox.last()
    for number, (kind, params, states, pool_seen) in enumerate(SEEN, start=1):
        row = rows[f"127.20.33.{number}"]
        assert row["state"] in states, (kind, params)
        assert pool_seen in {row["pool"] is not None, None}, (kind, params)


async def test_a_stopped_miner_is_degraded_with_a_real_zero(
    simulated_site: "StartSite", parts: MinerParts, outbox: Any
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.32.0/28", {"luxos": 2})
    poller = await polled(parts, "127.20.32.0/28", outbox)
    site.patch("127.20.32.1", asleep=True)
    site.patch("127.20.32.2", hashrate_factor=0.5)
    await poller.cycle(1.0)
    rows = outbox.last()
    assert (rows["127.20.32.1"]["state"], rows["127.20.32.1"]["hashrate_ths"]) == (MinerState.DEGRADED, 0)
    assert rows["127.20.32.2"]["state"] is MinerState.DEGRADED
    assert rows["127.20.32.2"]["hashrate_ths"] > 0


async def test_a_hung_miner_delays_no_other(simulated_site: "StartSite", parts: MinerParts, outbox: Any) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.33.0/24", {"luxos": 30})
    poller = await polled(parts, "127.20.33.0/24", outbox)
    calm = (await poller.cycle(1.0)).offsets_s
    site.fault_many("hang", chosen={"ips": [f"127.20.33.{last}" for last in range(1, 11)]})
    report = await poller.cycle(1.0)
    healthy = [miner_id for miner_id, seen in poller.latest().items() if seen.reading.state is MinerState.ONLINE]
    assert len(healthy) == 20
    assert max(report.offsets_s[each] for each in healthy) < max(calm.values()) + 0.3
    assert report.elapsed_s < 2.5


async def test_a_miner_in_use_elsewhere_is_not_disturbed_and_not_called_unreachable(
    simulated_site: "StartSite", parts: MinerParts, outbox: Any
) -> None:
    await asyncio.to_thread(simulated_site, "127.20.34.0/28", {"luxos": 2})
    poller = await polled(parts, "127.20.34.0/28", outbox)
    await poller.cycle(1.0)
    async with parts.locks.hold("127.20.34.1"):
        await poller.cycle(1.0)
    row = outbox.last()["127.20.34.1"]
    assert (row["state"], row["hashrate_ths"], row["offset_ms"]) == (MinerState.ONLINE, None, None)


async def test_the_roster_travels_only_when_it_changes(
    simulated_site: "StartSite", parts: MinerParts, outbox: Any
) -> None:
    await asyncio.to_thread(simulated_site, "127.20.35.0/28", {"luxos": 2})
    poller = await polled(parts, "127.20.35.0/28", outbox)
    for _ in range(3):
        await poller.cycle(0.5)
    assert (len(outbox.rosters()), len(outbox.cycles())) == (1, 3)
    poller.republish_roster()
    await poller.cycle(0.5)
    assert len(outbox.rosters()) == 2


def _told(outbox: Any) -> int:
    return len({event.miner_id for event in outbox.events if isinstance(event, MinerDetails)})


async def test_the_slow_lane_tells_boards_fans_and_pools(
    simulated_site: "StartSite", parts: MinerParts, outbox: Any
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.36.0/24", FAMILIES)
    config = PollerConfig(deadline_s=1.0, deadline_ratio=1.0, spread_ratio=0.2, details_per_s=400)
    poller = await polled(parts, "127.20.36.0/24", outbox, config)
    task = asyncio.create_task(poller.run(lambda: 0.5))
    async with asyncio.timeout(15):
        while _told(outbox) < 12:  # noqa: ASYNC110 - an outbox in memory has no event to wait for
            await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    by_id = {event.miner_id: event for event in outbox.events if isinstance(event, MinerDetails)}
    for miner in site.miners():
        real, event = site.truth(miner["ip"]), by_id[f"mac:{miner['mac']}"]
        assert len(event.boards) == len(real["boards"])
        for seen, board in zip(event.boards, real["boards"], strict=True):
            assert seen.chips == board["chips"]
            assert seen.temp_board_c == pytest.approx(board["temp_pcb_c"], abs=1)  # it drifts while we look
            assert seen.temp_chip_c == pytest.approx(board["temp_chip_c"], abs=1)
        fans = [rpm for rpm in event.fans_rpm if rpm is not None]
        assert fans == real["fans_rpm"][: len(fans)]
        assert fans
        configured = [(pool["url"], pool["user"]) for pool in real["pools"] if pool["url"]]
        pools = [(pool.url, pool.worker) for pool in event.pools]
        assert pools == configured[: len(pools)]
        assert len(pools) >= 2


async def test_the_expected_rate_is_learnt_from_the_device(
    simulated_site: "StartSite", parts: MinerParts, outbox: Any
) -> None:
    await asyncio.to_thread(simulated_site, "127.20.37.0/28", {"antminer-s19": 1})
    poller = await polled(parts, "127.20.37.0/28", outbox)
    await poller.cycle(0.5)
    (entry,) = outbox.rosters()[-1].miners
    assert entry.expected_hashrate_ths == 95.0
    assert entry.writable
