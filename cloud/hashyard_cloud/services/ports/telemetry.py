"""The telemetry store: a projection of the received bodies, for charts only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

MAX_BUCKETS: Final = 10_000
MAX_SERIES_MINERS: Final = 50_000
SAMPLE_COLUMNS: Final = (
    "miner_no",
    "at_ms",
    "interval_ms",
    "state",
    "flags",
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
"""What a sample consists of, all whole numbers; `hashrate_cths` is in hundredths of TH/s, `pool_no` 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """One bucket. `hashrate_ths` and `power_w` are the sums over devices of each one's mean; None is "no data".

    A device that was not read in a bucket adds nothing, so `miners` says how many did. `online` counts the devices
    that were seen working at any time in it, `working_ratio` is the share of observations that saw one working.
    """

    at_us: int
    miners: int
    online: int
    hashrate_ths: float | None
    power_w: float | None
    temp_chip_max_c: float | None
    working_ratio: float | None


class TelemetryStore(Protocol):
    """Samples by device number. Every call may take long; none blocks the event loop."""

    async def insert_block(self, block_no: int, samples: Any) -> None:
        """Insert a pyarrow Table of `SAMPLE_COLUMNS`; the same number again changes nothing."""
        ...

    async def count_block(self, block_no: int) -> int:
        """How many samples of this block are stored."""
        ...

    async def count_blocks(self, first: int, last: int) -> dict[int, int]:
        """How many samples of each of these blocks are stored, `last` included; empty ones are absent."""
        ...

    async def replace_block(self, block_no: int, samples: Any) -> None:
        """Take out what is stored of this block and insert it anew."""
        ...

    async def count(self) -> int:
        """How many samples are stored."""
        ...

    async def delete_blocks(self, block_nos: Sequence[int]) -> None:
        """Take these blocks out, before they are projected anew."""
        ...

    async def series(self, miner_nos: Sequence[int], from_us: int, to_us: int, bucket_s: int) -> list[SeriesPoint]:
        """All buckets of `[from_us, to_us)`, by time; one without data has None values: a gap stays a gap."""
        ...

    async def drop_before(self, before_us: int) -> None:
        """Forget whole months that ended before this."""
        ...

    async def close(self) -> None: ...
