import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from hashyard_agent.adapters import arp
from hashyard_agent.adapters.connect_sweep import ConnectSweeper

FEW_DESCRIPTORS = """
import asyncio, json, resource, socket
from hashyard_agent.adapters.connect_sweep import ConnectSweeper
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
async def main():
    servers = [socket.create_server((f"127.20.99.{n}", 14028)) for n in range(1, 121)]
    result = await ConnectSweeper().sweep([f"127.20.99.{n}" for n in range(1, 255)], [14028])
    for server in servers:
        server.close()
    print(json.dumps({"found": len(result.open_ports), "notes": result.notes}))
asyncio.run(main())
"""


def listening(ip: str, port: int) -> socket.socket:
    """Whom the kernel connects: nobody accepts, so nothing is left open when the test ends."""
    return socket.create_server((ip, port), backlog=16)


async def test_open_ports_are_found_and_closed_ones_are_not() -> None:
    with ExitStack() as stack:
        for ip, port in (("127.20.98.1", 14028), ("127.20.98.1", 14433), ("127.20.98.9", 14433)):
            stack.enter_context(listening(ip, port))
        seen: list[tuple[int, int]] = []
        addresses = [f"127.20.98.{last}" for last in range(1, 20)]
        result = await ConnectSweeper().sweep(
            addresses, [14028, 14433, 14051], progress=lambda done, found: seen.append((done, found))
        )
    assert result.open_ports == {"127.20.98.1": (14028, 14433), "127.20.98.9": (14433,)}
    assert (result.addresses, result.overflows, result.unroutable, result.notes) == (19, 0, 0, ())


async def test_a_known_address_is_asked_on_its_own_ports_alone() -> None:
    with ExitStack() as stack:
        for port in (14028, 14433):
            stack.enter_context(listening("127.20.98.1", port))
        result = await ConnectSweeper().sweep(
            ["127.20.98.1"], [14028, 14433], known_ports={"127.20.98.1": (14433,)}
        )
    assert result.open_ports == {"127.20.98.1": (14433,)}


async def test_nothing_to_sweep_is_no_error() -> None:
    assert (await ConnectSweeper().sweep([], [80])).open_ports == {}
    assert (await ConnectSweeper().sweep(["127.20.98.1"], [])).open_ports == {}


def test_few_descriptors_make_it_slow_and_say_so_but_hide_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FEW_DESCRIPTORS], capture_output=True, text=True, check=True, timeout=60
    )
    answer = json.loads(done.stdout)
    assert answer["found"] == 120
    assert any("file descriptors" in note for note in answer["notes"])


async def test_a_network_without_a_route_is_told() -> None:
    # 240.0.0.0/4 is reserved: no kernel routes it.
    result = await ConnectSweeper(timeout_s=0.5).sweep(["240.1.2.3"], [80])
    if not result.unroutable:
        pytest.skip("this machine routes even reserved addresses")
    assert any("no route" in note for note in result.notes)


ARP = """IP address       HW type     Flags       HW address            Mask     Device
10.0.0.1         0x1         0x2         02:5e:e0:00:00:01     *        eth0
10.0.0.2         0x1         0x0         00:00:00:00:00:00     *        eth0
10.0.0.3         0x1         0x2         02:5e:e0:00:00:03     *        eth0
10.0.0.4         0x1         0x2         02:5e:e0:00:00:03     *        eth0
"""
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def test_a_mac_of_the_link_counts_only_when_it_answers_for_one_address(tmp_path: Path) -> None:
    table = tmp_path / "arp"
    table.write_text(ARP)
    assert arp.link_mac("10.0.0.1", table) == "02:5e:e0:00:00:01"
    assert arp.link_mac("10.0.0.2", table) is None  # nobody answered
    assert arp.link_mac("10.0.0.3", table) is None  # a router or a proxy
    assert arp.link_mac("10.0.0.9", table) is None
    assert arp.link_mac("10.0.0.1", tmp_path / "none") is None
    assert arp.table_size(table) == 4


def test_own_links_are_those_without_a_router(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(ROUTES)
    assert [str(link) for link in arp.own_links(routes)] == ["10.0.0.0/16"]
    routes.write_text("header\nbroken")
    assert arp.own_links(routes) == []
