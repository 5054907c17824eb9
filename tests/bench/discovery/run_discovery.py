"""What discovery finds and costs, on links whose dead addresses answer nothing, as on a real site.

    python tests/bench/discovery/run_discovery.py [--quick]

Two network namespaces joined by a virtual cable: in one the miners' addresses, in the other the sweep. A dead
address has nobody who answers for it on the link; a part of all packets is lost; some miners drop every SYN to
port 80. pyasic's own scan runs beside ours. Needs root. The last line is one JSON document.
"""

import argparse
import asyncio
import ipaddress
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hashyard_agent.adapters.connect_sweep import ConnectSweeper
from hashyard_agent.subnets import expand
from hashyard_profiles import load

SMALL: Final = "10.213.0.0/20"
LARGE: Final = "10.214.0.0/16"
LOSS_PERCENT: Final = 2
FILTERED_SHARE: Final = 20  # every 20th miner drops SYNs to port 80
RUNS: Final = 5
KNOWN_TIMEOUT_S: Final = 1.5
COMMAND_TIMEOUT_S: Final = 60
SITE, AGENT = f"hysite{os.getpid()}", f"hyagent{os.getpid()}"


def ip(*words: str, stdin: str | None = None) -> str:
    command = ["ip", *words]
    done = subprocess.run(
        command, input=stdin, check=True, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
    )
    return done.stdout


def live_addresses(subnet: str, count: int, seed: int) -> list[str]:
    """So many addresses, scattered over the whole subnet; the same for the same seed."""
    network = ipaddress.ip_network(subnet)
    chosen = random.Random(seed).sample(range(10, network.num_addresses - 10), count)
    return [str(network.network_address + offset) for offset in chosen]


@contextmanager
def joined_by_a_cable(subnet: str, live: list[str]) -> Iterator[bool]:
    """Both namespaces; yields whether this kernel can lose packets on purpose."""
    network = ipaddress.ip_network(subnet)
    for name in (SITE, AGENT):
        ip("netns", "add", name)
    try:
        ip("link", "add", "hy0", "netns", AGENT, "type", "veth", "peer", "name", "hy1", "netns", SITE)
        for name, link in ((AGENT, "hy0"), (SITE, "hy1")):
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", link, "up")
        ip("-n", AGENT, "address", "add", f"{network.network_address + 1}/{network.prefixlen}", "dev", "hy0")
        lines = [f"address add {address}/{network.prefixlen} dev hy1" for address in live]
        lines += _filters(live)
        ip("-n", SITE, "-batch", "-", stdin="\n".join(lines) + "\n")
        yield _lossy()
    finally:
        for name in (SITE, AGENT):
            ip("netns", "del", name)


def _filters(live: list[str]) -> list[str]:
    """Some miners drop SYNs to port 80 without a word: a rule before the local ones that swallows them."""
    local_last = ["rule add priority 1000 table local", "rule del priority 0 table local"]
    swallow = [
        f"rule add priority 10 to {address} ipproto tcp dport 80 blackhole" for address in live[::FILTERED_SHARE]
    ]
    return [*local_last, *swallow]


def _lossy() -> bool:
    command = ["ip", "netns", "exec", SITE, "tc", "qdisc", "add", "dev", "hy1", "root", "netem"]
    done = subprocess.run([*command, "loss", f"{LOSS_PERCENT}%"], check=False, capture_output=True)
    return done.returncode == 0


