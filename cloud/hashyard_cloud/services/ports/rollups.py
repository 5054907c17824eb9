"""Hours and days per device: what usage, uptime and the redirect ledger are reckoned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupRow:
    """A device's hour or day on one pool. A device that changed pools has several rows for an hour.

    `start_us` is the hour's or UTC day's start. Durations are in milliseconds: `online_ms + degraded_ms` is the
    time it was seen working, `unread_ms` the time it answered but could not be read; what is missing to the full
    hour was not observed at all. `hashrate_ths_h` is TH/s times hours over `hashrate_known_ms`, `energy_wh` over
    `power_known_ms`. The pool is None where none was seen.
    """

    miner_id: str
    start_us: int
    pool_url: str | None
    pool_worker: str | None
    samples: int
    online_ms: int
    degraded_ms: int
    unreachable_ms: int
    unread_ms: int
    hashrate_known_ms: int
    hashrate_ths_h: float
    power_known_ms: int
    energy_wh: float


RollupValues = tuple[int, ...]
"""miner_no, hour_us, pool_no, then the sums in the table's order."""


class RollupsStore(Protocol):
    """Additive hours; days are summed from them."""

    async def add_hours(self, rows: Sequence[RollupValues]) -> None:
        """Add to the hours of these devices and pools."""
        ...

    async def sum_changed_days(self) -> None:
        """Sum the days that were added to since they were last summed."""
        ...

    async def mark_changed(self, changes: Sequence[tuple[str, str, int]], at_us: int) -> None:
        """Remember (organisation_id, site_id, day_us) as added to now."""
        ...

    async def changed_since(
        self, organisation_id: str, site_id: str, from_us: int, to_us: int, since_us: int
    ) -> bool:
        """Whether a day in `[from_us, to_us)` was added to after `since_us`: late data for an issued invoice."""
        ...

    async def hours(
        self, organisation_id: str, miner_ids: Sequence[str], from_us: int, to_us: int
    ) -> list[RollupRow]:
        """Hours that start in `[from_us, to_us)`, by device and time."""
        ...

    async def days(
        self, organisation_id: str, miner_ids: Sequence[str], from_us: int, to_us: int
    ) -> list[RollupRow]:
        """UTC days that start in `[from_us, to_us)`, by device and time."""
        ...
