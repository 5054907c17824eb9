"""Hours and days per miner and active pool.

Sums of value times duration, so that late data adds up to the same figures in any order: `hashrate_cths_ms` is
hundredths of TH/s by milliseconds, `power_w_ms` watts by milliseconds, `*_ms` the time a state was seen.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA, SERIAL

SUMS: Final = (
    "samples",
    "online_ms",
    "degraded_ms",
    "unreachable_ms",
    "unread_ms",
    "hashrate_known_ms",
    "hashrate_cths_ms",
    "power_known_ms",
    "power_w_ms",
)
"""The additive columns, in order."""


def _rollup(name: str, start: str) -> Table:
    return Table(
        name,
        METADATA,
        Column("miner_no", SERIAL, primary_key=True, autoincrement=False),
        Column(start, BigInteger, primary_key=True),
        Column("pool_no", BigInteger, primary_key=True),
        *(Column(column, BigInteger, nullable=False) for column in SUMS),
        Index(f"ix_{name}_{start}", start),
    )


HOURLY: Final = _rollup("rollups_hourly", "hour_us")
DAILY: Final = _rollup("rollups_daily", "day_us")
"""Days are UTC; a site's own days come from the hours."""

ROLLUP_CHANGES: Final = Table(
    "rollup_changes",
    METADATA,
    Column("organisation_id", Text, primary_key=True),
    Column("site_id", Text, primary_key=True),
    Column("day_us", BigInteger, primary_key=True),
    Column("changed_at_us", BigInteger, nullable=False),
    Column("stale", Integer, nullable=False),
)
"""When a site's day was last added to: later than an invoice's issue means late data. `stale` until summed."""
