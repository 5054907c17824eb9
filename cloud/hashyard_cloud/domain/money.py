"""Money: integer micro-units with an ISO 4217 currency, never a float."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from fractions import Fraction
from typing import Final, Self

from hashyard_cloud.domain.errors import AmountError, CurrencyMismatchError

MICRO: Final = 1_000_000
MAX_MICRO: Final = 10**17
"""A hundred billion of a currency: above it an amount is a typing mistake, and stores hold 64 bits."""
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Money:
    """`micro` millionths of `currency`; negative amounts are allowed (credits)."""

    micro: int
    currency: str

    def __post_init__(self) -> None:
        if not _CURRENCY.fullmatch(self.currency):
            raise AmountError(f"{self.currency!r} is not a currency code of three capital letters")
        if abs(self.micro) > MAX_MICRO:
            raise AmountError(f"an amount of {self.micro // MICRO} {self.currency} is out of range")

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Nothing, in this currency."""
        return cls(0, currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Self:
        """Read `12`, `12.5` or `1,250.00`; raises `AmountError` for anything else, or below a millionth."""
        try:
            value = Decimal(text.strip().replace(",", ""))
        except InvalidOperation as error:
            raise AmountError(f"{text[:40]!r} is not an amount; write it as 1250.00") from error
        if not value.is_finite() or value.adjusted() > 20:
            raise AmountError(f"{text[:40]!r} is not an amount; write it as 1250.00")
        scaled = value * MICRO
        if scaled != scaled.to_integral_value():
            raise AmountError(f"{text[:40]!r} has more than six decimals")
        return cls(int(scaled), currency)

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise CurrencyMismatchError(f"{self.currency} and {other.currency} cannot be added or compared")

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.micro + other.micro, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.micro - other.micro, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.micro, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.micro < other.micro

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.micro <= other.micro

    def times(self, factor: Decimal | Fraction | int) -> "Money":
        """The product, rounded half to even at the millionth."""
        return Money(round(Fraction(self.micro) * Fraction(factor)), self.currency)

    @property
    def positive(self) -> bool:
        """More than nothing."""
        return self.micro > 0

    def rounded(self, decimals: int = 2) -> "Money":
        """Rounded half to even, as invoices state it."""
        step = 10 ** (6 - decimals)
        return Money(round(Fraction(self.micro, step)) * step, self.currency)

    def rounded_up(self, decimals: int = 2) -> "Money":
        """Rounded towards plus infinity: what is credited to a customer loses no part of a cent."""
        step = 10 ** (6 - decimals)
        return Money(-(-self.micro // step) * step, self.currency)

    def text(self) -> str:
        """`12,480.00 USD`, as people read it."""
        return f"{self.figure()} {self.currency}"

    def figure(self) -> str:
        """`12,480.00` without the currency."""
        value = (Decimal(self.micro) / MICRO).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)
        return f"{value:,.2f}"


def total(amounts: "list[Money] | tuple[Money, ...]", currency: str) -> Money:
    """The sum; nothing sums to zero of `currency`."""
    result = Money.zero(currency)
    for amount in amounts:
        result += amount
    return result
