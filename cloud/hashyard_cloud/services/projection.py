"""From cycles to samples, newest readings and hours: pure column work, the same for the same input."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashyard_cloud.services.ports.ingest import BatchRow
from hashyard_cloud.services.ports.miners import LatestValues
from hashyard_cloud.services.ports.rollups import DAY_US, HOUR_US, RollupValues
from hashyard_cloud.services.ports.telemetry import SAMPLE_COLUMNS
from hashyard_cloud.services.telemetry_columns import CycleColumns, Ints
from hashyard_shared.clock import US_PER_MS, US_PER_S
from hashyard_shared.telemetry import MinerState

MAX_FUTURE_US: Final = 600 * US_PER_S
MAX_PAST_US: Final = 400 * DAY_US
_LATEST: Final = (
    "state",
    "hashrate_cths",
    "power_w",
    "temp_chip_c",
    "temp_board_c",
    "fan_rpm",
    "uptime_s",
    "shares_accepted",
    "shares_rejected",
    "pool_no",
)
"""Of a sample, what the newest reading keeps, in the order of its table."""


class SampleFlag(IntFlag):
    """Why a sample's time is not believed. Such samples are kept, and left out of newest readings and hours."""

    FUTURE = 1
    FAR_PAST = 2


@dataclass(frozen=True, slots=True)
class Projected:
    """What one block does to the stores. `days` are (organisation_id, agent_id, day_us)."""

    samples: Any
    latest: list[LatestValues]
    hours: list[RollupValues]
    days: set[tuple[str, str, int]]


def pools_of(batches: Sequence[BatchRow], cycles: Sequence[CycleColumns]) -> set[tuple[str, str, str]]:
    """(organisation_id, url, worker) of all pools that the cycles name."""
    together = zip(batches, cycles, strict=True)
    return {(batch.organisation_id, url, worker) for batch, cycle in together for url, worker in cycle.pools}


def project(
    batches: Sequence[BatchRow],
    cycles: Sequence[CycleColumns],
    rosters: Sequence[Ints],
    pool_numbers: Mapping[tuple[str, str, str], int],
) -> Projected:
    """Join cycles with who they speak of. All sequences go along with `batches`."""
    sizes = np.array([cycle.size for cycle in cycles], dtype=np.int64)
    offset_ms = pc.fill_null(_joined(cycles, "offset_ms"), 0).to_numpy()
    at_us = np.repeat(_numbers(cycle.cycle_at_us for cycle in cycles), sizes) + offset_ms * US_PER_MS
    received_at_us = np.repeat(_numbers(batch.received_at_us for batch in batches), sizes)
    pools = [
        _pool_numbers(batch.organisation_id, cycle, pool_numbers)
        for batch, cycle in zip(batches, cycles, strict=True)
    ]
    table = {
        "miner_no": np.concatenate(rosters),
        "at_ms": at_us // US_PER_MS,
        "interval_ms": np.repeat(_numbers(cycle.interval_ms for cycle in cycles), sizes),
        "flags": _flags(at_us, received_at_us),
        "pool_no": np.concatenate(pools),
        "hashrate_cths": _joined(cycles, "hashrate_ths"),
    }
    columns = [table[name] if name in table else _joined(cycles, name) for name in SAMPLE_COLUMNS]
    samples = pa.table({name: pa.array(one) for name, one in zip(SAMPLE_COLUMNS, columns, strict=True)})
    return Projected(samples, _latest(samples, cycles), _hours(samples), _days(batches, cycles))


def _joined(cycles: Sequence[CycleColumns], name: str) -> Any:
    return pa.concat_arrays([cycle.columns[name] for cycle in cycles])


def _numbers(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)


def _flags(at_us: Ints, received_at_us: Ints) -> Ints:
    future = np.where(at_us > received_at_us + MAX_FUTURE_US, int(SampleFlag.FUTURE), 0)
    return future + np.where(at_us < received_at_us - MAX_PAST_US, int(SampleFlag.FAR_PAST), 0)


