"""pyasic, unchanged, must recognise every simulated family and read what the device truly does.

It is the strictest reader at hand that was written by others: what convinces it is close to the real wire.
"""

import asyncio
import copy
import gc
import importlib
import logging
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from hashyard_simulator import truth
from hashyard_simulator.device import Device
from hashyard_simulator.farm import Farm
from hashyard_simulator.spec import FarmSpec, parse_site

pytestmark = [
    # pyasic cancels its other probes once one has an answer, and leaks the sockets that were just connecting.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    # It calls passlib in a way that passlib means to drop.
    pytest.mark.filterwarnings("ignore:passing settings to md5_crypt:DeprecationWarning"),
]

SUBNET = "127.10.1.0/24"
RATE_TOLERANCE = 0.02
IDENTIFY_TRIES = 12
PORTS_OPEN_AGAIN_S = 0.2


@dataclass(frozen=True)
class Case:
    """One model of a family: its place in the family's list, and what pyasic calls it."""

    family: str
    index: int
    class_name: str
    model: str
    unread: frozenset[str] = frozenset()
    """What pyasic 0.79.0 does not read from this family at all, whatever the device says."""


_NO_SERIALS = frozenset({"serial", "board_serials"})
CASES = [
    Case("antminer-s19", 0, "BMMinerS19", "S19 (Stock)", frozenset({"power_w"})),
    Case("antminer-s19", 1, "BMMinerS19jPro", "S19j Pro (Stock)", frozenset({"power_w"})),
    Case("antminer-s19", 2, "BMMinerS21", "S21 (Stock)", frozenset({"power_w"})),
    Case("whatsminer-v2", 0, "BTMinerM30SPlusPlusVH40", "M30S++ VH40 (Stock)"),
    Case("whatsminer-v2", 1, "BTMinerM50VH50", "M50 VH50 (Stock)"),
    Case("whatsminer-v2", 2, "BTMinerM60VK30", "M60 VK30 (Stock)"),
    Case("luxos", 0, "LUXMinerS19", "S19 (LuxOS)", _NO_SERIALS | {"mac"}),
    Case("luxos", 1, "LUXMinerS19jPro", "S19j Pro (LuxOS)", _NO_SERIALS | {"mac"}),
    Case("vnish", 0, "VNishS19", "S19 (VNish)", _NO_SERIALS),
    Case("vnish", 1, "VNishS19jPro", "S19j Pro (VNish)", _NO_SERIALS),
    Case("bitaxe", 0, "BitAxeUltra", "Ultra (Stock)", _NO_SERIALS | {"pools"}),
    Case("bitaxe", 1, "BitAxeGamma", "Gamma (Stock)", _NO_SERIALS | {"pools"}),
    Case("antminer-old", 0, "BMMinerS9", "S9 (Stock)", _NO_SERIALS | {"power_w", "mac"}),
    Case("antminer-old", 1, "BMMinerS17", "S17 (Stock)", _NO_SERIALS | {"power_w", "firmware"}),
    Case("whatsminer-v3", 0, "BTMinerM60VK30", "M60 VK30 (Stock)", frozenset({"pools", "temps"})),
    Case("whatsminer-v3", 1, "BTMinerM50VH50", "M50 VH50 (Stock)", frozenset({"pools", "temps"})),
    Case("braiins", 0, "BOSMinerS19", "S19 (BOS+)", frozenset({"serial"})),
    Case("braiins", 1, "BOSMinerS19jPro", "S19j Pro (BOS+)", frozenset({"serial"})),
    Case("avalon", 0, "CGMinerAvalon1246", "Avalon 1246 (Stock)", _NO_SERIALS | {"firmware", "power_w", "temps"}),
]


@pytest.fixture(scope="session")
def pyasic() -> ModuleType:
    """pyasic, whose import sets up the root logger (undone here) and uses deprecated pydantic settings."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = importlib.import_module("pyasic")
    root.setLevel(level)
    root.handlers[:] = handlers
    return module


@pytest.fixture(autouse=True)
def _leaks_stay_here() -> Iterator[None]:
    """Collects what pyasic leaked while this file's filter still applies."""
    yield
    gc.collect()


@pytest.fixture(params=CASES, ids=lambda case: f"{case.family}-{case.index}")
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


@pytest.fixture
async def device(case: Case) -> AsyncIterator[Device]:
    """The device of the case, alone with its neighbours on a site."""
    site = parse_site(f"name=lab,subnet={SUBNET},{case.family}={case.index + 1},customers=alpine")
    async with Farm(FarmSpec(sites=(site,), restart_seconds=0.2)) as farm:
        yield farm.devices[case.index]


