import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hashyard_agent.commands import CommandConfig, Outcome, Pace
from hashyard_agent.miner_parts import MinerParts
from hashyard_shared.clock import SystemClock
from hashyard_shared.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from hashyard_support.site import SimulatedSite

    StartSite = Callable[..., SimulatedSite]

QUICK = CommandConfig(
    reboots_per_minute=6000,
    lights_per_minute=60_000,
    look_every_s=0.2,
    reboot_timeout_s=10,
    refused_timeout_s=5,
    call_timeout_s=2,
)


@pytest.mark.parametrize("family", ["antminer-s19", "whatsminer-v2", "whatsminer-v3", "luxos", "vnish", "bitaxe"])
async def test_a_reboot_is_done_when_the_uptime_began_anew(
    simulated_site: "StartSite", parts: MinerParts, family: str
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.70.0/28", {family: 1}, "--restart-seconds", "0.5")
    miner = await parts.driver.identify("127.20.70.1")
    told: list[Outcome] = []
    (outcome,) = await parts.commands(QUICK).reboot([miner], told=told.append)
    assert outcome.done, outcome.detail
    assert told == [outcome]
    assert site.truth("127.20.70.1")["restart_count"] == 1


async def test_a_reboot_that_the_miner_only_says_it_did_is_not_done(
    simulated_site: "StartSite", parts: MinerParts
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.71.0/28", {"antminer-s19": 1})
    miner = await parts.driver.identify("127.20.71.1")
    site.fault("127.20.71.1", "lie")
    config = CommandConfig(look_every_s=0.2, reboot_timeout_s=1.5, refused_timeout_s=1.5)
    (outcome,) = await parts.commands(config).reboot([miner])
    assert (outcome.done, outcome.code) == (False, ErrorCode.WRITE_NOT_TAKEN)
    assert site.truth("127.20.71.1")["restart_count"] == 0


async def test_a_miner_that_does_not_come_back_is_told(simulated_site: "StartSite", parts: MinerParts) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.72.0/28", {"antminer-s19": 1})
    miner = await parts.driver.identify("127.20.72.1")
    site.fault("127.20.72.1", "die_on_write")
    config = CommandConfig(look_every_s=0.2, reboot_timeout_s=2, call_timeout_s=0.5)
    (outcome,) = await parts.commands(config).reboot([miner])
    assert not outcome.done
    assert outcome.code in {ErrorCode.MINER_UNREACHABLE, ErrorCode.MINER_REFUSED, ErrorCode.MINER_TIMEOUT}


async def test_another_device_at_the_address_is_left_alone(simulated_site: "StartSite", parts: MinerParts) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.73.0/28", {"antminer-s19": 2})
    miner = await parts.driver.identify("127.20.73.1")
    stranger = replace(miner, mac="02:5e:e0:ff:ff:01")
    outcomes = await parts.commands(QUICK).reboot([stranger])
    outcomes += await parts.commands(QUICK).lights([stranger], on=True)
    assert [outcome.done for outcome in outcomes] == [False, False]
    assert "answers here now" in outcomes[0].detail
    assert site.truth("127.20.73.1")["restart_count"] == 0


@pytest.mark.parametrize("family", ["antminer-s19", "whatsminer-v2", "luxos", "vnish", "avalon"])
async def test_the_light_goes_on_and_off(simulated_site: "StartSite", parts: MinerParts, family: str) -> None:
    await asyncio.to_thread(simulated_site, "127.20.74.0/28", {family: 1})
    miner = await parts.driver.identify("127.20.74.1")
    commands = parts.commands(QUICK)
    for on in (True, False):
        (outcome,) = await commands.lights([miner], on=on)
        assert outcome.done, outcome.detail


async def test_a_family_without_a_light_says_so(simulated_site: "StartSite", parts: MinerParts) -> None:
    await asyncio.to_thread(simulated_site, "127.20.75.0/28", {"bitaxe": 1})
    miner = await parts.driver.identify("127.20.75.1")
    (outcome,) = await parts.commands(QUICK).lights([miner], on=True)
    assert not outcome.done
    assert "light" in outcome.detail


async def test_the_pace_is_kept_over_everything_that_shares_it() -> None:
    pace = Pace(per_minute=1200, clock=SystemClock())  # one each 50 ms
    began_s = time.monotonic()
    await asyncio.gather(*(pace.turn() for _ in range(6)))
    assert time.monotonic() - began_s >= 0.24
