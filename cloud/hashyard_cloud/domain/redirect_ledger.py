"""What a redirect recovers: TH/s x hours at the holding pool x the day's hashprice, set against the debt.

The recovery stops at cure; what a last day brings beyond the debt is the customer's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from hashyard_cloud.domain.errors import AmountError
from hashyard_cloud.domain.money import Money, total

HOURS_PER_DAY: Final = 24
MICRO_PER_UNIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class UnitDay:
    """What one unit mined at the holding pool in one UTC day, at level 3 or better.

    `ths_hours_micro` is millionths of a TH/s-hour; `hashprice` is per TH/s and day.
    """

    unit_id: str
    day: str
    ths_hours_micro: int
    hashprice: Money


@dataclass(frozen=True, slots=True)
class Recovery:
    """How far the redirect has come. `applied` lowers the debt, `surplus` is the customer's credit."""

    value: Money
    applied: Money
    surplus: Money
    to_cure: Money

    @property
    def cured(self) -> bool:
        """Nothing is left to cure: the redirect ends."""
        return not self.to_cure.positive


def value(ths_hours_micro: int, hashprice: Money) -> Money:
    """The worth of so much hashrate-time at a hashprice per TH/s and day."""
    if ths_hours_micro < 0:
        raise AmountError(f"hashrate-time cannot be negative: {ths_hours_micro}")
    return hashprice.times(Fraction(ths_hours_micro, MICRO_PER_UNIT * HOURS_PER_DAY))


def day_value(day: UnitDay) -> Money:
    """The worth of one unit's day."""
    return value(day.ths_hours_micro, day.hashprice)


def recovery(debt: Money, days: Iterable[UnitDay]) -> Recovery:
    """Set what was mined against what is owed."""
    mined = total([day_value(day) for day in days], debt.currency)
    owed = debt if debt.positive else Money.zero(debt.currency)
    applied = min(mined, owed)
    return Recovery(mined, applied, mined - applied, owed - applied)
