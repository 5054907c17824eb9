"""What most would write first: a JSON object a sample, a model each, a row each."""

import json
import sqlite3
import time
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from hashyard_shared.telemetry import COLUMN_SCALES, Cycle


class RowSample(BaseModel):
    """One sample as a row."""

    miner_id: str
    at_us: int
    state: int
    hashrate_ths: float | None
    power_w: int | None
    temp_chip_c: int | None
    temp_board_c: int | None
    fan_rpm: int | None
    uptime_s: int | None
    shares_accepted: int | None
    shares_rejected: int | None
    pool: str | None


_ROWS: TypeAdapter[list[RowSample]] = TypeAdapter(list[RowSample])
_NAMES = list(RowSample.model_fields)


def as_rows(cycle: Cycle) -> bytes:
    """A cycle as a JSON list of objects."""
    columns = [getattr(cycle, name) for name in COLUMN_SCALES]
    pools = [None if at is None else " ".join(cycle.pools[at]) for at in cycle.pool]
    rows = [
        dict(zip(_NAMES, (f"mac:{at:012x}", cycle.cycle_at_us, state, *values, pool), strict=True))
        for at, (state, pool, *values) in enumerate(zip(cycle.state, pools, *columns, strict=True))
    ]
    return json.dumps(rows).encode()


def rows_per_s(body: bytes, folder: Path, budget_s: float) -> float:
    """How many samples a second one process validates and stores durably, a transaction a request."""
    store = sqlite3.connect(folder / "rows.sqlite3", isolation_level=None)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute(f"CREATE TABLE samples ({', '.join(_NAMES)}, PRIMARY KEY (miner_id, at_us))")
    marks = ", ".join("?" * len(_NAMES))
    stored = 0
    start_s = time.monotonic()
    while time.monotonic() - start_s < budget_s:
        samples = _ROWS.validate_json(body)
        store.execute("BEGIN IMMEDIATE")
        store.executemany(
            f"INSERT INTO samples VALUES ({marks})",  # noqa: S608 - marks only
            [(one.miner_id, one.at_us + stored, *list(one.__dict__.values())[2:]) for one in samples],
        )
        store.execute("COMMIT")
        stored += len(samples)
    elapsed_s = time.monotonic() - start_s
    store.close()
    return stored / elapsed_s
