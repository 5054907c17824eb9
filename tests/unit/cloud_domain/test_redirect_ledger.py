import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashyard_cloud.domain.errors import AmountError
from hashyard_cloud.domain.money import Money
from hashyard_cloud.domain.partial import Candidate, chosen
from hashyard_cloud.domain.redirect_ledger import UnitDay, recovery, value

PRICE = Money(50_000, "USD")  # 0.05 USD per TH/s and day


def day(ths_hours: int) -> UnitDay:
    return UnitDay("u1", "2026-03-18", ths_hours * 1_000_000, PRICE)


def test_a_day_of_200_ths() -> None:
    assert value(200 * 24 * 1_000_000, PRICE) == Money(10_000_000, "USD")


def test_hashrate_time_is_not_negative() -> None:
    with pytest.raises(AmountError):
        value(-1, PRICE)


def test_recovery_stops_at_cure_and_returns_the_surplus() -> None:
    debt = Money(15_000_000, "USD")
    half = recovery(debt, [day(4_800)])
    assert (half.applied, half.surplus, half.to_cure) == (
        Money(10_000_000, "USD"),
        Money(0, "USD"),
        Money(5_000_000, "USD"),
    )
    assert not half.cured
    over = recovery(debt, [day(4_800), day(4_800)])
    assert over.cured
    assert over.applied == debt
    assert over.surplus == Money(5_000_000, "USD")


def test_without_debt_everything_is_surplus() -> None:
    for micro in (0, -3):
        found = recovery(Money(micro, "USD"), [day(24)])
        assert found.cured
        assert found.surplus == found.value


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**6), max_size=10))
def test_recovery_splits_without_loss(debt: int, hours: list[int]) -> None:
    found = recovery(Money(debt, "USD"), [day(item) for item in hours])
    assert found.applied + found.surplus == found.value
    assert found.applied + found.to_cure == Money(debt, "USD")
    assert found.surplus == Money(0, "USD") or found.cured


CANDIDATES = [Candidate("a", 100.0), Candidate("b", 200.0), Candidate("c", 100.0), Candidate("d", 50.0)]


@pytest.mark.parametrize(
    ("percent", "units"), [(100, ("a", "b", "c", "d")), (50, ("b",)), (60, ("b", "d")), (10, ()), (12, ("d",))]
)
def test_partial_redirect_stays_within_what_was_agreed(percent: int, units: tuple[str, ...]) -> None:
    assert chosen(CANDIDATES, percent) == units


@pytest.mark.parametrize("percent", [0, 101, -1])
def test_share_is_a_percentage(percent: int) -> None:
    with pytest.raises(AmountError):
        chosen(CANDIDATES, percent)


@given(st.lists(st.floats(0, 500), max_size=20), st.integers(1, 99))
def test_never_more_than_agreed(rates: list[float], percent: int) -> None:
    candidates = [Candidate(str(at), rate) for at, rate in enumerate(rates)]
    taken = set(chosen(candidates, percent))
    assert (
        sum(item.hashrate_ths for item in candidates if item.unit_id in taken) <= sum(rates) * percent / 100 + 1e-6
    )
