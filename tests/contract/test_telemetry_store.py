"""What every telemetry engine must do: chDB, and a ClickHouse server where HASHYARD_TEST_CLICKHOUSE names one."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hashyard_cloud.errors import MalformedError, StoreError, TelemetryBusyError
from hashyard_cloud.services.ports.telemetry import SAMPLE_COLUMNS, TelemetryStore
from hashyard_cloud.storage.telemetry.clickhouse import open_telemetry
from hashyard_shared.clock import US_PER_MS, US_PER_S

START_US = 1_790_000_000 * US_PER_S // (60 * US_PER_S) * 60 * US_PER_S
MINUTE_US = 60 * US_PER_S
SERVER = os.environ.get("HASHYARD_TEST_CLICKHOUSE")
ENGINES = ["chdb", *(["server"] if SERVER else [])]
DEFAULTS = {"interval_ms": 60_000, "state": 1, "flags": 0, "hashrate_cths": 10_000, "power_w": 3_000, "pool_no": 1}


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TelemetryStore]:
    dsn = f"chdb://{tmp_path / 'telemetry'}" if request.param == "chdb" else str(SERVER)
    opened = await open_telemetry(dsn)
    await opened.delete_blocks(list(range(100)))
    yield opened
    await opened.close()


def samples(*rows: dict[str, Any]) -> pa.Table:
    """Rows by column name; `at_us` for the time."""
    filled = [{**DEFAULTS, **row, "at_ms": row["at_us"] // US_PER_MS} for row in rows]
    return pa.table(
        {name: pa.array([row.get(name) for row in filled], type=pa.int64()) for name in SAMPLE_COLUMNS}
    )


async def test_a_block_counts_once_however_often_it_is_inserted(store: TelemetryStore) -> None:
    block = samples({"miner_no": 1, "at_us": START_US}, {"miner_no": 2, "at_us": START_US})
    for _ in range(3):
        await store.insert_block(7, block)
    assert await store.count_block(7) == 2
    assert await store.count_blocks(1, 99) == {7: 2}


async def test_equal_samples_in_two_blocks_are_two(store: TelemetryStore) -> None:
    block = samples({"miner_no": 1, "at_us": START_US})
    await store.insert_block(1, block)
    await store.insert_block(2, block)
    assert await store.count_blocks(1, 2) == {1: 1, 2: 1}


async def test_a_block_can_be_taken_out_and_replaced(store: TelemetryStore) -> None:
    block = samples({"miner_no": 1, "at_us": START_US})
    await store.insert_block(1, block)
    await store.insert_block(2, block)
    await store.delete_blocks([1])
    assert await store.count_blocks(1, 2) == {2: 1}
    await store.replace_block(1, block)
    await store.replace_block(1, block)
    assert await store.count_blocks(1, 2) == {1: 1, 2: 1}


async def test_series_sum_means_over_devices_and_keep_gaps(store: TelemetryStore) -> None:
    second_us = START_US + MINUTE_US
    await store.insert_block(
        1,
        samples(
            {"miner_no": 1, "at_us": START_US, "hashrate_cths": 10_000},
            {"miner_no": 1, "at_us": START_US + 30 * US_PER_S, "hashrate_cths": 12_000, "temp_chip_c": 71},
            {"miner_no": 2, "at_us": START_US, "hashrate_cths": 5_000, "power_w": None},
            {"miner_no": 3, "at_us": START_US, "hashrate_cths": 99_999},
            {"miner_no": 1, "at_us": second_us, "state": 3, "hashrate_cths": None, "power_w": None},
            {"miner_no": 1, "at_us": START_US + 3 * MINUTE_US, "hashrate_cths": 0, "power_w": 0},
        ),
    )
    points = await store.series([1, 2], START_US, START_US + 4 * MINUTE_US, 60)
    assert [point.at_us for point in points] == [START_US + at * MINUTE_US for at in range(4)]
    assert [point.hashrate_ths for point in points] == [160.0, None, None, 0.0]
    assert [point.power_w for point in points] == [3_000.0, None, None, 0.0]
    assert [(point.miners, point.online) for point in points] == [(2, 2), (1, 0), (0, 0), (1, 1)]
    assert points[0].temp_chip_max_c == 71


async def test_samples_whose_time_is_not_believed_are_kept_and_not_charted(store: TelemetryStore) -> None:
    await store.insert_block(
        1, samples({"miner_no": 1, "at_us": START_US, "flags": 1}, {"miner_no": 1, "at_us": 0, "flags": 2})
    )
    assert await store.count_block(1) == 2
    points = await store.series([1], START_US, START_US + MINUTE_US, 60)
    assert [point.miners for point in points] == [0]


async def test_whole_months_are_dropped_and_nothing_younger(store: TelemetryStore) -> None:
    later_us = START_US + 40 * 86_400 * US_PER_S
    await store.insert_block(1, samples({"miner_no": 1, "at_us": START_US}, {"miner_no": 1, "at_us": later_us}))
    await store.drop_before(START_US)
    assert await store.count_block(1) == 2
    await store.drop_before(later_us)
    assert await store.count_block(1) == 1


async def test_bounds(store: TelemetryStore) -> None:
    with pytest.raises(MalformedError):
        await store.series([1], 0, START_US, 1)
    assert await store.series([], START_US, START_US + MINUTE_US, 60) != []
    assert await store.series([1], START_US, START_US, 60) == []


async def test_a_second_owner_of_the_directory_is_refused(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path / 'telemetry'}"
    first = await open_telemetry(dsn)
    with pytest.raises(TelemetryBusyError):
        await open_telemetry(dsn)
    await first.close()
    second = await open_telemetry(dsn)
    await second.close()


async def test_a_directory_that_cannot_be_used_is_told_and_no_password_is_shown() -> None:
    with pytest.raises(StoreError, match="/proc/nowhere"):
        await open_telemetry("chdb:///proc/nowhere/telemetry")
    with pytest.raises(StoreError) as caught:
        await open_telemetry("clickhouse://user:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)
