"""What polling costs: the fast lane against pyasic in one run, 5,000 miners in a 60 s cycle, and hung miners.

    python tests/bench/polling/run_polling.py [--quick]

The simulators run as processes of their own and are not counted. Needs root, because most families listen below
port 1024. The last line is one JSON document.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hashyard_agent import miner_parts
from hashyard_agent.adapters.pyasic_driver import load_pyasic
from hashyard_agent.discovery import DiscoveryConfig
from hashyard_agent.fleet import KnownMiner
from hashyard_agent.miner_parts import MinerParts
from hashyard_agent.polling import PollerConfig
from hashyard_agent.ports import Identity
from hashyard_shared.clock import SystemClock
from hashyard_shared.events import Event
from hashyard_shared.protocol import BatchKind
from hashyard_shared.telemetry import MinerState
from hashyard_support.site import SimulatedSite

S19_SUBNET: Final = "127.62.0.0/21"
MIX_SUBNET: Final = "127.62.16.0/22"
HANG_SUBNET: Final = "127.62.32.0/22"
FIVE_THOUSAND: Final = [f"127.62.{64 + 8 * number}.0/21" for number in range(5)]
MIX: Final = {"antminer-s19": 40, "whatsminer-v2": 30, "luxos": 15, "vnish": 10, "bitaxe": 5}
PYASIC_AT_ONCE: Final = 24
FAST_AT_ONCE: Final = 64
SAME_FIELDS: Final = ["hashrate", "hashboards", "wattage", "fans", "uptime", "pools"]
CYCLE_S: Final = 60.0
HANG_CYCLE_S: Final = 20.0


class Nowhere:
    """An outbox that counts and forgets: the store has a bench of its own."""

    def __init__(self) -> None:
        self.rows = 0
        self.row_bytes = 0

    def put(self, kind: BatchKind, cycle_at_us: int, count: int, body: bytes) -> int:
        self.rows += 1
        self.row_bytes += len(body)
        return self.rows

    def put_events(self, events: Sequence[Event]) -> int:
        self.rows += 1
        return self.rows


def mix(count: int) -> dict[str, int]:
    """So many miners in the proportions of the mixed site."""
    return {family: count * share // 100 for family, share in MIX.items()}


async def each(items: Sequence[Any], at_once: int, work: Callable[[Any], Awaitable[None]]) -> float:
    """CPU seconds of doing the work for each item, so many at once."""
    queue = iter(items)

    async def worker() -> None:
        for item in queue:
            await work(item)

    began_s = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return time.process_time() - began_s


async def found(parts: MinerParts, subnet: str) -> list[KnownMiner]:
    """The site's miners, by the agent's own scan."""
    return list((await parts.discovery(DiscoveryConfig(subnets=(subnet,))).scan()).miners)


async def compared(subnet: str) -> dict[str, float]:
    """CPU ms a miner of the fast lane, of pyasic's get_data, and of get_data for the same figures."""
    parts = miner_parts.build(SystemClock())
    pyasic = await load_pyasic()
    try:
        miners = await found(parts, subnet)
        objects: list[Any] = []

        async def make(known: KnownMiner) -> None:
            objects.append(await pyasic.get_miner(known.ip))

        async def fast(identity: Identity) -> None:
            reading = await parts.reader.read(identity, 10)
            if reading.state is not MinerState.ONLINE:
                raise RuntimeError(f"{identity.ip}: {reading.problem}")

        async def full(miner: Any) -> None:
            await miner.get_data()

        async def same(miner: Any) -> None:
            await miner.get_data(include=SAME_FIELDS)

        await each(miners, PYASIC_AT_ONCE, make)
        identities = [miner.identity for miner in miners]
        await each(identities, FAST_AT_ONCE, fast)  # once to warm up, as the agent is after its first cycle
        fast_s = await each(identities, FAST_AT_ONCE, fast)
        full_s = await each(objects, PYASIC_AT_ONCE, full)
        same_s = await each(objects, PYASIC_AT_ONCE, same)
    finally:
        await parts.close()
    per_miner = 1000 / len(miners)
    return {"fast": fast_s * per_miner, "full": full_s * per_miner, "same": same_s * per_miner}