def _pool_numbers(organisation_id: str, cycle: CycleColumns, numbers: Mapping[tuple[str, str, str], int]) -> Ints:
    """The active pool's number per sample; 0 where none was seen."""
    # One more place than there are pools: it stands for "none".
    known = _numbers([*(numbers[organisation_id, *pool] for pool in cycle.pools), 0])
    index: Ints = pc.fill_null(cycle.pool, len(cycle.pools)).to_numpy()
    return known[index]


def _latest(samples: Any, cycles: Sequence[CycleColumns]) -> list[LatestValues]:
    """Each device's newest reading."""
    miner_no = samples["miner_no"].to_numpy()
    if not miner_no.size:
        return []
    believed = samples["flags"].to_numpy() == 0
    ends = np.cumsum([cycle.size for cycle in cycles])
    # With repeated indices the last assignment stays: that of the newest cycle.
    row_of = np.full(int(miner_no.max()) + 1, -1, dtype=np.int64)
    for place in np.argsort(_numbers(cycle.cycle_at_us for cycle in cycles), kind="stable").tolist():
        rows = np.arange(ends[place] - cycles[place].size, ends[place])
        rows = rows[believed[rows]]
        row_of[miner_no[rows]] = rows
    newest = samples.take(pa.array(row_of[row_of >= 0]))
    at_us = pc.multiply(newest["at_ms"], US_PER_MS)
    values = [newest["miner_no"], at_us, newest["interval_ms"], *(newest[name] for name in _LATEST)]
    return list(zip(*(value.to_pylist() for value in values), strict=True))


def _hours(samples: Any) -> list[RollupValues]:
    """Sums by device, hour and pool. A sample stands for its interval, and counts in the hour it begins in."""
    if pc.any(pc.not_equal(samples["flags"], 0)).as_py():
        samples = samples.filter(pc.equal(samples["flags"], 0))
    if not samples.num_rows:
        return []
    hour_us = samples["at_ms"].to_numpy() * US_PER_MS // HOUR_US * HOUR_US
    interval = samples["interval_ms"].to_numpy()
    state = samples["state"].to_numpy()
    hashrate_known, hashrate = _weighted(samples["hashrate_cths"], interval)
    power_known, power = _weighted(samples["power_w"], interval)
    unread = (state == MinerState.MISREAD) | (state == MinerState.UNIDENTIFIED)
    sums = {
        "samples": np.ones_like(interval),
        "online_ms": np.where(state == MinerState.ONLINE, interval, 0),
        "degraded_ms": np.where(state == MinerState.DEGRADED, interval, 0),
        "unreachable_ms": np.where(state == MinerState.UNREACHABLE, interval, 0),
        "unread_ms": np.where(unread, interval, 0),
        "hashrate_known_ms": hashrate_known,
        "hashrate_cths_ms": hashrate,
        "power_known_ms": power_known,
        "power_w_ms": power,
    }
    keys = {"miner_no": samples["miner_no"], "hour_us": hour_us, "pool_no": samples["pool_no"]}
    grouped = (
        pa.table({**keys, **sums})
        .group_by(list(keys), use_threads=False)
        .aggregate([(name, "sum") for name in sums])
    )
    names = [*keys, *(f"{name}_sum" for name in sums)]
    return list(zip(*(grouped[name].to_pylist() for name in names), strict=True))


def _weighted(column: Any, interval: Ints) -> tuple[Ints, Ints]:
    known = pc.is_valid(column).to_numpy()
    value = pc.fill_null(column, 0).to_numpy()
    return np.where(known, interval, 0), value * interval


def _days(batches: Sequence[BatchRow], cycles: Sequence[CycleColumns]) -> set[tuple[str, str, int]]:
    together = zip(batches, cycles, strict=True)
    return {
        (batch.organisation_id, batch.agent_id, cycle.cycle_at_us // DAY_US * DAY_US) for batch, cycle in together
    }
