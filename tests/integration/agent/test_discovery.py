import asyncio
import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from hashyard_agent import miner_parts
from hashyard_agent.discovery import DiscoveryConfig, Progress
from hashyard_agent.errors import SettingsError
from hashyard_agent.miner_parts import MinerParts
from hashyard_shared.clock import SystemClock
from hashyard_shared.events import SiteControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from hashyard_support.site import SimulatedSite

    StartSite = Callable[..., SimulatedSite]

FAMILIES = {"antminer-s19": 3, "whatsminer-v2": 2, "luxos": 2, "vnish": 2, "bitaxe": 2}
PROFILE_OF = {
    "antminer-s19": "antminer-stock",
    "whatsminer-v2": "whatsminer-v2",
    "luxos": "luxos",
    "vnish": "vnish",
    "bitaxe": "bitaxe",
}


def looking_at(subnet: str, **more: Any) -> DiscoveryConfig:
    return DiscoveryConfig(subnets=(subnet,), **more)


async def test_every_miner_is_found_with_mac_model_and_family(
    simulated_site: "StartSite", parts: MinerParts
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.10.0/24", FAMILIES)
    seen: list[Progress] = []
    result = await parts.discovery(looking_at("127.20.10.0/24")).scan(progress=seen.append)
    truth = {miner["ip"]: site.truth(miner["ip"]) for miner in site.miners()}
    assert {miner.ip for miner in result.miners} == set(truth)
    for miner in result.miners:
        real = truth[miner.ip]
        assert miner.identity.mac == real["mac"]
        assert miner.identity.family == PROFILE_OF[real["family"]]
        assert miner.identity.model == real["model"]
        assert miner.identity.firmware == real["firmware"]
        assert miner.identity.serial in {real["serial"], None}
        assert miner.expected_hashrate_ths == real["nameplate"]["hashrate_ths"]
    assert result.notes == ()
    assert {progress.stage for progress in seen} == {"sweep", "identify"}
    assert result.addresses == 254


async def test_known_hosts_are_checked_at_once_and_a_second_scan_finds_nothing_new(
    simulated_site: "StartSite", parts: MinerParts
) -> None:
    await asyncio.to_thread(simulated_site, "127.20.11.0/24", FAMILIES)
    discovery = parts.discovery(looking_at("127.20.11.0/24"))
    first = await discovery.scan()
    known = await discovery.check_known()
    assert len(known.miners) == len(first.miners) == 11
    version = parts.fleet.version
    again = await discovery.scan()
    assert again.new == ()
    assert parts.fleet.version == version


async def test_exclusions_are_not_touched(simulated_site: "StartSite", parts: MinerParts) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.12.0/24", {"luxos": 4})
    config = looking_at("127.20.12.0/24", exclude=("127.20.12.2", "127.20.12.3/32"))
    result = await parts.discovery(config).scan()
    assert [miner.ip for miner in result.miners] == ["127.20.12.1", "127.20.12.4"] or len(result.miners) == 2
    assert site.truth("127.20.12.2")["counters"]["connections"] == 0


async def test_a_silent_miner_is_asked_twice_and_stays_known(
    simulated_site: "StartSite", parts: MinerParts
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.13.0/24", {"luxos": 2})
    discovery = parts.discovery(looking_at("127.20.13.0/24"))
    await discovery.scan()
    site.fault("127.20.13.1", "drop")
    result = await discovery.scan()
    assert result.gone == ("127.20.13.1",)
    assert len(result.miners) == 2
    missed = parts.fleet.by_ip("127.20.13.1")
    assert missed is not None
    assert missed.missed_passes == 1
    site.heal("127.20.13.1")
    assert (await discovery.scan()).gone == ()


async def test_a_miner_that_moves_keeps_its_identity(simulated_site: "StartSite", parts: MinerParts) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.14.0/24", {"whatsminer-v2": 2})
    discovery = parts.discovery(looking_at("127.20.14.0/24"))
    await discovery.scan()
    mac = site.truth("127.20.14.1")["mac"]
    site.fault("127.20.14.1", "move", to="127.20.14.77")
    result = await discovery.scan()
    assert result.moved == (("127.20.14.1", "127.20.14.77"),)
    assert [miner.ip for miner in parts.fleet.by_mac(mac)] == ["127.20.14.77"]
    assert result.new == ()
    assert parts.fleet.questions() == []


async def test_a_swapped_control_board_is_asked_about_and_never_assumed(
    simulated_site: "StartSite", parts: MinerParts, outbox: Any
) -> None:
    site = await asyncio.to_thread(
        simulated_site, "127.20.15.0/24", {"antminer-s19": 2}, "--restart-seconds", "0.2"
    )
    discovery = parts.discovery(looking_at("127.20.15.0/24"), outbox)
    await discovery.scan()
    known = parts.fleet.by_ip("127.20.15.1")
    assert known is not None
    serials = tuple(board["serial"] for board in site.truth("127.20.15.1")["boards"])
    parts.fleet.put(replace(known, board_serials=serials))  # as the slow lane enters them
    old_mac = site.truth("127.20.15.1")["mac"]
    site.fault("127.20.15.1", "swap_board")
    new_mac = site.truth("127.20.15.1")["mac"]
    for _ in range(20):
        result = await discovery.scan()
        if parts.fleet.questions():
            break
        await asyncio.sleep(0.2)
    (question,) = parts.fleet.questions()
    assert (question.old.mac, question.new.mac, question.same_boards) == (old_mac, new_mac, True)
    assert parts.fleet.is_questioned(old_mac)
    told = [event for event in outbox.events if isinstance(event, SiteControl)]
    assert [event.control for event in told] == ["board-swap-question"]
    ids = {miner.own_id for miner in result.miners}
    assert {f"mac:{old_mac}", f"mac:{new_mac}"} <= ids
    assert any("control board" in note for note in discovery.notes)


async def test_what_is_no_miner_is_listed_and_not_taken_for_one(parts: MinerParts) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="printer")

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.20.16.5", 80).start()
        result = await parts.discovery(looking_at("127.20.16.0/28")).scan()
    finally:
        await runner.cleanup()
    assert result.miners == ()
    assert result.unidentified == ("127.20.16.5",)


async def test_a_wrong_subnet_is_refused_before_anything_is_sent(parts: MinerParts) -> None:
    with pytest.raises(SettingsError, match=r"did you mean 10\.0\.0\.0/24"):
        await parts.discovery(looking_at("10.0.0.9/24")).scan()


async def test_the_fleet_is_kept_and_found_again_after_a_restart(
    simulated_site: "StartSite", tmp_path: Path
) -> None:
    await asyncio.to_thread(simulated_site, "127.20.17.0/24", {"luxos": 2})
    first = miner_parts.build(SystemClock(), fleet_file=tmp_path / "miners.json")
    await first.discovery(looking_at("127.20.17.0/24")).scan()
    await first.close()
    second = miner_parts.build(SystemClock(), fleet_file=tmp_path / "miners.json")
    result = await second.discovery(looking_at("127.20.17.0/24")).check_known()
    await second.close()
    assert len(result.miners) == 2


async def test_pyasic_leaves_the_root_logger_and_warnings_alone(
    simulated_site: "StartSite", parts: MinerParts
) -> None:
    await asyncio.to_thread(simulated_site, "127.20.18.0/24", {"luxos": 1})
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    await parts.discovery(looking_at("127.20.18.0/24")).scan()
    assert (root.level, list(root.handlers)) == before
    with pytest.warns(UserWarning, match="still told"):
        warnings.warn("still told", stacklevel=1)