@contextmanager
def responding() -> Iterator[None]:
    program = [sys.executable, str(Path(__file__).with_name("responder.py"))]
    process = subprocess.Popen(["ip", "netns", "exec", SITE, *program], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the responder did not start")
        yield
    finally:
        process.terminate()
        process.wait(timeout=COMMAND_TIMEOUT_S)


def in_the_agents_namespace(*arguments: str) -> dict[str, Any]:
    """Run this program there and read its last line."""
    command = ["ip", "netns", "exec", AGENT, sys.executable, str(Path(__file__)), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


async def sweep(subnet: str) -> dict[str, Any]:
    """One sweep, then the fast path over what it found; our own CPU and memory."""
    sweeper, ports = ConnectSweeper(), load().ports()
    addresses = expand([subnet])
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    result = await sweeper.sweep(addresses, ports)
    wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    began_s = time.monotonic()
    known = result.open_ports
    again = await sweeper.sweep(list(known), ports, timeout_s=KNOWN_TIMEOUT_S, known_ports=known)
    return {
        "found": sorted(result.open_ports),
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "known_wall_s": time.monotonic() - began_s,
        "known_found": len(again.open_ports),
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "overflows": result.overflows,
        "notes": list(result.notes),
    }


async def pyasic_scan(subnet: str) -> dict[str, Any]:
    """Pyasic's own scan of the same network."""
    import pyasic  # type: ignore[import-untyped]  # noqa: PLC0415 - only this child needs it

    began_s, began_cpu_s = time.monotonic(), time.process_time()
    miners = await pyasic.MinerNetwork.from_subnet(subnet).scan()
    return {
        "found": sorted(str(miner.ip) for miner in miners),
        "wall_s": time.monotonic() - began_s,
        "cpu_s": time.process_time() - began_cpu_s,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def ratio(result: dict[str, Any], live: list[str]) -> float:
    return len(set(result["found"]) & set(live)) / len(live)


def measure(runs: int, large: bool) -> dict[str, Any]:
    """All figures: the worst of the runs on the /20, pyasic beside it, and the /16."""
    answer: dict[str, Any] = {}
    live = live_addresses(SMALL, 200, seed=1)
    with joined_by_a_cable(SMALL, live) as lossy, responding():
        say(f"/20, {len(live)} live, {LOSS_PERCENT if lossy else 0} % of packets lost")
        ours = [in_the_agents_namespace("--sweep", SMALL) for _ in range(runs)]
        for run in ours:
            say(
                f"  ours: {ratio(run, live):.1%} in {run['wall_s']:.1f} s, {run['cpu_s']:.2f} s CPU; "
                f"known again in {run['known_wall_s']:.2f} s; {run['overflows']} overflows"
            )
            for missed in sorted(set(live) - set(run["found"])):
                say(f"  missed {missed}{' (drops port 80)' if missed in live[::FILTERED_SHARE] else ''}")
    with joined_by_a_cable(SMALL, live), responding():
        theirs = in_the_agents_namespace("--pyasic", SMALL)  # in fresh namespaces: nothing of ours in its way
        say(f"  pyasic: {ratio(theirs, live):.1%} in {theirs['wall_s']:.1f} s, {theirs['cpu_s']:.2f} s CPU")
    answer |= {
        "found_ratio": min(ratio(run, live) for run in ours),
        "wall_s": round(max(run["wall_s"] for run in ours), 2),
        "cpu_s": round(max(run["cpu_s"] for run in ours), 3),
        "known_wall_s": round(max(run["known_wall_s"] for run in ours), 3),
        "pyasic_found_ratio": round(ratio(theirs, live), 3),
        "pyasic_wall_s": round(theirs["wall_s"], 2),
        "lossy": lossy,
    }
    if large:
        live = live_addresses(LARGE, 500, seed=2)
        with joined_by_a_cable(LARGE, live) as lossy, responding():
            say(f"/16, {len(live)} live, {LOSS_PERCENT if lossy else 0} % of packets lost")
            run = in_the_agents_namespace("--sweep", LARGE)
            say(f"  ours: {ratio(run, live):.1%} in {run['wall_s']:.0f} s, {run['rss_mib']:.0f} MiB")
            answer |= {
                "found_ratio_16": ratio(run, live),
                "wall_s_16": round(run["wall_s"], 1),
                "cpu_s_16": round(run["cpu_s"], 2),
                "rss_mib_16": round(run["rss_mib"]),
            }
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description="What discovery finds and costs.")
    parser.add_argument("--quick", action="store_true", help="one run, without the /16")
    parser.add_argument("--sweep", help=argparse.SUPPRESS)
    parser.add_argument("--pyasic", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.sweep:
        say(json.dumps(asyncio.run(sweep(chosen.sweep))))
        return 0
    if chosen.pyasic:
        say(json.dumps(asyncio.run(pyasic_scan(chosen.pyasic))))
        return 0
    if os.geteuid() != 0:
        sys.stderr.write("bench-discovery needs root: it makes network namespaces\n")
        return 2
    say(json.dumps(measure(1, large=False) if chosen.quick else measure(RUNS, large=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
