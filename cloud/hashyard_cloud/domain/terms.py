"""A contract's term: when it ends, from when the customer is to be told, and what follows.

Terms are counted in the host's time zone, so that a term that began at midnight ends at midnight on both sides of
a clock change. A term that began on the 31st ends on the last day of a shorter month and on the 31st again later.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum

from hashyard_shared.clock import US_PER_S, utc


class Step(StrEnum):
    """What is to be done about a term now."""

    WAIT = "wait"
    TELL = "tell"
    RENEW = "renew"
    END = "end"


@dataclass(frozen=True, slots=True)
class Term:
    """A running term, `ends_us` exclusive. `told_us` is when the customer was last told about a term's end.

    `months` is how long a term is; without it nothing renews. `renews` is what the contract says.
    """

    starts_us: int
    ends_us: int
    months: int | None
    renews: bool
    notice_days: int
    told_us: int | None


def _us(at: datetime) -> int:
    # Whole seconds apart from the fraction: a float of both would lose microseconds.
    return round(at.replace(microsecond=0).timestamp()) * US_PER_S + at.microsecond


def day_start_us(day: date, zone: tzinfo) -> int:
    """When this day begins in this zone."""
    return _us(datetime(day.year, day.month, day.day, tzinfo=zone))


def months_later(at_us: int, months: int, zone: tzinfo = UTC, day: int | None = None) -> int:
    """The same local time that many months later, on this `day` of the month (its own), or the month's last."""
    local = utc(at_us).astimezone(zone)
    month = local.month - 1 + months
    year, month = local.year + month // 12, month % 12 + 1
    wanted = min(day or local.day, monthrange(year, month)[1])
    return _us(local.replace(year=year, month=month, day=wanted, fold=0))


def _day_of(term: Term, zone: tzinfo) -> int:
    return utc(term.starts_us).astimezone(zone).day


def next_end_us(term: Term, zone: tzinfo) -> int:
    """When the term after this one ends; a contract without a length stays at its end."""
    return months_later(term.ends_us, term.months or 0, zone, _day_of(term, zone))


def tell_from_us(term: Term, zone: tzinfo) -> int:
    """When the notice window opens: never before this very term began, so that one notice serves one term."""
    ends = utc(term.ends_us).astimezone(zone)
    opens_us = _us(ends - timedelta(days=term.notice_days))
    began_us = months_later(term.ends_us, -(term.months or 0), zone, _day_of(term, zone)) if term.months else 0
    return max(opens_us, began_us, term.starts_us)


def step(term: Term, zone: tzinfo, now_us: int) -> Step:
    """What to do now. A term renews only if the customer was told in its notice window, where there is one."""
    opens_us = tell_from_us(term, zone)
    told = term.told_us is not None and opens_us <= term.told_us < term.ends_us
    if now_us < term.ends_us:
        return Step.TELL if now_us >= opens_us and not told and term.notice_days else Step.WAIT
    if term.renews and term.months and (told or not term.notice_days):
        return Step.RENEW
    return Step.END
