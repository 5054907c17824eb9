"""Terms at their borders: clock changes, short months, leap days, and the notice window."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from hashyard_cloud.domain.terms import Step, Term, day_start_us, months_later, next_end_us, step, tell_from_us

CHICAGO = ZoneInfo("America/Chicago")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
DAY_US = 86_400_000_000


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def term(
    starts: str, ends: str, months: int | None = 12, *, renews: bool = True, days: int = 30, told: str = ""
) -> Term:
    return Term(at(starts), at(ends), months, renews, days, at(told) if told else None)


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        ("2026-01-31T00:00", 1, "2026-02-28T00:00"),
        ("2028-01-31T00:00", 1, "2028-02-29T00:00"),
        ("2028-02-29T12:30", 12, "2029-02-28T12:30"),
        ("2026-11-30T23:59", 2, "2027-01-30T23:59"),
        ("2026-03-31T00:00", -1, "2026-02-28T00:00"),
        ("2026-01-15T00:00", -1, "2025-12-15T00:00"),
    ],
)
def test_months_end_on_the_last_day_where_the_day_is_missing(start: str, months: int, expected: str) -> None:
    assert months_later(at(start), months) == at(expected)


def test_a_local_midnight_stays_a_local_midnight_over_a_clock_change() -> None:
    start = day_start_us(date(2026, 1, 15), CHICAGO)
    assert start == at("2026-01-15T06:00")
    assert months_later(start, 6, CHICAGO) == at("2026-07-15T05:00")
    assert day_start_us(date(2026, 1, 15), KATHMANDU) == at("2026-01-14T18:15")


def test_an_hour_that_does_not_exist_becomes_the_one_after() -> None:
    half_past_two = at("2026-02-08T08:30")
    assert months_later(half_past_two, 1, CHICAGO) == at("2026-03-08T08:30")


def test_a_term_of_the_31st_finds_back_to_the_31st() -> None:
    january = term("2026-01-31T00:00", "2026-02-28T00:00", 1, days=5)
    march = next_end_us(january, UTC)
    assert march == at("2026-03-31T00:00")


def test_microseconds_are_kept() -> None:
    assert months_later(at("2026-01-01T00:00") + 7, 1) == at("2026-02-01T00:00") + 7


def test_the_customer_is_told_from_the_window_on_and_once() -> None:
    year = term("2026-01-01T00:00", "2027-01-01T00:00")
    opens = at("2026-12-02T00:00")
    assert tell_from_us(year, UTC) == opens
    assert step(year, UTC, opens - 1) is Step.WAIT
    assert step(year, UTC, opens) is Step.TELL
    told = term("2026-01-01T00:00", "2027-01-01T00:00", told="2026-12-02T00:00")
    assert step(told, UTC, opens + DAY_US) is Step.WAIT


def test_the_window_is_counted_in_local_days() -> None:
    ends = day_start_us(date(2026, 3, 20), CHICAGO)
    one = Term(ends - 365 * DAY_US, ends, None, False, 15, None)
    assert tell_from_us(one, CHICAGO) == day_start_us(date(2026, 3, 5), CHICAGO)


@pytest.mark.parametrize(
    ("renews", "months", "days", "told", "expected"),
    [
        (True, 12, 30, "2026-12-20T00:00", Step.RENEW),
        (True, 12, 30, "", Step.END),
        (True, 12, 30, "2026-11-01T00:00", Step.END),
        (True, 12, 0, "", Step.RENEW),
        (True, None, 30, "2026-12-20T00:00", Step.END),
        (False, 12, 30, "2026-12-20T00:00", Step.END),
    ],
    ids=["told", "not-told", "told-before-the-window", "no-window", "no-length", "not-set"],
)
def test_what_follows_at_the_end(renews: bool, months: int | None, days: int, told: str, expected: Step) -> None:
    one = term("2026-01-01T00:00", "2027-01-01T00:00", months, renews=renews, days=days, told=told)
    assert step(one, UTC, one.ends_us - 1) in {Step.WAIT, Step.TELL}
    assert step(one, UTC, one.ends_us) is expected


def test_one_notice_serves_one_term_also_where_the_window_is_longer_than_the_term() -> None:
    first = term("2026-01-01T00:00", "2026-02-01T00:00", 1, days=60, told="2026-01-02T00:00")
    assert step(first, UTC, first.ends_us) is Step.RENEW
    second = term("2026-01-01T00:00", "2026-03-01T00:00", 1, days=60, told="2026-01-02T00:00")
    assert step(second, UTC, at("2026-02-01T00:00")) is Step.TELL
