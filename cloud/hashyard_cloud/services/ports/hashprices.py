"""The hashprice series: what a TH/s earns in a day, and who says so."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class HashpriceRow:
    """One day's hashprice per TH/s, micro-units of `currency`. `day` is `2026-03-18`, UTC."""

    organisation_id: str
    currency: str
    day: str
    price_micro: int
    source: str
    recorded_us: int


class HashpricesStore(Protocol):
    """Read and write hashprices."""

    async def put(self, row: HashpriceRow) -> None:
        """Insert or replace the day's."""
        ...

    async def at(self, organisation_id: str, currency: str, day: str) -> HashpriceRow | None:
        """The day's, or the newest before it."""
        ...

    async def all(self, organisation_id: str, currency: str) -> list[HashpriceRow]:
        """Newest first."""
        ...