async def identify(pyasic: ModuleType, device: Device, case: Case) -> Any:
    """Asks until the class is right: VNish is taken for stock firmware whenever port 4028 answers first."""
    for _ in range(IDENTIFY_TRIES):
        miner = await pyasic.get_miner(device.identity.ip)
        if type(miner).__name__ == case.class_name:
            return miner
    pytest.fail(f"identified as {type(miner).__name__}, not as {case.class_name}")


async def test_pyasic_identifies_and_reads_a_family(case: Case, device: Device, pyasic: ModuleType) -> None:
    miner = await identify(pyasic, device, case)
    assert miner.model == case.model

    data = await miner.get_data()
    true = truth.full(device)
    assert float(data.hashrate) == pytest.approx(true["hashrate_ths"], rel=RATE_TOLERANCE)
    assert [fan.speed for fan in data.fans] == true["fans_rpm"]
    assert abs(data.uptime - true["uptime_s"]) <= 1
    _check_boards(data, true, case.unread)
    if "firmware" not in case.unread:
        assert data.fw_ver == true["firmware"]
    if "mac" not in case.unread:
        assert data.mac.lower() == true["mac"]
    if "serial" not in case.unread:
        assert data.serial_number == true["serial"]
    if "power_w" not in case.unread:
        assert data.wattage == pytest.approx(true["power_w"], rel=RATE_TOLERANCE)
    if "pools" not in case.unread:
        _check_pools(data, true)


def _check_boards(data: Any, true: dict[str, Any], unread: frozenset[str]) -> None:
    assert len(data.hashboards) == len(true["boards"])
    for board, expected in zip(data.hashboards, true["boards"], strict=True):
        assert board.missing is False
        assert float(board.hashrate) == pytest.approx(expected["hashrate_ths"], rel=RATE_TOLERANCE)
        assert board.chips == expected["chips"]
        if "temps" not in unread:
            assert board.temp == pytest.approx(expected["temp_pcb_c"], abs=1)
            assert board.chip_temp == pytest.approx(expected["temp_chip_c"], abs=1)
        if "board_serials" not in unread:
            assert board.serial_number == expected["serial"]


def _check_pools(data: Any, true: dict[str, Any]) -> None:
    assert [str(pool.url) for pool in data.pools] == [pool["url"] for pool in true["pools"]]
    assert [pool.user for pool in data.pools] == [pool["user"] for pool in true["pools"]]
    assert [pool.active for pool in data.pools] == [pool["active"] for pool in true["pools"]]
    assert all(pool.alive for pool in data.pools)
    for pool, expected in zip(data.pools, true["pools"], strict=True):
        assert expected["accepted"] - 5 <= pool.accepted <= expected["accepted"]


async def test_pyasic_reads_the_configured_pools(case: Case, device: Device, pyasic: ModuleType) -> None:
    miner = await identify(pyasic, device, case)
    config = await miner.get_config()
    (group,) = config.pools.groups
    shown = device.pools[:1] if case.family == "bitaxe" else device.pools
    assert [pool.url for pool in group.pools] == [pool.url for pool in shown]
    assert [pool.user for pool in group.pools] == [pool.user for pool in shown]


async def test_a_site_of_all_families_is_found_with_bounded_concurrency(pyasic: ModuleType) -> None:
    families = dict.fromkeys(case.family for case in CASES)
    text = f"name=mix,subnet={SUBNET}," + ",".join(f"{family}=2" for family in families)
    async with Farm(FarmSpec(sites=(parse_site(text),))) as farm:
        gate = asyncio.Semaphore(4)

        async def find(ip: str) -> Any:
            async with gate:
                return await pyasic.get_miner(ip)

        found = await asyncio.gather(*(find(device.identity.ip) for device in farm.devices))
        assert [str(miner.ip) for miner in found] == [device.identity.ip for device in farm.devices]


# -- two pools written through pyasic's raw clients ------------------------------------------------------

HOLDING = ("stratum+tcp://hold.example:3333", "host.hold", "secret")
BACKUP = ("stratum+tcp://back.example:25", "host.back", "x")
WEB_POOLS = [dict(zip(("url", "user", "pass"), pool, strict=True)) for pool in (HOLDING, BACKUP)]


async def write_antminer(miner: Any) -> None:
    conf = await miner.web.get_miner_conf()
    document = {
        "bitmain-fan-ctrl": conf["bitmain-fan-ctrl"],
        "bitmain-fan-pwm": conf["bitmain-fan-pwm"],
        "freq-level": conf["bitmain-freq-level"],
        "miner-mode": conf["bitmain-work-mode"],
        "pools": [*WEB_POOLS, {"url": "", "user": "", "pass": ""}],
    }
    assert (await miner.web.set_miner_conf(document))["code"] == "M000"


