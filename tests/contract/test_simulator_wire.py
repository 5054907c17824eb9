"""The traps of each firmware, on the bare wire."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from hashyard_simulator.device import Device
from hashyard_simulator.farm import Farm
from hashyard_simulator.md5crypt import md5_crypt
from hashyard_simulator.spec import FarmSpec, parse_site

SUBNET = "127.10.2.0/24"
PORTS_OPEN_AGAIN_S = 0.15
FACTORY_PASSWORD = "root"


@asynccontextmanager
async def one(family: str, **options: Any) -> AsyncIterator[Device]:
    """A farm of a single device."""
    options = {"restart_seconds": 0.1, "share_seconds": 0.01} | options
    async with Farm(FarmSpec(sites=(parse_site(f"name=w,subnet={SUBNET},{family}=1"),), **options)) as farm:
        yield farm.devices[0]


async def raw(ip: str, payload: bytes) -> bytes:
    """One exchange on port 4028: everything until the device closes."""
    reader, writer = await asyncio.open_connection(ip, 4028)
    try:
        writer.write(payload)
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def ask(device: Device, command: str, parameter: Any = None) -> dict[str, Any]:
    request = {"command": command} | ({} if parameter is None else {"parameter": parameter})
    answer = await raw(device.identity.ip, json.dumps(request).encode())
    assert answer.endswith(b"\x00")
    parsed: dict[str, Any] = json.loads(answer[:-1])
    return parsed


@asynccontextmanager
async def digest(password: str = FACTORY_PASSWORD) -> AsyncIterator[aiohttp.ClientSession]:
    auth = aiohttp.DigestAuthMiddleware("root", password)
    async with aiohttp.ClientSession(middlewares=(auth,)) as session:
        yield session


def pool_rows(*pools: tuple[str, str, str]) -> list[dict[str, str]]:
    return [dict(zip(("url", "user", "pass"), pool, strict=True)) for pool in pools]


# -- the cgminer API -------------------------------------------------------------------------------------


async def test_a_split_request_is_answered_once_and_the_connection_closes() -> None:
    async with one("cgminer") as device:
        reader, writer = await asyncio.open_connection(device.identity.ip, 4028)
        writer.write(b'{"command":')
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(b'"version"}')
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert json.loads(answer[:-1])["VERSION"][0]["CGMiner"] == device.model.firmware


async def test_joined_commands_are_answered_by_name() -> None:
    async with one("cgminer") as device:
        answer = await ask(device, "summary+pools")
        assert answer.keys() == {"summary", "pools", "id"}
        assert len(answer["pools"][0]["POOLS"]) == 3


async def test_unknown_commands_have_code_14() -> None:
    async with one("cgminer") as device:
        (status,) = (await ask(device, "nonsense"))["STATUS"]
        assert (status["STATUS"], status["Code"], status["Msg"]) == ("E", 14, "Invalid command")


async def test_pools_are_changed_one_by_one_and_renumbered() -> None:
    async with one("cgminer") as device:
        assert (await ask(device, "removepool", "0"))["STATUS"][0]["Code"] == 67  # the active pool
        assert (await ask(device, "removepool", "9"))["STATUS"][0]["Code"] == 8
        added = await ask(device, "addpool", "stratum+tcp://h.example:1,w\\,x,a\\\\b")
        assert added["STATUS"][0]["Msg"] == "Added pool 3: 'stratum+tcp://h.example:1'"
        await ask(device, "switchpool", "3")
        assert device.active_pool() is device.pools[3]
        for _ in range(3):
            assert (await ask(device, "removepool", "0"))["STATUS"][0]["STATUS"] == "S"
        assert [(p.url, p.user, p.password) for p in device.pools] == [
            ("stratum+tcp://h.example:1", "w,x", "a\\b")
        ]
        assert (await ask(device, "removepool", "0"))["STATUS"][0]["Code"] == 66  # the last pool
        (row,) = (await ask(device, "pools"))["POOLS"]
        assert row["POOL"] == 0
        assert "a\\b" not in json.dumps(row)


# -- Antminer --------------------------------------------------------------------------------------------


async def test_s19_refuses_joined_commands_and_pool_commands_on_4028() -> None:
    async with one("antminer-s19") as device:
        assert (await ask(device, "summary+stats"))["STATUS"][0]["Code"] == 14
        assert (await ask(device, "addpool", "a,b,c"))["STATUS"][0]["Code"] == 45
        assert len(device.pools) == 3


async def test_s19_write_replaces_the_whole_configuration() -> None:
    async with one("antminer-s19") as device, digest() as session:
        base = f"http://{device.identity.ip}/cgi-bin"
        document = {"pools": pool_rows(("stratum+tcp://h.example:1", "w", "p"))}
        async with session.post(f"{base}/set_miner_conf.cgi", json=document) as response:
            assert await response.json() == {"stats": "success", "code": "M000", "msg": "OK!"}
        async with session.get(f"{base}/get_miner_conf.cgi") as response:
            conf = await response.json()
        assert conf["pools"] == pool_rows(("stratum+tcp://h.example:1", "w", "p"), ("", "", ""), ("", "", ""))
        factory = {"bitmain-fan-ctrl": False, "bitmain-fan-pwm": "100", "bitmain-freq-level": "100"}
        assert {name: conf[name] for name in factory} == factory
        assert device.restart_count == 1


async def test_s19_ignores_the_read_names_in_a_write() -> None:
    async with one("antminer-s19") as device, digest() as session:
        document = {"bitmain-freq-level": "90", "bitmain-work-mode": "1", "pools": []}
        url = f"http://{device.identity.ip}/cgi-bin/set_miner_conf.cgi"
        async with session.post(url, json=document) as response:
            assert (await response.json())["code"] == "M000"
        assert device.settings["bitmain-freq-level"] == "100"
        assert not device.asleep


async def test_s19_restarts_mining_on_a_write_while_the_page_stays() -> None:
    async with one("antminer-s19", restart_seconds=0.4) as device, digest() as session:
        ip = device.identity.ip
        document = {"pools": pool_rows(("stratum+tcp://h.example:1", "w", "p"))}
        async with session.post(f"http://{ip}/cgi-bin/set_miner_conf.cgi", json=document) as response:
            assert response.status == 200
        await asyncio.sleep(0.1)
        with pytest.raises(ConnectionRefusedError):
            await raw(ip, b'{"command":"pools"}')
        async with session.get(f"http://{ip}/cgi-bin/get_miner_conf.cgi") as response:
            assert response.status == 200
        assert device.reading().hashrate_ths == 0
        await asyncio.sleep(device.restarting_for_s + PORTS_OPEN_AGAIN_S)
        rows = (await ask(device, "pools"))["POOLS"]
        assert [row["Stratum Active"] for row in rows] == [True, False, False]
        assert device.reading().hashrate_ths > 0


@pytest.mark.parametrize("body", [b"", b"{", b'{"pools": 3}', b'{"pools": [{"url": "x"}]}', b"[]"])
async def test_s19_answers_m001_to_what_it_cannot_read(body: bytes) -> None:
    async with one("antminer-s19") as device, digest() as session:
        url = f"http://{device.identity.ip}/cgi-bin/set_miner_conf.cgi"
        async with session.post(url, data=body) as response:
            assert (await response.json())["code"] == "M001"
        assert device.restart_count == 0


async def test_s19_challenges_and_refuses_a_wrong_password() -> None:
    async with one("antminer-s19") as device, aiohttp.ClientSession() as bare, digest("wrong") as session:
        url = f"http://{device.identity.ip}/"
        async with bare.get(url) as response:
            assert response.status == 401
            assert 'Digest realm="antMiner Configuration"' in response.headers["WWW-Authenticate"]
        async with session.get(url) as response:
            assert response.status == 401
        assert device.counters.denied >= 1


async def test_old_antminer_takes_a_form_and_answers_text() -> None:
    async with one("antminer-old") as device, digest() as session:
        form = {"_ant_pool1url": "stratum+tcp://h.example:1", "_ant_pool1user": "w", "_ant_pool1pw": "p"}
        form |= {"_ant_fan_customize_switch": "true", "_ant_fan_customize_value": "70", "_ant_freq": "600"}
        url = f"http://{device.identity.ip}/cgi-bin/set_miner_conf.cgi"
        async with session.post(url, data=form) as response:
            assert await response.text() == "ok"
        assert [(p.url, p.user, p.password) for p in device.pools] == [
            ("stratum+tcp://h.example:1", "w", "p"),
            ("", "", ""),
            ("", "", ""),
        ]
        assert device.settings["bitmain-freq"] == "600"
        assert device.settings["bitmain-voltage"] == "0706"


# -- the others ------------------------------------------------------------------------------------------


async def test_luxos_has_one_session_and_wants_strings() -> None:
    async with one("luxos") as device:
        session = (await ask(device, "logon"))["SESSION"][0]["SessionID"]
        assert (await ask(device, "logon"))["STATUS"][0]["Code"] == 402
        assert (await ask(device, "curtail", "wrong,sleep"))["STATUS"][0]["STATUS"] == "E"
        assert (await ask(device, "curtail", f"{session},sleep"))["STATUS"][0]["STATUS"] == "S"
        assert device.asleep
        assert (await ask(device, "switchpool", 1))["STATUS"][0]["STATUS"] == "E"
        assert (await ask(device, "logoff", session))["STATUS"][0]["STATUS"] == "S"
        assert (await ask(device, "logon"))["SESSION"][0]["SessionID"]


async def test_whatsminer_redirects_to_tls_and_refuses_plain_writes() -> None:
    async with one("whatsminer-v2") as device, aiohttp.ClientSession() as session:
        url = f"http://{device.identity.ip}/"
        async with session.get(url, allow_redirects=False) as response:
            assert response.status == 307
            assert response.headers["Location"] == f"https://{device.identity.ip}/"
        async with session.get(url, ssl=False) as response:
            assert "/cgi-bin/luci" in await response.text()
        assert (await ask(device, "update_pools"))["STATUS"] == "E"
        token = (await ask(device, "get_token"))["Msg"]
        assert token.keys() == {"time", "salt", "newsalt"}
        bogus = await raw(device.identity.ip, b'{"enc":1,"data":"AAAAAAAAAAAAAAAAAAAAAA=="}')
        assert json.loads(bogus[:-1])["STATUS"] == "E"
        assert device.counters.denied == 1


def test_md5_crypt_agrees_with_openssl() -> None:
    assert md5_crypt("password", "abcdefgh") == "G//4keteveJp0qb8z2DxG/"
    assert md5_crypt("a much longer pass phrase than sixteen", "x") == "z2FdrEcW3ibGZgcaFQu1v."


async def test_vnish_merges_settings_and_hides_the_scheme() -> None:
    async with one("vnish") as device, aiohttp.ClientSession() as session:
        base = f"http://{device.identity.ip}/api/v1"
        async with session.post(f"{base}/unlock", json={"pw": "wrong"}) as response:
            assert response.status == 403
        async with session.get(f"{base}/settings") as response:
            assert response.status == 401
        async with session.post(f"{base}/unlock", json={"pw": "admin"}) as response:
            headers = {"Authorization": (await response.json())["token"]}
        before = {name: device.settings[name] for name in ("cooling", "misc", "preset_share")}
        document = {"miner": {"pools": pool_rows(("h.example:1", "w", "p"))}}
        async with session.post(f"{base}/settings", json=document, headers=headers) as response:
            assert await response.json() == {"restart_required": False, "reboot_required": False}
        async with session.get(f"{base}/settings", headers=headers) as response:
            (shown,) = (await response.json())["miner"]["pools"]
        assert shown == {"url": "h.example:1", "user": "w", "pass": "p", "order": 0}
        assert device.pools[0].url == "stratum+tcp://h.example:1"
        assert {name: device.settings[name] for name in before} == before


async def test_bitaxe_shows_new_pools_at_once_but_uses_them_after_a_restart() -> None:
    async with one("bitaxe") as device, aiohttp.ClientSession() as session:
        base = f"http://{device.identity.ip}/api/system"
        frequency = device.settings["frequency"]
        change = {"stratumURL": "h.example", "stratumPort": 1, "stratumUser": "w", "stratumPassword": "p"}
        async with session.patch(base, json=change) as response:
            assert (response.status, await response.read()) == (200, b"")
        async with session.get(f"{base}/info") as response:
            info = await response.json()
        assert (info["stratumURL"], info["stratumPort"], info["stratumUser"]) == ("h.example", 1, "w")
        assert "p" not in (info.get("stratumPassword"), info.get("fallbackStratumPassword"))
        old = device.active_pool()
        assert old is not None
        assert old.url == "stratum+tcp://pool-a.example:3333"
        async with session.post(f"{base}/restart") as response:
            assert response.status == 200
        await asyncio.sleep(device.restarting_for_s + PORTS_OPEN_AGAIN_S)
        new = device.active_pool()
        assert new is not None
        assert (new.url, new.user, new.password) == ("stratum+tcp://h.example:1", "w", "p")
        assert device.pools[1].url == "stratum+tcp://pool-b.example:3333"
        assert device.settings["frequency"] == frequency


async def test_bitaxe_takes_a_scheme_for_a_part_of_the_host() -> None:
    async with one("bitaxe") as device, aiohttp.ClientSession() as session:
        base = f"http://{device.identity.ip}/api/system"
        for host in ("stratumURL", "fallbackStratumURL"):
            async with session.patch(base, json={host: "stratum+tcp://h.example"}) as response:
                assert response.status == 200
        async with session.post(f"{base}/restart") as response:
            assert response.status == 200
        await asyncio.sleep(device.restarting_for_s + PORTS_OPEN_AGAIN_S)
        assert device.active_pool() is None
        assert device.reading().hashrate_ths == 0


async def test_avalon_uses_a_new_pool_after_a_restart() -> None:
    async with one("avalon") as device:
        setting = "0,setpool,root,root,0,stratum+tcp://h.example:1,w,p"
        assert (await ask(device, "ascset", setting))["STATUS"][0]["Code"] == 119
        assert device.pools[0].url == "stratum+tcp://pool-a.example:3333"
        assert (await ask(device, "restart"))["STATUS"] == "RESTART"
        await asyncio.sleep(device.restarting_for_s + PORTS_OPEN_AGAIN_S)
        assert (await ask(device, "pools"))["POOLS"][0]["URL"] == "stratum+tcp://h.example:1"
