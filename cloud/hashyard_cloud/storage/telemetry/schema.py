"""The samples table.

Whole numbers only, sorted by device and time, which is what charts ask for and what compresses best. Samples whose
time is not believed stand in a partition of their own, so that a clock in 1970 does not make a partition for it.
"""

from typing import Final

DATABASE: Final = "hashyard"
TABLE: Final = f"{DATABASE}.samples"
DEDUPLICATION_WINDOW_BLOCKS: Final = 1_000

CREATE: Final = (
    f"CREATE DATABASE IF NOT EXISTS {DATABASE}",
    f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (
        miner_no UInt32 CODEC(Delta, ZSTD(1)),
        at_ms Int64 CODEC(DoubleDelta, ZSTD(1)),
        interval_ms UInt32 CODEC(ZSTD(1)),
        state UInt8 CODEC(ZSTD(1)),
        flags UInt8 CODEC(ZSTD(1)),
        hashrate_cths Nullable(Int32) CODEC(Delta, ZSTD(1)),
        power_w Nullable(Int32) CODEC(Delta, ZSTD(1)),
        temp_chip_c Nullable(Int16) CODEC(Delta, ZSTD(1)),
        temp_board_c Nullable(Int16) CODEC(Delta, ZSTD(1)),
        fan_rpm Nullable(Int32) CODEC(Delta, ZSTD(1)),
        uptime_s Nullable(Int64) CODEC(DoubleDelta, ZSTD(1)),
        shares_accepted Nullable(Int64) CODEC(Delta, ZSTD(1)),
        shares_rejected Nullable(Int64) CODEC(Delta, ZSTD(1)),
        pool_no UInt32 CODEC(ZSTD(1)),
        block_no UInt32 CODEC(Delta, ZSTD(1))
    )
    ENGINE = MergeTree
    PARTITION BY if(flags = 0, toYYYYMM(fromUnixTimestamp64Milli(at_ms, 'UTC')), 0)
    ORDER BY (miner_no, at_ms)
    SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW_BLOCKS},
        fsync_after_insert = 1, fsync_part_directory = 1
    """,
)

SERIES: Final = f"""
    SELECT
        bucket,
        count() AS miners,
        countIf(seen_online) AS online,
        sum(mean_hashrate) AS hashrate,
        sum(mean_power) AS power,
        max(max_temp) AS temp,
        avg(working) AS working
    FROM (
        SELECT
            miner_no,
            intDiv(at_ms - {{from_ms:Int64}}, {{bucket_ms:Int64}}) AS bucket,
            max(state IN (1, 2)) AS seen_online,
            avg(state IN (1, 2)) AS working,
            avg(hashrate_cths) AS mean_hashrate,
            avg(power_w) AS mean_power,
            max(temp_chip_c) AS max_temp
        FROM {TABLE}
        WHERE miner_no IN {{miners:Array(UInt32)}}
            AND at_ms >= {{from_ms:Int64}} AND at_ms < {{to_ms:Int64}} AND flags = 0
        GROUP BY miner_no, bucket
    )
    GROUP BY bucket
    ORDER BY bucket
"""  # noqa: S608 - the only thing put into the text is the table's constant name
"""Sums over devices of each one's mean; one that was only unreachable counts neither as online nor in sums."""
