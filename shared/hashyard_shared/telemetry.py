"""One poll cycle as columns: what the agent stores, sends and the cloud projects.

A cycle refers to a *roster*: the ordered list of miners its columns speak of. Rosters are rows of their own,
sent before telemetry and named by the hash of their content, so identity travels only when it changes.
"""

import hashlib
import json
from enum import IntEnum
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_MINERS_PER_CYCLE: Final = 20_000
MAX_TEXT_CHARS: Final = 128


class MinerState(IntEnum):
    """What could be seen of a miner. Unreachable is its own state, never zeros."""

    ONLINE = 1
    DEGRADED = 2
    UNREACHABLE = 3
    MISREAD = 4
    UNIDENTIFIED = 5

    @property
    def label(self) -> str:
        """The state as people read it."""
        return self.name.capitalize()


class RosterEntry(BaseModel):
    """Who a column position is. `ip` is only where it was last seen."""

    model_config = ConfigDict(frozen=True)

    miner_id: str = Field(max_length=MAX_TEXT_CHARS)
    mac: str | None = Field(default=None, max_length=17)
    serial: str | None = Field(default=None, max_length=MAX_TEXT_CHARS)
    ip: str = Field(max_length=45)
    family: str = Field(max_length=64)
    make: str = Field(default="", max_length=MAX_TEXT_CHARS)
    model: str = Field(default="", max_length=MAX_TEXT_CHARS)
    firmware: str = Field(default="", max_length=MAX_TEXT_CHARS)
    expected_hashrate_ths: float | None = None
    writable: bool = False


class Roster(BaseModel):
    """An ordered list of miners."""

    miners: list[RosterEntry] = Field(max_length=MAX_MINERS_PER_CYCLE)

    def roster_id(self) -> str:
        """Content hash, 16 hex characters."""
        text = json.dumps([entry.model_dump() for entry in self.miners], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


COLUMN_SCALES: Final[dict[str, int]] = {
    "hashrate_ths": 100,
    "power_w": 1,
    "temp_chip_c": 1,
    "temp_board_c": 1,
    "fan_rpm": 1,
    "uptime_s": 1,
    "shares_accepted": 1,
    "shares_rejected": 1,
}
"""Measured columns, each with the factor that makes its stored integers: hashrate 0.01 TH/s, the rest whole."""

Column = list[int | None]


class Cycle(BaseModel):
    """A poll cycle. All columns have one length, the roster's; None means "not seen", 0 means zero.

    `cycle_at_us` is the agent's wall time at the start, `mono_s` its monotonic offset within `boot_id`;
    `offset_ms[i]` is when miner i was read after the start. `pool[i]` indexes `pools`, the active pool's URL and
    worker, or is None where it was not seen.
    """

    roster_id: str = Field(max_length=64)
    cycle_at_us: int
    interval_s: float = Field(gt=0, le=86_400)
    boot_id: str = Field(max_length=64)
    mono_s: float
    state: list[MinerState] = Field(max_length=MAX_MINERS_PER_CYCLE)
    offset_ms: Column
    hashrate_ths: Column
    power_w: Column
    temp_chip_c: Column
    temp_board_c: Column
    fan_rpm: Column
    uptime_s: Column
    shares_accepted: Column
    shares_rejected: Column
    pool: Column
    pools: list[tuple[str, str]] = Field(max_length=MAX_MINERS_PER_CYCLE)

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        count = len(self.state)
        for name in (*COLUMN_SCALES, "offset_ms", "pool"):
            if len(getattr(self, name)) != count:
                raise ValueError(f"column {name} has {len(getattr(self, name))} values for {count} miners")
        known_pools = len(self.pools)
        if any(index is not None and not 0 <= index < known_pools for index in self.pool):
            raise ValueError("column pool points outside the list of pools")
        return self
