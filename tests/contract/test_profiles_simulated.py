"""Every profile reads its simulated family as the simulator knows it. One site with all families, read once."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hashyard_agent import miner_parts
from hashyard_agent.discovery import DiscoveryConfig
from hashyard_agent.ports import Details, Identity, Reading
from hashyard_profiles import load
from hashyard_shared.clock import SystemClock
from hashyard_shared.telemetry import MinerState
from hashyard_support.site import SimulatedSite

SUBNET = "127.20.60.0/24"
PROFILE_OF = {
    "antminer-s19": "antminer-stock",
    "antminer-old": "antminer-old",
    "whatsminer-v2": "whatsminer-v2",
    "whatsminer-v3": "whatsminer-v3",
    "luxos": "luxos",
    "vnish": "vnish",
    "bitaxe": "bitaxe",
    "braiins": "braiins-os",
    "avalon": "avalon",
    "cgminer": "cgminer",
}
WITHOUT_POWER = {"antminer-stock", "antminer-old", "cgminer"}
WITHOUT_MAC = {"cgminer"}
WITHOUT_FANS = {"cgminer"}
WITHOUT_CHIP_TEMPS = {"cgminer"}
WITHOUT_MODEL = {"cgminer"}
CHIP_TEMP_SLACK_C = 4  # a Whatsminer's maximum is over the chips' average, which is what the simulator holds


@dataclass(frozen=True)
class Read:
    """One miner as the agent read it, between two looks at the truth."""

    identity: Identity
    expected_ths: float | None
    reading: Reading
    details: Details
    before: dict[str, Any]
    after: dict[str, Any]


async def _read_all(site: SimulatedSite) -> list[Read]:
    parts = miner_parts.build(SystemClock())
    try:
        result = await parts.discovery(DiscoveryConfig(subnets=(SUBNET,))).scan()
        found = []
        for miner in result.miners:
            before = site.truth(miner.ip)
            reading = await parts.reader.read(miner.identity, 5)
            details = await parts.driver.details(miner.identity)
            after = site.truth(miner.ip)
            expected_ths = reading.expected_hashrate_ths or miner.expected_hashrate_ths
            found.append(Read(miner.identity, expected_ths, reading, details, before, after))
        return found
    finally:
        await parts.close()


@pytest.fixture(scope="module")
def readings() -> Iterator[dict[str, list[Read]]]:
    if os.geteuid() != 0:
        pytest.skip("most families are simulated on ports below 1024, which needs root")
    with SimulatedSite.start(SUBNET, dict.fromkeys(PROFILE_OF, 2)) as site:
        found = asyncio.run(_read_all(site))
        by_family: dict[str, list[Read]] = {}
        for each in found:
            by_family.setdefault(str(each.before["family"]), []).append(each)
        yield by_family


@pytest.fixture(params=sorted(PROFILE_OF))
def pair(request: pytest.FixtureRequest, readings: dict[str, list[Read]]) -> list[Read]:
    return readings.get(request.param, [])


def test_no_profile_is_without_a_simulated_family() -> None:
    assert set(PROFILE_OF.values()) == set(load())


def test_it_is_found_and_recognised(pair: list[Read]) -> None:
    assert len(pair) == 2
    for each in pair:
        assert each.identity.family == PROFILE_OF[each.before["family"]]
        assert each.identity.mac == (None if each.identity.family in WITHOUT_MAC else each.before["mac"])
        assert each.identity.firmware == each.before["firmware"]
        if each.identity.family not in WITHOUT_MODEL:
            assert each.identity.model == each.before["model"]
            assert each.expected_ths == pytest.approx(each.before["nameplate"]["hashrate_ths"], rel=0.01)


def test_hash_rate_power_and_uptime(pair: list[Read]) -> None:
    for each in pair:
        reading = each.reading
        assert reading.state is MinerState.ONLINE
        assert reading.hashrate_ths == pytest.approx(each.before["hashrate_ths"], rel=0.005)
        assert reading.uptime_s is not None
        assert each.before["uptime_s"] <= reading.uptime_s <= each.after["uptime_s"]
        if each.identity.family in WITHOUT_POWER:
            assert reading.power_w is None
        else:
            assert reading.power_w == pytest.approx(each.before["power_w"], rel=0.01, abs=1)


def test_temperatures_of_every_board(pair: list[Read]) -> None:
    for each in pair:
        real = each.after["boards"]
        assert each.reading.temp_board_c == pytest.approx(max(board["temp_pcb_c"] for board in real), abs=1)
        assert len(each.details.boards) == len(real)
        for seen, board in zip(each.details.boards, real, strict=True):
            assert seen.temp_board_c == pytest.approx(board["temp_pcb_c"], abs=1)
            assert seen.hashrate_ths == pytest.approx(board["hashrate_ths"], rel=0.005)
            if each.identity.family not in WITHOUT_CHIP_TEMPS:
                assert seen.temp_chip_c == pytest.approx(board["temp_chip_c"], abs=1)
                assert seen.chips == board["chips"]
        if each.identity.family not in WITHOUT_CHIP_TEMPS:
            hottest = max(board["temp_chip_c"] for board in real)
            assert each.reading.temp_chip_c == pytest.approx(hottest, abs=CHIP_TEMP_SLACK_C)


def test_fans(pair: list[Read]) -> None:
    for each in pair:
        if each.identity.family in WITHOUT_FANS:
            assert each.reading.fan_rpm is None
            continue
        real = each.before["fans_rpm"]
        assert each.reading.fan_rpm in real
        shown = [rpm for rpm in each.details.fans_rpm if rpm is not None]
        assert shown
        assert shown == real[: len(shown)]


def test_pools_worker_and_shares(pair: list[Read]) -> None:
    for each in pair:
        real = [pool for pool in each.before["pools"] if pool["url"]]
        active = next(pool for pool in real if pool["active"])
        assert each.reading.active_pool == (active["url"], active["user"])
        seen = [(pool.url, pool.worker) for pool in each.details.pools]
        assert seen == [(pool["url"], pool["user"]) for pool in real][: len(seen)]
        low, high = (sum(pool["accepted"] for pool in look["pools"]) for look in (each.before, each.after))
        assert each.reading.shares_accepted is not None
        assert low <= each.reading.shares_accepted <= high
        low, high = (sum(pool["rejected"] for pool in look["pools"]) for look in (each.before, each.after))
        assert each.reading.shares_rejected is not None
        assert low <= each.reading.shares_rejected <= high
