"""Every fault does what it says, and the state behind it stays true."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from hashyard_simulator import truth
from hashyard_simulator.control import ControlServer
from hashyard_simulator.device import Device
from hashyard_simulator.farm import Farm
from hashyard_simulator.faults import FaultKind
from hashyard_simulator.spec import FarmSpec, parse_site

SUBNET = "127.10.3.0/24"
PORTS_OPEN_AGAIN_S = 0.15
PATIENCE_S = 0.15
FAMILIES = [
    "antminer-s19",
    "antminer-old",
    "whatsminer-v2",
    "whatsminer-v3",
    "luxos",
    "vnish",
    "bitaxe",
    "braiins",
    "avalon",
    "cgminer",
]
WITH_4028 = [family for family in FAMILIES if family != "bitaxe"]


@asynccontextmanager
async def one(family: str, count: int = 1) -> AsyncIterator[tuple[Farm, Device]]:
    site = parse_site(f"name=f,subnet={SUBNET},{family}={count}")
    async with Farm(FarmSpec(sites=(site,), restart_seconds=0.1, reboot_seconds=0.4, share_seconds=0.005)) as farm:
        yield farm, farm.devices[0]


async def raw(ip: str, command: str, parameter: str = "", port: int = 4028) -> bytes:
    """One exchange; on port 80 a GET of that path."""
    request = {"command": command, "parameter": parameter}
    payload = json.dumps(request).encode() if port == 4028 else f"GET {command} HTTP/1.1\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection(ip, port)
    try:
        writer.write(payload)
        return await (reader.read() if port == 4028 else reader.readuntil(b"\r\n\r\n"))
    finally:
        writer.close()


async def probe(device: Device) -> bytes:
    """A read that the family answers without a password."""
    if device.family == "bitaxe":
        return await raw(device.identity.ip, "/api/system/info", port=80)
    command = "get_version" if device.family.startswith("whatsminer") else "version"
    return await raw(device.identity.ip, command)


async def ask(device: Device, command: str, parameter: str = "") -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((await raw(device.identity.ip, command, parameter))[:-1])
    return parsed


@pytest.fixture(params=FAMILIES)
async def lab(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Farm, Device]]:
    async with one(request.param) as pair:
        yield pair


Lab = tuple[Farm, Device]


# -- on every family -------------------------------------------------------------------------------------


async def test_hang_accepts_and_never_answers(lab: Lab) -> None:
    farm, device = lab
    await farm.inject(device.identity.ip, FaultKind.HANG, {"count": 1})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await probe(device)
    assert await probe(device)


async def test_drop_refuses_connections_until_cleared(lab: Lab) -> None:
    farm, device = lab
    await farm.inject(device.identity.ip, FaultKind.DROP, {})
    with pytest.raises(ConnectionRefusedError):
        await probe(device)
    await farm.clear_faults(device.identity.ip)
    assert await probe(device)


async def test_blackhole_never_connects_and_ends_by_itself(lab: Lab) -> None:
    farm, device = lab
    await farm.inject(device.identity.ip, FaultKind.BLACKHOLE, {"ttl_s": 0.4})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await probe(device)
    await asyncio.sleep(0.3)
    assert await probe(device)


async def test_reset_breaks_the_connection(lab: Lab) -> None:
    farm, device = lab
    await farm.inject(device.identity.ip, FaultKind.RESET, {"count": 1})
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await probe(device)
    assert await probe(device)


async def test_slow_answers_late(lab: Lab) -> None:
    farm, device = lab
    await farm.inject(device.identity.ip, FaultKind.SLOW, {"seconds": 0.2})
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    assert await probe(device)
    assert loop.time() - start_s >= 0.2


async def test_die_stops_answering_mining_and_drawing_power(lab: Lab) -> None:
    farm, device = lab
    await farm.inject(device.identity.ip, FaultKind.DIE, {})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await probe(device)
    shares = [pool.shares for pool in device.pools]
    state = truth.full(device)
    assert (state["dead"], state["hashrate_ths"], state["power_w"]) == (True, 0.0, 0)
    assert [pool.shares for pool in device.pools] == shares
    await farm.clear_faults(device.identity.ip)
    await asyncio.sleep(device.restarting_for_s + PORTS_OPEN_AGAIN_S)
    assert await probe(device)
    assert truth.full(device)["hashrate_ths"] > 0
    assert device.reading().uptime_s <= 1


async def test_move_answers_at_another_address(lab: Lab) -> None:
    farm, device = lab
    old = device.identity.ip
    await farm.inject(old, FaultKind.MOVE, {"to": "127.10.3.77"})
    assert device.identity.ip == "127.10.3.77"
    assert await probe(device)
    with pytest.raises(ConnectionRefusedError):
        await raw(old, "version", port=80 if device.family == "bitaxe" else 4028)
    assert farm.device("127.10.3.77") is device


async def test_two_devices_can_exchange_their_addresses() -> None:
    async with one("luxos", 2) as (farm, first):
        second = farm.devices[1]
        addresses = (first.identity.ip, second.identity.ip)
        await farm.inject(first.identity.ip, FaultKind.MOVE, {"to": second.identity.ip, "swap": True})
        assert (second.identity.ip, first.identity.ip) == addresses
        (row,) = (await ask(first, "config"))["CONFIG"]
        assert (row["MACAddr"], row["IPAddr"]) == (first.identity.mac, addresses[1])
        assert farm.device(addresses[0]) is second


async def test_a_death_with_an_end_finds_no_shares_meanwhile() -> None:
    async with one("cgminer") as (farm, device):
        await farm.inject(device.identity.ip, FaultKind.DIE, {"ttl_s": 0.3})
        shares = device.pools[0].shares
        await asyncio.sleep(0.35)
        device.settle()
        lived_s = device.clock.monotonic_s() - device.faults.dead_until_s
        assert 0 < device.pools[0].shares - shares <= lived_s / device.timing.share_s


async def test_swap_board_changes_mac_and_serial_but_not_the_hashboards(lab: Lab) -> None:
    farm, device = lab
    before = truth.full(device)
    await farm.inject(device.identity.ip, FaultKind.SWAP_BOARD, {})
    await asyncio.sleep(device.restarting_for_s + PORTS_OPEN_AGAIN_S)
    after = truth.full(device)
    assert after["mac"] != before["mac"]
    assert after["serial"] != before["serial"]
    assert [b["serial"] for b in after["boards"]] == [b["serial"] for b in before["boards"]]
    assert await probe(device)


async def test_lose_pools_leaves_nothing_to_mine_on(lab: Lab) -> None:
    farm, device = lab
    await farm.inject(device.identity.ip, FaultKind.LOSE_POOLS, {})
    assert device.pools == []
    assert device.reading().hashrate_ths == 0


async def test_a_reboot_closes_every_port_for_a_while(lab: Lab) -> None:
    farm, device = lab
    await farm.inject(device.identity.ip, FaultKind.RESTART, {"mode": "reboot"})
    await asyncio.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        await probe(device)
    await asyncio.sleep(device.restarting_for_s + PORTS_OPEN_AGAIN_S)
    assert await probe(device)
    assert device.restart_count == 1
    assert device.reading().uptime_s <= 1


# -- on what carries JSON --------------------------------------------------------------------------------


@pytest.mark.parametrize("family", WITH_4028)
async def test_half_json_stops_in_the_middle(family: str) -> None:
    async with one(family) as (farm, device):
        await farm.inject(device.identity.ip, FaultKind.HALF_JSON, {"count": 1})
        answer = await probe(device)
        with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
            json.loads(answer.rstrip(b"\x00"))
        assert json.loads((await probe(device))[:-1])


@pytest.mark.parametrize("family", WITH_4028)
@pytest.mark.parametrize(("mode", "shown"), [("blank", ["", "", ""]), ("empty", [])])
async def test_blank_pools_are_shown_while_the_real_ones_live(family: str, mode: str, shown: list[str]) -> None:
    async with one(family) as (farm, device):
        await farm.inject(device.identity.ip, FaultKind.BLANK_POOLS, {"count": 1, "mode": mode})
        assert [row["URL"] for row in (await ask(device, "pools"))["POOLS"]] == shown
        rows = (await ask(device, "pools"))["POOLS"]
        assert [row["URL"] for row in rows] == [pool.url for pool in device.pools]


@pytest.mark.parametrize("family", [f for f in WITH_4028 if f != "antminer-s19"])
async def test_zeros_are_shown_while_it_mines(family: str) -> None:
    async with one(family) as (farm, device):
        await farm.inject(device.identity.ip, FaultKind.ZEROS, {})
        (row,) = (await ask(device, "summary"))["SUMMARY"]
        rate = row["GHS 5s"] if "GHS 5s" in row else row["MHS 5s"]
        assert float(rate) == 0.0
        assert truth.full(device)["hashrate_ths"] > 0


# -- on writes -------------------------------------------------------------------------------------------

ADD = "stratum+tcp://h.example:1,w,p"


async def test_lie_says_ok_and_changes_nothing() -> None:
    async with one("cgminer") as (farm, device):
        await farm.inject(device.identity.ip, FaultKind.LIE, {"count": 1})
        assert (await ask(device, "addpool", ADD))["STATUS"][0]["STATUS"] == "S"
        assert len(device.pools) == 3
        assert device.write_log[-1]["outcome"] == "lied"
        assert (await ask(device, "addpool", ADD))["STATUS"][0]["STATUS"] == "S"
        assert len(device.pools) == 4


async def test_after_restart_only_holds_the_write_back() -> None:
    async with one("cgminer") as (farm, device):
        await farm.inject(device.identity.ip, FaultKind.AFTER_RESTART_ONLY, {"count": 1})
        await ask(device, "addpool", ADD)
        assert len(device.pools) == 3
        await farm.inject(device.identity.ip, FaultKind.RESTART, {})
        assert len(device.pools) == 4


@pytest.mark.parametrize("family", ["cgminer", "luxos"])
async def test_refuse_answers_with_the_protocol_error_on_writes_alone(family: str) -> None:
    async with one(family) as (farm, device):
        await farm.inject(device.identity.ip, FaultKind.REFUSE, {})
        assert (await ask(device, "addpool", ADD))["STATUS"][0]["Code"] == 45
        assert (await ask(device, "pools"))["STATUS"][0]["STATUS"] == "S"
        assert len(device.pools) == 3


@pytest.mark.parametrize("applied", [True, False])
async def test_die_on_write_leaves_the_writer_in_doubt(applied: bool) -> None:
    async with one("cgminer") as (farm, device):
        await farm.inject(device.identity.ip, FaultKind.DIE_ON_WRITE, {"applied": applied})
        with pytest.raises(ConnectionResetError):
            await ask(device, "addpool", ADD)
        await asyncio.sleep(0.05)
        assert device.dead
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await probe(device)
        assert len(device.pools) == (4 if applied else 3)


@pytest.mark.parametrize("family", ["antminer-s19", "vnish"])
async def test_auth_changes_the_password_until_cleared(family: str) -> None:
    async with one(family) as (farm, device), aiohttp.ClientSession() as session:
        await farm.inject(device.identity.ip, FaultKind.AUTH, {"password": "other"})
        base = f"http://{device.identity.ip}"

        async def status(password: str) -> int:
            if family == "vnish":
                async with session.post(f"{base}/api/v1/unlock", json={"pw": password}) as response:
                    return response.status
            auth = aiohttp.DigestAuthMiddleware(device.account, password)
            async with session.get(f"{base}/cgi-bin/get_miner_conf.cgi", middlewares=(auth,)) as response:
                return response.status

        assert await status(device.password) in {401, 403}
        assert await status("other") == 200
        await farm.clear_faults(device.identity.ip)
        assert await status(device.password) == 200


# -- pools that live and die -----------------------------------------------------------------------------


async def test_shares_advance_on_the_active_pool_alone_and_follow_it() -> None:
    async with one("cgminer") as (farm, device):
        first, second, third = device.pools
        device.settle()
        before = (first.accepted, second.accepted, third.accepted)
        await asyncio.sleep(0.1)
        device.settle()
        assert first.accepted > before[0]
        assert (second.accepted, third.accepted) == before[1:]

        farm.world.set_alive(first.url, alive=False)
        stopped = first.accepted
        await asyncio.sleep(0.1)
        rows = (await ask(device, "pools"))["POOLS"]
        assert [row["Status"] for row in rows] == ["Dead", "Alive", "Alive"]
        assert [row["Stratum Active"] for row in rows] == [False, True, False]
        assert rows[0]["Accepted"] == stopped
        assert rows[1]["Accepted"] > 0

        farm.world.set_alive(first.url, alive=True)
        assert device.active_pool() is first
        mined = {entry["url"]: entry for entry in truth.full(device)["mined"]}
        assert mined.keys() == {first.url, second.url}
        assert mined[second.url]["work_ths_s"] == pytest.approx(
            mined[second.url]["seconds"] * device.model.hashrate_ths
        )


# -- the control API -------------------------------------------------------------------------------------


@asynccontextmanager
async def control(farm: Farm) -> AsyncIterator[aiohttp.ClientSession]:
    server = ControlServer(farm, "127.0.0.1", 0)
    await server.start()
    try:
        async with aiohttp.ClientSession(base_url=server.url) as session:
            yield session
    finally:
        await server.close()


async def test_the_control_api_shows_and_bends_the_truth() -> None:
    async with one("luxos", 3) as (farm, device), control(farm) as api:
        ip = device.identity.ip
        async with api.get("/miners") as response:
            assert [m["ip"] for m in await response.json()] == [d.identity.ip for d in farm.devices]
        async with api.patch(f"/miners/{ip}", json={"hashrate_factor": 0.5}) as response:
            state = await response.json()
        assert state["hashrate_ths"] == pytest.approx(device.model.hashrate_ths / 2, rel=0.02)
        pool = {"url": "stratum+tcp://mine.example:1", "user": "op", "password": "z"}
        async with api.post(f"/miners/{ip}/press", json={"pools": [pool], "restart": True}) as response:
            state = await response.json()
        assert [(p["url"], p["user"], p["password"]) for p in state["pools"]] == [tuple(pool.values())]
        assert state["write_log"] == []
        async with api.get("/site/power") as response:
            power = await response.json()
        assert power["restarting"] == 1
        async with api.get("/site/restarts", params={"site": "f"}) as response:
            assert [entry["ip"] for entry in await response.json()] == [ip]
        assert power["power_w"] == pytest.approx(farm.power_w(), rel=0.02)
        async with api.post("/pools", json={"url": "pool-a.example:3333", "alive": False}) as response:
            assert (await response.json())["dead"] == ["pool-a.example:3333"]


async def test_the_control_api_disturbs_many_at_once() -> None:
    async with one("luxos", 3) as (farm, device), control(farm) as api:
        body = {"filter": {"family": "luxos", "limit": 2}, "kind": "drop"}
        async with api.post("/miners/faults", json=body) as response:
            assert len((await response.json())["ips"]) == 2
        with pytest.raises(ConnectionRefusedError):
            await probe(device)
        assert await probe(farm.devices[2])
        async with api.delete("/miners/faults") as response:
            assert response.status == 200
        assert await probe(device)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/miners/127.9.9.9/faults", {"kind": "hang"}, 404),
        ("/miners/127.10.3.1/faults", {"kind": "sulk"}, 422),
        ("/miners/127.10.3.1/faults", {"kind": "move", "to": "10.0.0.1"}, 422),
        ("/miners/127.10.3.1/faults", {"kind": "move", "to": "nowhere"}, 422),
        ("/miners/127.10.3.1/press", {"pools": [{"user": "x"}]}, 422),
        ("/pools", {"url": "x"}, 422),
    ],
)
async def test_the_control_api_names_what_is_wrong(path: str, body: dict[str, Any], status: int) -> None:
    async with one("cgminer") as (farm, _), control(farm) as api, api.post(path, json=body) as response:
        assert response.status == status
        assert (await response.json())["error"]
