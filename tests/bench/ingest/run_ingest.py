"""Ingest under sustained load: durable acknowledgement, projection, newest readings and hours. One JSON line.

    python -m bench.ingest.run_ingest [--agents 20] [--miners 5000] [--rate 320000] [--seconds 60]   (in tests/)

Load generator and `hashyard-cloud serve` are two processes on one machine. Everything sent is prepared before.
`projection_lag_s` is the time from the last acknowledgement to the last sample being in all stores. Afterwards the
stores are opened and counted: a sample too many or too few is a failure. Nothing here asserts a speed.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from bench.ingest import load, rows, stages
from bench.outbox.run_outbox_bytes import INTERVAL_S
from hashyard_cloud.adapters.secret_box import AesSecretBox
from hashyard_cloud.app import open_database
from hashyard_cloud.services import sites, users
from hashyard_cloud.services.enrolment import Enrolment
from hashyard_cloud.services.holding_pools import HoldingPoolBook
from hashyard_cloud.services.ports.activity import SYSTEM
from hashyard_cloud.services.signing_keys import SigningKeys
from hashyard_cloud.settings import Settings
from hashyard_cloud.storage.telemetry.clickhouse import open_telemetry
from hashyard_demo.processes import Program, wait_until
from hashyard_shared.clock import US_PER_S, SystemClock
from hashyard_shared.cycle_codec import seal, unpack
from hashyard_shared.protocol import PROTOCOL_VERSION

ROWS_BUDGET_S = 6.0
LAG_TIMEOUT_S = 300
START_TIMEOUT_S = 60
UNFINISHED = "SELECT count(*) FROM batches WHERE state IN (0, 1, 2)"


async def enrol(settings: Settings, agents: list[load.LoadAgent]) -> None:
    """A host with a site and an enrolment for each agent."""
    clock = SystemClock()
    database = await open_database(settings)
    try:
        box = AesSecretBox.from_file(settings.master_key_path)
        signer = SigningKeys(box, clock)
        host = await users.create_host(
            database,
            clock,
            name="Load",
            owner_email="load@example.com",
            owner_name="Load",
            password="load-load-load",
        )
        enrolment = Enrolment(database, clock, signer, HoldingPoolBook(box, clock))
        for at, agent in enumerate(agents):
            given = sites.SiteInput.model_validate({"name": f"Hall {at}", "code": f"H{at}", "timezone": "UTC"})
            site = await sites.add(database, clock, host.organisation_id, SYSTEM, given)
            minted = await enrolment.mint_code(host.organisation_id, site.site_id, "bench")
            answer = await enrolment.enrol(agent.request(minted.code.secret), PROTOCOL_VERSION)
            agent.agent_id = answer.agent_id
    finally:
        await database.close()


def server(settings: Settings, folder: Path) -> Program:
    environment = {
        **os.environ,
        "HASHYARD_DATA_DIR": str(settings.data_dir),
        "HASHYARD_PORT": str(settings.port),
        "HASHYARD_HOST": settings.host,
    }
    command = [str(Path(sys.executable).with_name("hashyard-cloud")), "serve", "--agents-only"]
    return Program("cloud", command, folder / "cloud.log", environment)


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def unfinished(database: sqlite3.Connection) -> int:
    return int(database.execute(UNFINISHED).fetchone()[0])


async def settled(database: sqlite3.Connection) -> None:
    """Wait until everything received is projected."""
    start_s = time.monotonic()
    while unfinished(database):
        if time.monotonic() - start_s > LAG_TIMEOUT_S:
            raise TimeoutError(f"{unfinished(database)} batches are still not projected")
        await asyncio.sleep(0.1)


async def drive(agents: list[load.LoadAgent], settings: Settings, rate: int) -> dict[str, float]:
    """Send everything; answers the seconds it took and the lag at its end."""
    database = sqlite3.connect(settings.data_dir / "hashyard.sqlite3")
    period_s = sum(agent.miners for agent in agents) / rate
    async with aiohttp.ClientSession() as http:
        for agent in agents:
            await agent.begin(http, settings.base_url)
        await settled(database)
        start_s = time.monotonic() + 1
        await asyncio.gather(
            *(
                agent.run(http, settings.base_url, start_s + at * period_s / len(agents), period_s)
                for at, agent in enumerate(agents)
            )
        )
    end_s = time.monotonic()
    await settled(database)
    lag_s = time.monotonic() - end_s
    database.close()
    return {"seconds": end_s - start_s, "projection_lag_s": lag_s}


async def counted(settings: Settings) -> dict[str, int]:
    """What the stores hold, for comparison with what was acknowledged."""
    database = sqlite3.connect(settings.data_dir / "hashyard.sqlite3")
    hours = database.execute("SELECT sum(samples) FROM rollups_hourly").fetchone()[0]
    latest = database.execute("SELECT count(*) FROM latest").fetchone()[0]
    database.close()
    telemetry = await open_telemetry(settings.telemetry_url)
    stored = await telemetry.count()
    await telemetry.close()
    size = sum(file.stat().st_size for file in (settings.data_dir / "telemetry").rglob("*") if file.is_file())
    return {"hours": hours, "latest": latest, "stored": stored, "bytes": size}


def outbox_bytes_per_sample(agents: list[load.LoadAgent]) -> float:
    texts = agents[0].texts
    return sum(len(seal(text)) for text in texts) / (len(texts) * agents[0].miners)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    settings = Settings(data_dir=folder / "data", host="127.0.0.1", port=options.port)
    agents = [load.LoadAgent.prepared(at, options.miners) for at in range(options.agents)]
    asyncio.run(enrol(settings, agents))
    cycles = max(1, options.seconds * options.rate // (options.agents * options.miners))
    first_at_us = SystemClock().now_us() - (cycles + 1) * INTERVAL_S * US_PER_S
    for agent in agents:
        agent.prepare(cycles, first_at_us)
    program = server(settings, folder)
    program.start()
    try:
        ready = folder / "cloud.log"
        wait_until(lambda: "is ready" in ready.read_text(), "the cloud to start", START_TIMEOUT_S, [program])
        before_s = cpu_s(program.pid)
        driven = asyncio.run(drive(agents, settings, options.rate))
        server_cpu_s = cpu_s(program.pid) - before_s
    finally:
        program.stop()
    acknowledged = sum(agent.acknowledged for agent in agents)
    found = asyncio.run(counted(settings))
    expected = {"hours": acknowledged, "latest": options.agents * options.miners, "stored": acknowledged}
    assert {name: found[name] for name in expected} == expected, (found, expected)
    latencies_s = sorted(one for agent in agents for one in agent.latencies_s)
    costs = stages.costs_us(agents[0].texts, folder)
    by_rows = rows.rows_per_s(rows.as_rows(unpack(seal(agents[0].texts[0]))), folder, ROWS_BUDGET_S)
    samples_per_s = acknowledged / driven["seconds"]
    return {
        "samples_per_s": round(samples_per_s),
        "projection_lag_s": round(driven["projection_lag_s"], 2),
        "ratio_vs_rows": round(samples_per_s / by_rows, 1),
        "bytes_per_sample_outbox": round(outbox_bytes_per_sample(agents), 1),
        "bytes_per_sample_store": round(found["bytes"] / acknowledged, 1),
        "limited_by": max(costs, key=lambda name: costs[name]),
        "seconds": round(driven["seconds"], 1),
        "samples": acknowledged,
        "agents": options.agents,
        "devices": options.agents * options.miners,
        "acknowledged_in_s_p50": round(statistics.median(latencies_s), 3),
        "acknowledged_in_s_p99": round(latencies_s[int(len(latencies_s) * 0.99)], 3),
        "server_cpu_us_per_sample": round(server_cpu_s / acknowledged * 1e6, 2),
        "stage_cpu_us_per_sample": {name: round(cost, 2) for name, cost in costs.items()},
        "rows_per_s": round(by_rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--miners", type=int, default=5_000)
    parser.add_argument("--rate", type=int, default=320_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--port", type=int, default=18_471)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hashyard-ingest-") as folder:
        print(json.dumps(measure(options, Path(folder))))


if __name__ == "__main__":
    main()