async def write_whatsminer_v2(miner: Any) -> None:
    fields = {
        f"{name}_{number}": value
        for number, pool in enumerate((HOLDING, BACKUP), start=1)
        for name, value in zip(("pool", "worker", "passwd"), pool, strict=True)
    }
    assert (await miner.rpc.update_pools(**fields))["Code"] == 131


async def write_whatsminer_v3(miner: Any) -> None:
    pools = [dict(zip(("pool", "worker", "passwd"), pool, strict=True)) for pool in (HOLDING, BACKUP)]
    assert (await miner.rpc.send_command("set.miner.pools", parameters=pools))["code"] == 0


async def write_luxos(miner: Any) -> None:
    await miner.rpc.addpool(*HOLDING)
    await miner.rpc.addpool(*BACKUP)
    await miner.rpc.switchpool("3")
    for _ in range(3):
        await miner.rpc.removepool("0")


async def write_vnish(miner: Any) -> None:
    await miner.web.post_settings({"miner": {"pools": WEB_POOLS}})


async def write_braiins(miner: Any) -> None:
    proto = importlib.import_module("pyasic.web.braiins_os.proto.braiins.bos.v1")
    old = (await miner.web.get_miner_configuration())["poolGroups"][0]
    pools = [proto.PoolConfiguration(url=p[0], user=p[1], password=p[2]) for p in (HOLDING, BACKUP)]
    quota = proto.Quota(value=old["quota"]["value"])
    group = proto.PoolGroupConfiguration(uid=old["uid"], name=old["name"], quota=quota, pools=pools)
    await miner.web.set_pool_groups([group])


WRITERS: dict[str, Callable[[Any], Awaitable[None]]] = {
    "antminer-s19": write_antminer,
    "whatsminer-v2": write_whatsminer_v2,
    "whatsminer-v3": write_whatsminer_v3,
    "luxos": write_luxos,
    "vnish": write_vnish,
    "braiins": write_braiins,
}
WRITTEN = [case for case in CASES if case.family in WRITERS and case.index == 0]


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.family, indirect=True)
async def test_pools_written_through_raw_clients_are_used_and_read_back(
    case: Case, device: Device, pyasic: ModuleType
) -> None:
    before = copy.deepcopy(device.settings)
    miner = await identify(pyasic, device, case)
    await WRITERS[case.family](miner)
    await asyncio.sleep(device.restarting_for_s + PORTS_OPEN_AGAIN_S)

    kept = [pool for pool in device.pools if pool.url]
    assert [(p.url, p.user, p.password) for p in kept] == [HOLDING, BACKUP]
    assert device.active_pool() is kept[0]
    assert device.settings == before
    if "pools" not in case.unread:
        data = await miner.get_data(include=[pyasic.miners.data.DataOptions.POOLS])
        assert [(str(p.url), p.user, p.active) for p in data.pools if p.url] == [
            (HOLDING[0], HOLDING[1], True),
            (BACKUP[0], BACKUP[1], False),
        ]


async def test_the_library_own_writer_is_caught_resetting_settings(pyasic: ModuleType) -> None:
    case = CASES[0]
    site = parse_site(f"name=lab,subnet={SUBNET},{case.family}=1")
    async with Farm(FarmSpec(sites=(site,), restart_seconds=0.1)) as farm:
        device = farm.devices[0]
        before = dict(device.settings)
        miner = await identify(pyasic, device, case)
        await miner.send_config(await miner.get_config())
        assert device.settings != before
        assert device.settings["bitmain-freq-level"] == "100"


@pytest.mark.parametrize(
    ("patch", "message"),
    [({"api_write": False}, "can't access write cmd"), ({"password": "other"}, "enc json load err")],
    ids=["writes locked", "password changed"],
)
async def test_whatsminer_refuses_writes(patch: dict[str, Any], message: str, pyasic: ModuleType) -> None:
    case = next(case for case in CASES if case.family == "whatsminer-v2")
    site = parse_site(f"name=lab,subnet={SUBNET},{case.family}=1")
    async with Farm(FarmSpec(sites=(site,))) as farm:
        device = farm.devices[0]
        device.password = patch.get("password", device.password)
        device.settings.update({name: value for name, value in patch.items() if name in device.settings})
        miner = await identify(pyasic, device, case)
        with pytest.raises(pyasic.APIError, match=message):
            await write_whatsminer_v2(miner)
        assert len(device.pools) == 3
        assert device.counters.denied == 1
