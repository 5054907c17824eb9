"""Drain a week of backlog into a real cloud while live cycles go on. One JSON line.

    python -m bench.backlog.run_backlog [--miners 1000] [--days 7] [--live-interval-s 1]      (in tests/)

The outbox is filled first (not timed). Then the agent's own sync drains it over HTTP into `hashyard-cloud serve`,
a process of its own, while a live cycle is put every second; how long each live one took to be acknowledged
as durable is the lag. Bodies are of a few dozen different cycles: filling must not take longer than draining.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

from bench.outbox.run_outbox_bytes import INTERVAL_S, cycle_of, fleet, roster_of
from chaos.world import World, closing_connection
from hashyard_agent.adapters.cloud_link import CloudHttp, HttpCloudLink
from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import STATE_NONCE, SqliteOutbox
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.ports import StoredBatch
from hashyard_agent.sync import Sync
from hashyard_demo.processes import wait_until
from hashyard_shared.clock import US_PER_S, SystemClock
from hashyard_shared.codec import encode
from hashyard_shared.cycle_codec import pack
from hashyard_shared.protocol import BatchesAnswer, BatchKind, DesiredState, Verdict
from hashyard_shared.telemetry import Cycle

VARIANTS = 24
MINUTES_A_DAY = 1_440
PROJECTION_TIMEOUT_S = 900


class TimedLink:
    """The agent's link, noting when each row was acknowledged."""

    def __init__(self, link: HttpCloudLink) -> None:
        self._link = link
        self.acknowledged_s: dict[int, float] = {}

    async def send(self, batches: Sequence[StoredBatch]) -> BatchesAnswer:
        answer = await self._link.send(batches)
        now_s = time.monotonic()
        for verdict in answer.verdicts:
            if verdict.verdict in {Verdict.ACCEPTED, Verdict.DUPLICATE}:
                self.acknowledged_s[verdict.seq] = now_s
        return answer

    async def desired(self, etag: str | None, wait_s: float) -> tuple[DesiredState, str] | None:
        return await self._link.desired(etag, wait_s)


def variants(miners: int) -> tuple[list[Cycle], bytes]:
    chance = random.Random(1)
    roster = roster_of(miners)
    machines = fleet(miners, chance)
    return [cycle_of(machines, at, roster.roster_id(), chance) for at in range(VARIANTS)], encode(roster)


def fill(outbox: SqliteOutbox, cycles: list[Cycle], roster: bytes, count: int, miners: int) -> None:
    """A week that ends now, one cycle a minute."""
    outbox.put(BatchKind.ROSTER, 0, miners, roster)
    start_us = SystemClock().now_us() - count * INTERVAL_S * US_PER_S
    for number in range(count):
        put(outbox, cycles[number % VARIANTS], start_us + number * INTERVAL_S * US_PER_S, miners)


def put(outbox: SqliteOutbox, cycle: Cycle, at_us: int, miners: int) -> int:
    body = pack(cycle.model_copy(update={"cycle_at_us": at_us}))
    return outbox.put(BatchKind.TELEMETRY, at_us, miners, body)


async def drain(
    world: World, outbox: SqliteOutbox, cycles: list[Cycle], miners: int, live_interval_s: float
) -> tuple[float, list[float]]:
    """Seconds until the outbox was empty, and each live cycle's lag."""
    credentials = FileIdentityStore(world.data).load()
    clock = SystemClock()
    live: dict[int, float] = {}
    async with CloudHttp(f"http://127.0.0.1:{world.cloud_port}", None, 60) as http:
        link = TimedLink(
            HttpCloudLink(
                http,
                credentials,
                clock,
                nonce=lambda: outbox.state(STATE_NONCE),
                on_token=lambda epoch, _: outbox.adopt_epoch(epoch),
            )
        )
        sync = Sync(outbox, link, LinkMonitor(outbox, clock))
        outbox.on_put = sync.wake
        started_s = time.monotonic()
        task = asyncio.create_task(sync.run())
        while outbox.stats().rows:
            await asyncio.sleep(live_interval_s if outbox.stats().rows > 300 else 0.1)
            if outbox.stats().rows > 300:
                seq = put(outbox, cycles[0], clock.now_us(), miners)
                live[seq] = time.monotonic()
        took_s = time.monotonic() - started_s
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return took_s, [link.acknowledged_s[seq] - put_s for seq, put_s in live.items()]


def measure(miners: int, days: float, live_interval_s: float) -> dict[str, object]:
    count = int(days * MINUTES_A_DAY)
    with tempfile.TemporaryDirectory(prefix="backlog-") as folder:
        world = World(Path(folder), seed=1, miners=1, subnet="127.61.9.0/24")
        with world.cloud_only():
            outbox = SqliteOutbox(world.outbox, max_bytes=10_000_000_000, headroom_bytes=0, clock=SystemClock())
            cycles, roster = variants(miners)
            fill(outbox, cycles, roster, count, miners)
            sys.stderr.write("filled; draining\n")
            took_s, lags_s = asyncio.run(drain(world, outbox, cycles, miners, live_interval_s))
            outbox.close()
            projected_s = time.monotonic()
            wait_until(lambda: world.unprojected() == 0, "everything is projected", PROJECTION_TIMEOUT_S)
            behind_s = time.monotonic() - projected_s
            with closing_connection(world.cloud_data / "hashyard.sqlite3") as connection:
                sql = "SELECT SUM(count) FROM batches WHERE kind = 'telemetry' AND state = 3"
                samples = int(connection.execute(sql).fetchone()[0])
    return {
        "bench": "backlog-drain",
        "miners": miners,
        "days": days,
        "samples": samples,
        "drain_s": round(took_s, 1),
        "samples_per_s": round(samples / took_s),
        "live_cycles": len(lags_s),
        "live_lag_p95_s": round(quantiles(lags_s, n=20)[-1], 2) if len(lags_s) > 1 else None,
        "projection_behind_s": round(behind_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Drain a week of backlog into a real cloud.")
    parser.add_argument("--miners", type=int, default=1_000)
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--live-interval-s", type=float, default=1)
    given = parser.parse_args()
    print(json.dumps(measure(given.miners, given.days, given.live_interval_s)))


if __name__ == "__main__":
    main()
