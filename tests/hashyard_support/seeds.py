"""What a furnished host consists of before it runs: clocks, models, units, sites."""

from dataclasses import dataclass, field
from typing import Final

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_shared.clock import SystemClock

HOLDING_URL: Final = "stratum+tcp://holding.caprock.example:3333"
INTERVAL_S: Final = 600
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
MODELS: Final = (
    ("Antminer S21", 200.0, 3_500),
    ("Antminer S19 XP", 140.0, 3_010),
    ("Whatsminer M60S", 186.0, 3_441),
)


class MovableClock(SystemClock):
    """The machine's clocks with a wall time that a test moves."""

    def __init__(self) -> None:
        self.offset_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.offset_us


@dataclass
class SeedUnit:
    """A unit and the device behind it."""

    unit_id: str
    label: str
    mac: str
    model: str
    ths: float
    watts: int
    worker: str
    held: bool = False


@dataclass
class SeedSite:
    """A site with its agent."""

    site_id: str
    name: str
    code: str
    agent: AgentRow
    units: list[SeedUnit] = field(default_factory=list)
    seq: int = 0
    roster_id: str = ""
    extra: int = 0