async def hanging(site: SimulatedSite, subnet: str) -> float:
    """p95 of when the healthy miners' answers are in, with a tenth of the site hung, over that without."""
    parts = miner_parts.build(SystemClock())
    try:
        miners = await found(parts, subnet)
        poller = parts.poller(PollerConfig(), Nowhere(), "bench")
        await poller.cycle(HANG_CYCLE_S / 4)
        calm = (await poller.cycle(HANG_CYCLE_S)).offsets_s
        hung = {miner.ip for miner in miners[::10]}
        site.fault_many("hang", chosen={"ips": sorted(hung)})
        healthy = [f"mac:{miner.identity.mac}" for miner in miners if miner.ip not in hung]
        troubled = (await poller.cycle(HANG_CYCLE_S)).offsets_s
        lost = [name for name in healthy if name not in troubled]
        if lost:
            raise RuntimeError(f"{len(lost)} healthy miners were not read")
        return p95([troubled[name] for name in healthy]) / p95([calm[name] for name in healthy])
    finally:
        await parts.close()


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


async def cycle_of_many(subnets: list[str]) -> dict[str, float]:
    """In a process of its own: scan, then cycles of 60 s with the slow lane beside them; the last one counts."""
    parts = miner_parts.build(SystemClock())
    await parts.discovery(DiscoveryConfig(subnets=tuple(subnets))).scan()
    poller = parts.poller(PollerConfig(), Nowhere(), "bench")
    running = asyncio.create_task(poller.run(lambda: CYCLE_S))
    await asyncio.sleep(CYCLE_S / 2)
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    await asyncio.sleep(CYCLE_S)
    share = (time.process_time() - began_cpu_s) / (time.monotonic() - began_s)
    report = poller.last_report
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await parts.close()
    rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if report is None:
        raise RuntimeError("no cycle was finished")
    return {"core_share": share, "rss_mib": rss_mib, "miners": report.miners, "online": report.online}


def start(stack: ExitStack, subnet: str, families: dict[str, int]) -> SimulatedSite:
    return stack.enter_context(SimulatedSite.start(subnet, families))


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def measure(count: int, many: int) -> dict[str, Any]:
    """All figures; `count` miners for the comparisons, `many` for the large cycle."""
    with ExitStack() as stack:
        start(stack, S19_SUBNET, {"antminer-s19": count})
        s19 = asyncio.run(compared(S19_SUBNET))
        say(f"S19, CPU ms a miner: fast {s19['fast']:.2f}, full {s19['full']:.2f}, same {s19['same']:.2f}")
    with ExitStack() as stack:
        start(stack, MIX_SUBNET, mix(count))
        mixed = asyncio.run(compared(MIX_SUBNET))
        say(f"mix, CPU ms a miner: fast {mixed['fast']:.2f}, full {mixed['full']:.2f}, same {mixed['same']:.2f}")
    with ExitStack() as stack:
        late = asyncio.run(hanging(start(stack, HANG_SUBNET, mix(count)), HANG_SUBNET))
        say(f"p95 of the healthy miners with a tenth hung: {late:.3f} of that without")
    with ExitStack() as stack:
        for subnet in FIVE_THOUSAND:
            start(stack, subnet, mix(many // len(FIVE_THOUSAND)))
        command = [sys.executable, str(Path(__file__)), "--many", *FIVE_THOUSAND]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        large = json.loads(done.stdout.splitlines()[-1])
        say(f"{large['miners']} miners: {large['core_share']:.1%} of a core, {large['rss_mib']:.0f} MiB")
    return {
        "cpu_ratio_s19": round(s19["full"] / s19["fast"], 1),
        "cpu_ratio_mix": round(mixed["full"] / mixed["fast"], 1),
        "cpu_ratio_same_fields_s19": round(s19["same"] / s19["fast"], 1),
        "cpu_ratio_same_fields_mix": round(mixed["same"] / mixed["fast"], 1),
        "core_share_5000": round(large["core_share"], 3),
        "rss_mib_5000": round(large["rss_mib"]),
        "miners_5000": large["miners"],
        "online_5000": large["online"],
        "late_ratio_hanging": round(late, 3),
        "cpu_ms_per_miner": round(mixed["fast"], 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="What polling costs.")
    parser.add_argument("--quick", action="store_true", help="fewer miners: to see that the bench runs")
    parser.add_argument("--many", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.many:
        say(json.dumps(asyncio.run(cycle_of_many(chosen.many))))
        return 0
    if os.geteuid() != 0:
        sys.stderr.write("bench-polling needs root: most families listen below port 1024\n")
        return 2
    result = measure(100, 500) if chosen.quick else measure(1000, 5000)
    say(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
