"""The simulator as a program: the ready line, a clean stop, a thousand miners, clear words for wrong flags."""

import asyncio
import json
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hashyard_simulator import farm as farm_module
from hashyard_simulator.farm import Farm
from hashyard_simulator.spec import FarmSpec, load_spec, parse_site

READY_TIMEOUT_S = 60.0
MANY = 1000
CLIENTS = 32


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """The running program and its ready line; stopped by SIGTERM, which must end it well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hashyard_simulator",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            line = await process.stdout.readline()
        yield process, json.loads(line)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")


async def version(ip: str) -> dict[str, Any]:
    reader, writer = await asyncio.open_connection(ip, 4028)
    writer.write(b'{"command":"version"}')
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    parsed: dict[str, Any] = json.loads(answer[:-1])
    return parsed


async def test_it_says_when_it_is_ready_and_stops_when_asked() -> None:
    arguments = ("--site", "name=p,subnet=127.10.4.0/24,cgminer=2,luxos=1", "--seed", "7")
    async with program(*arguments) as (_, ready), aiohttp.ClientSession() as session:
        assert ready.keys() == {"ready", "control", "miners"}
        assert (ready["ready"], ready["miners"]) == (True, 3)
        async with session.get(f"{ready['control']}/miners") as response:
            assert [m["family"] for m in await response.json()] == ["cgminer", "cgminer", "luxos"]
        assert (await version("127.10.4.1"))["STATUS"][0]["STATUS"] == "S"


@pytest.mark.timeout(180)
async def test_a_thousand_miners_start_and_answer() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4 * MANY:
        pytest.skip(f"{hard} open files are allowed at most; {4 * MANY} are needed ({soft} now)")
    site = f"name=big,subnet=127.10.8.0/22,antminer-s19={MANY // 2},whatsminer-v2={MANY // 4},luxos={MANY // 4}"
    async with program("--site", site) as (_, ready), aiohttp.ClientSession() as session:
        assert ready["miners"] == MANY
        async with session.get(f"{ready['control']}/miners") as response:
            miners = await response.json()
        assert len({m["mac"] for m in miners}) == MANY
        gate = asyncio.Semaphore(CLIENTS)

        async def check(ip: str) -> bool:
            async with gate:
                return bool((await version(ip))["STATUS"])

        assert all(await asyncio.gather(*(check(m["ip"]) for m in miners)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to simulate"),
        (("--site", "name=x"), "subnet is missing"),
        (("--site", "name=x,subnet=127.1.0.0/24,toaster=3"), "unknown family 'toaster'"),
        (("--site", "name=x,subnet=127.1.0.0/24,luxos=many"), "is not a number of miners"),
        (("--site", "name=x,subnet=10.0.0.0/24,luxos=1"), "stay on loopback"),
        (("--site", "name=x,subnet=127.1.0.0/30,luxos=9"), "do not fit"),
        (("--site", "name=x,subnet=127.1.0.0/24,luxos=1", "--control", "here"), "is not HOST:PORT"),
        (("--spec", "/nowhere/site.toml"), "No such file"),
    ],
)
async def test_wrong_flags_are_named(arguments: tuple[str, ...], words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hashyard_simulator",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 2
    assert output == b""
    assert words in errors.decode()


async def test_an_address_that_is_taken_is_named() -> None:
    async with Farm(FarmSpec(sites=(parse_site("name=a,subnet=127.10.5.0/24,cgminer=1"),))):
        with pytest.raises(OSError, match="in use"):
            await Farm(FarmSpec(sites=(parse_site("name=b,subnet=127.10.5.0/24,cgminer=1"),))).start()


async def test_the_same_seed_gives_the_same_machines() -> None:
    async def machines(seed: int) -> list[tuple[str, str, str]]:
        site = parse_site("name=s,subnet=127.10.6.0/24,cgminer=3,customers=alpine+borealis")
        async with Farm(FarmSpec(sites=(site,), seed=seed)) as farm:
            return [(d.identity.mac, d.identity.serial, d.pools[0].user) for d in farm.devices]

    first = await machines(1)
    assert first == await machines(1)
    assert [user for *_, user in first] == ["alpine.001", "borealis.002", "alpine.003"]
    assert {mac for mac, *_ in first}.isdisjoint(mac for mac, *_ in await machines(2))


async def test_a_spec_file_names_pools_models_and_customers(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        """
        seed = 3
        [[sites]]
        name = "north"
        subnet = "127.10.7.0/24"
        customers = ["alpine"]
        pools = [{ url = "stratum+tcp://own.example:1", user = "{customer}.{site}.{n}", password = "pw{n}" }]
        [[sites.miners]]
        family = "luxos"
        count = 2
        model = "S19j Pro"
        """
    )
    async with Farm(load_spec(path)) as farm:
        device = farm.devices[1]
        assert device.model.label == "S19j Pro"
        (pool,) = device.pools
        assert (pool.url, pool.user, pool.password) == ("stratum+tcp://own.example:1", "alpine.north.2", "pw2")


async def test_without_low_ports_only_families_with_high_ports_are_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(farm_module, "can_bind_low_ports", lambda: False)
    site = parse_site("name=u,subnet=127.10.12.0/24,antminer-s19=2,cgminer=1,avalon=1")
    async with Farm(FarmSpec(sites=(site,))) as farm:
        assert [d.family for d in farm.devices] == ["cgminer", "avalon"]
        assert farm.skipped_families == ["antminer-s19"]
