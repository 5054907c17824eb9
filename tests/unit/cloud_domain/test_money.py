from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashyard_cloud.domain.errors import AmountError, CurrencyMismatchError
from hashyard_cloud.domain.money import MAX_MICRO, Money, total

micros = st.integers(-(10**15), 10**15)


@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("12", 12_000_000),
        ("1,250.00", 1_250_000_000),
        ("-0.5", -500_000),
        ("0.000001", 1),
        ("0", 0),
        ("1e3", 10**9),
    ],
)
def test_parse(text: str, micro: int) -> None:
    assert Money.parse(f" {text} ", "USD") == Money(micro, "USD")


@pytest.mark.parametrize("text", ["", "twelve", "1.0000001", "NaN", "Infinity", "1e40", "9" * 30, "1.2.3"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(AmountError):
        Money.parse(text, "USD")


@pytest.mark.parametrize("currency", ["usd", "US", "DOLLAR", ""])
def test_currency_is_three_capitals(currency: str) -> None:
    with pytest.raises(AmountError, match="currency"):
        Money(1, currency)


def test_out_of_range() -> None:
    with pytest.raises(AmountError, match="out of range"):
        Money(MAX_MICRO + 1, "USD")


@given(micros, micros)
def test_addition_and_subtraction_are_inverse(a: int, b: int) -> None:
    one, other = Money(a, "USD"), Money(b, "USD")
    assert one + other - other == one
    assert one - other == -(other - one)
    assert (one < other) is (a < b)
    assert (one <= other) is (a <= b)


def test_currencies_do_not_mix() -> None:
    for operation in ("__add__", "__sub__", "__lt__", "__le__"):
        with pytest.raises(CurrencyMismatchError):
            getattr(Money(1, "USD"), operation)(Money(1, "EUR"))


@pytest.mark.parametrize(
    ("micro", "factor", "product"),
    [
        (3, Fraction(1, 2), 2),
        (5, Fraction(1, 2), 2),
        (10, Decimal("0.25"), 2),
        (7, 3, 21),
        (-3, Fraction(1, 2), -2),
    ],
)
def test_times_rounds_half_to_even(micro: int, factor: Fraction | Decimal | int, product: int) -> None:
    assert Money(micro, "USD").times(factor) == Money(product, "USD")


def test_text_and_rounding() -> None:
    assert Money(12_480_000_000, "USD").text() == "12,480.00 USD"
    assert Money(-5_000, "USD").figure() == "-0.00"
    assert Money(1_005_000, "USD").rounded() == Money(1_000_000, "USD")
    assert Money(1_015_000, "USD").rounded() == Money(1_020_000, "USD")


@pytest.mark.parametrize(("micro", "up"), [(0, 0), (1, 10_000), (10_000, 10_000), (-1, 0), (15_000, 20_000)])
def test_rounded_up(micro: int, up: int) -> None:
    assert Money(micro, "USD").rounded_up() == Money(up, "USD")


def test_total() -> None:
    assert total([], "EUR") == Money.zero("EUR")
    assert total((Money(1, "EUR"), Money(2, "EUR")), "EUR") == Money(3, "EUR")
