"""What each stage of ingest costs in CPU time, measured alone on one thread: the dearest is what limits."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hashyard_cloud.services import projection, telemetry_columns
from hashyard_cloud.services.ports.ingest import BatchRow
from hashyard_cloud.storage import migrations
from hashyard_cloud.storage.database import SqlDatabase
from hashyard_cloud.storage.telemetry.clickhouse import open_telemetry
from hashyard_shared.cycle_codec import seal

LEVEL = 3


def costs_us(texts: list[bytes], folder: Path) -> dict[str, float]:
    """Microseconds of CPU a sample: parse and check, project, insert into telemetry, newest readings and hours."""
    bodies = [seal(text, LEVEL) for text in texts] * 25
    telemetry_columns.parse(bodies[:1])  # what is loaded at first use is no cost of a sample
    parsed, parse_s = _timed(lambda: telemetry_columns.parse(bodies))
    size = parsed[0].size
    samples = sum(cycle.size for cycle in parsed)
    rosters = [np.arange(1, size + 1, dtype=np.int64)] * len(parsed)
    batches = [_batch(at, cycle.cycle_at_us, cycle.size) for at, cycle in enumerate(parsed)]
    numbers = {pool: at + 1 for at, pool in enumerate(sorted(projection.pools_of(batches, parsed)))}
    projected, project_s = _timed(lambda: projection.project(batches, parsed, rosters, numbers))
    insert_s, rows_s = asyncio.run(_stores(projected, folder))
    costs_s = {
        "parse and check": parse_s,
        "project": project_s,
        "telemetry insert": insert_s,
        "newest readings and hours": rows_s,
    }
    # Newest readings and hours cost by the device: one block holds about six cycles of each at full load.
    per = {**dict.fromkeys(costs_s, samples), "newest readings and hours": size * 6}
    return {name: cost_s / per[name] * 1e6 for name, cost_s in costs_s.items()}


def _batch(number: int, at_us: int, count: int) -> BatchRow:
    return BatchRow(
        batch_no=number,
        organisation_id="o",
        agent_id="a",
        epoch=1,
        seq=number + 1,
        kind="telemetry",
        cycle_at_us=at_us,
        count=count,
        received_at_us=at_us,
        block_no=1,
        roster_id=None,
    )


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start_s = time.process_time()
    done = work()
    return done, time.process_time() - start_s


async def _stores(projected: projection.Projected, folder: Path) -> tuple[float, float]:
    database = SqlDatabase(f"sqlite:///{folder / 'stages.sqlite3'}")
    await migrations.upgrade(database.engine)
    telemetry = await open_telemetry(f"chdb://{folder / 'stages'}")
    try:
        start_s = time.process_time()
        await telemetry.insert_block(1, projected.samples)
        inserted_s = time.process_time()
        async with database.transaction() as tx:
            await tx.miners.put_latest(projected.latest)
            await tx.rollups.add_hours(projected.hours)
        return inserted_s - start_s, time.process_time() - inserted_s
    finally:
        await telemetry.close()
        await database.close()
