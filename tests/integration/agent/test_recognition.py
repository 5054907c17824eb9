"""The misidentifications that are known of the driver, each made to happen on the wire."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from hashyard_agent.discovery import DiscoveryConfig
from hashyard_agent.errors import MinerError
from hashyard_agent.miner_parts import MinerParts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hashyard_support.site import SimulatedSite

    StartSite = Callable[..., SimulatedSite]


class Tunnel:
    """Some ports of a simulated miner at another address, each with its own delay; the others are closed."""

    def __init__(self, behind: str, delays_s: dict[int, float]) -> None:
        self._behind = behind
        self._delays_s = delays_s
        self._relaying: set[asyncio.Task[None]] = set()

    async def open(self, stack: AsyncExitStack, ip: str) -> None:
        stack.push_async_callback(self._end)
        for port in self._delays_s:
            server = await asyncio.start_server(self._relay(port), ip, port)
            await stack.enter_async_context(server)

    async def _end(self) -> None:
        for task in self._relaying:
            task.cancel()
        await asyncio.gather(*[*self._relaying], return_exceptions=True)

    def _relay(
        self, port: int
    ) -> "Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]":
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._relaying.add(task)
            try:
                await asyncio.sleep(self._delays_s[port])
                far_reader, far_writer = await asyncio.open_connection(self._behind, port)
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            except (OSError, asyncio.CancelledError):
                writer.close()
            finally:
                self._relaying.discard(task)

        return relay


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    finally:
        target.close()


@pytest.mark.parametrize(
    ("family", "delays_s", "profile"),
    [
        ("vnish", {80: 0.3, 4028: 0.0}, "vnish"),  # the page is late: taken for stock Antminer
        ("antminer-s19", {80: 0.0}, "antminer-stock"),  # 4028 closed: taken for a Marathon
        ("whatsminer-v3", {80: 0.0, 4433: 0.0}, "whatsminer-v3"),  # 4028 closed: taken for version 2
        ("luxos", {4028: 0.0}, "luxos"),  # no web page at all
    ],
)
async def test_a_known_misidentification_does_not_happen(
    simulated_site: "StartSite", parts: MinerParts, family: str, delays_s: dict[int, float], profile: str
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.80.0/28", {family: 1})
    async with AsyncExitStack() as stack:
        await Tunnel("127.20.80.1", delays_s).open(stack, "127.20.81.1")
        identity = await parts.driver.identify("127.20.81.1")
    assert identity.family == profile
    assert identity.mac == site.truth("127.20.80.1")["mac"]


async def test_a_miner_whose_password_was_changed_is_recognised_but_has_no_identity(
    simulated_site: "StartSite", parts: MinerParts
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.82.0/28", {"antminer-s19": 1})
    site.fault("127.20.82.1", "auth", password="another")
    identity = await parts.driver.identify("127.20.82.1")
    assert (identity.family, identity.mac) == ("antminer-stock", None)


async def test_a_known_miner_keeps_its_identity_while_its_password_is_unknown(
    simulated_site: "StartSite", parts: MinerParts
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.83.0/28", {"antminer-s19": 1})
    discovery = parts.discovery(DiscoveryConfig(subnets=("127.20.83.0/28",)))
    await discovery.scan()
    site.fault("127.20.83.1", "auth", password="another")
    result = await discovery.scan()
    assert [miner.identity.mac for miner in result.miners] == [site.truth("127.20.83.1")["mac"]]


async def test_two_devices_with_one_mac_are_told(simulated_site: "StartSite", parts: MinerParts) -> None:
    await asyncio.to_thread(simulated_site, "127.20.84.0/28", {"luxos": 1})
    async with AsyncExitStack() as stack:
        await Tunnel("127.20.84.1", {80: 0.0, 4028: 0.0}).open(stack, "127.20.84.9")
        discovery = parts.discovery(DiscoveryConfig(subnets=("127.20.84.0/28",)))
        result = await discovery.scan()
    assert len(result.miners) == 2
    (pair,) = parts.fleet.duplicate_macs().values()
    assert [miner.ip for miner in pair] == ["127.20.84.1", "127.20.84.9"]
    assert any("claim the MAC" in note for note in result.notes)
    assert len({parts.fleet.reported_id(miner) for miner in pair}) == 2


@pytest.mark.timeout(60)
async def test_a_hung_miner_is_given_up_in_bounded_time(simulated_site: "StartSite", parts: MinerParts) -> None:
    site = await asyncio.to_thread(simulated_site, "127.20.85.0/28", {"luxos": 1})
    site.fault("127.20.85.1", "hang")
    with pytest.raises(MinerError):
        async with asyncio.timeout(45):
            await parts.driver.identify("127.20.85.1")
