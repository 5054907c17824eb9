"""One suite for every miner driver: what a driver promises, whichever library is behind it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from hashyard_agent.adapters.asic_rs_driver import AsicRsDriver, AsicRsWorker, installed
from hashyard_agent.adapters.credentials import CredentialStore
from hashyard_agent.adapters.fast_reader import ProfileReader
from hashyard_agent.adapters.fingerprint import Fingerprinter
from hashyard_agent.adapters.pyasic_driver import PyasicDriver
from hashyard_agent.adapters.two_drivers import TwoDrivers
from hashyard_agent.adapters.wire import HttpWire
from hashyard_agent.errors import MinerConnectionError, MinerError, MinerRefusedError
from hashyard_agent.ports import Details, MinerDriver
from hashyard_profiles import load
from hashyard_shared.clock import SystemClock
from hashyard_support.site import SimulatedSite

SUBNET = "127.20.96.0/28"
FAMILIES = ("antminer-s19", "luxos", "bitaxe", "avalon", "whatsminer-v3", "antminer-old")
ADDRESS_OF = {family: f"127.20.96.{number}" for number, family in enumerate(FAMILIES, start=1)}
V2 = "127.20.96.8"
NOBODY = "127.20.96.14"
CALL_TIMEOUT_S = 3.0


@pytest.fixture(scope="module")
def site() -> Iterator[SimulatedSite]:
    if os.geteuid() != 0:
        pytest.skip("most families are simulated on ports below 1024, which needs root")
    counts = dict.fromkeys(FAMILIES, 1) | {"antminer-old": 2, "whatsminer-v2": 1}
    with SimulatedSite.start(SUBNET, counts, "--restart-seconds", "0.3") as started:
        yield started


@pytest.fixture(params=["pyasic", "asic-rs", "both"])
async def driver(request: pytest.FixtureRequest) -> AsyncIterator[MinerDriver]:
    if request.param != "pyasic" and not installed():
        pytest.skip("the extra asic-rs is not installed")
    profiles, http, worker = load(), HttpWire(), AsicRsWorker(SystemClock())
    reader = ProfileReader(profiles, http, CredentialStore())
    fingerprinter = Fingerprinter(profiles, http, probe_timeout_s=1.0)
    first = PyasicDriver(
        profiles, reader, fingerprinter, call_timeout_s=CALL_TIMEOUT_S, identify_timeout_s=CALL_TIMEOUT_S
    )
    second = AsicRsDriver(profiles, reader, fingerprinter, worker, call_timeout_s=CALL_TIMEOUT_S)
    both = TwoDrivers(profiles, first, second)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(http.close)
        stack.push_async_callback(worker.close)
        drivers: dict[str, MinerDriver] = {"pyasic": first, "asic-rs": second, "both": both}
        yield drivers[request.param]


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_miner_is_identified(site: SimulatedSite, driver: MinerDriver, family: str) -> None:
    real = site.truth(ADDRESS_OF[family])
    identity = await driver.identify(ADDRESS_OF[family])
    assert (identity.mac, identity.ip) == (real["mac"], real["ip"])
    assert identity.model == real["model"]
    assert identity.family in load()


@pytest.mark.parametrize("family", FAMILIES)
async def test_details_are_the_devices(site: SimulatedSite, driver: MinerDriver, family: str) -> None:
    details = await driver.details(await driver.identify(ADDRESS_OF[family]))
    real = site.truth(ADDRESS_OF[family])
    fans = [rpm for rpm in details.fans_rpm if rpm is not None]
    assert fans
    assert fans == real["fans_rpm"][: len(fans)]
    active = next(pool for pool in real["pools"] if pool["active"])
    shown = next(pool for pool in details.pools if pool.active)
    assert (shown.url, shown.worker) == (active["url"], active["user"])
    assert len(details.boards) == len(real["boards"])
    _check_boards(details, real["boards"])


def _check_boards(details: Details, real: list[dict[str, float]]) -> None:
    """What is told is right; a driver may tell nothing of a board, but never something wrong."""
    for seen, board in zip(details.boards, real, strict=True):
        if seen.hashrate_ths is not None:
            assert seen.hashrate_ths == pytest.approx(board["hashrate_ths"], rel=0.01)
        if seen.temp_board_c is not None:
            assert seen.temp_board_c == pytest.approx(board["temp_pcb_c"], abs=1)
        if seen.temp_chip_c is not None:
            assert seen.temp_chip_c == pytest.approx(board["temp_chip_c"], abs=1)


async def test_nobody_is_an_error_that_names_the_address(site: SimulatedSite, driver: MinerDriver) -> None:
    with pytest.raises(MinerConnectionError) as caught:
        await driver.identify(NOBODY)
    assert caught.value.ip == NOBODY


async def test_a_hung_miner_is_an_error_within_the_deadline(site: SimulatedSite, driver: MinerDriver) -> None:
    ip = ADDRESS_OF["luxos"]
    identity = await driver.identify(ip)
    site.fault(ip, "hang")
    try:
        with pytest.raises(MinerError):
            async with asyncio.timeout(4 * CALL_TIMEOUT_S):
                await driver.details(identity)
    finally:
        site.heal(ip)


async def test_a_dead_miner_is_never_plausible_figures(site: SimulatedSite, driver: MinerDriver) -> None:
    ip = ADDRESS_OF["bitaxe"]
    identity = await driver.identify(ip)
    site.fault(ip, "drop")
    try:
        with pytest.raises(MinerError):
            await driver.details(identity)
    finally:
        site.heal(ip)


async def test_reading_writes_nothing(site: SimulatedSite, driver: MinerDriver) -> None:
    for ip in [*ADDRESS_OF.values(), V2]:
        before = site.truth(ip)
        identity = await driver.identify(ip)
        try:
            await driver.details(identity)
        except MinerRefusedError:
            assert ip == V2  # the second driver keeps away from it
        after = site.truth(ip)
        assert after["counters"]["writes"] == before["counters"]["writes"]
        assert after["settings"] == before["settings"]
        assert [pool["url"] for pool in after["pools"]] == [pool["url"] for pool in before["pools"]]


@pytest.mark.skipif(not installed(), reason="the extra asic-rs is not installed")
async def test_the_second_driver_only_reads_and_keeps_away_from_one_family(site: SimulatedSite) -> None:
    profiles, http, worker = load(), HttpWire(), AsicRsWorker(SystemClock())
    reader = ProfileReader(profiles, http, CredentialStore())
    driver = AsicRsDriver(profiles, reader, Fingerprinter(profiles, http), worker)
    identity = await driver.identify(V2)
    requests = site.truth(V2)["counters"]["requests"]
    for call in (driver.details(identity), driver.set_led(identity, True), driver.reboot(identity)):
        with pytest.raises(MinerRefusedError):
            await call
    assert site.truth(V2)["counters"]["requests"] == requests
    await worker.close()
    await http.close()


@pytest.mark.skipif(not installed(), reason="the extra asic-rs is not installed")
async def test_the_second_drivers_process_may_die_without_harm(site: SimulatedSite) -> None:
    profiles, http, worker = load(), HttpWire(), AsicRsWorker(SystemClock())
    reader = ProfileReader(profiles, http, CredentialStore())
    driver = AsicRsDriver(profiles, reader, Fingerprinter(profiles, http), worker)
    identity = await driver.identify(ADDRESS_OF["luxos"])
    assert (await driver.details(identity)).boards
    assert worker._process is not None
    worker._process.kill()
    await worker._process.wait()
    assert (await driver.details(identity)).boards
    await worker.close()
    await http.close()
