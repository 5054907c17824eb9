"""How numbers, money, times and durations read on pages. Pure; used as template filters.

"0.0" means it stopped, "no data" means it could not be seen, a dash means it does not apply.
"""

from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

from hashyard_shared.clock import US_PER_S, utc

NO_DATA: Final = "no data"
DASH: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
MICRO: Final = 1_000_000
_SIGNS: Final = {"USD": "$", "EUR": "€\N{NO-BREAK SPACE}", "GBP": "£", "CAD": "CA$", "AUD": "A$"}
STAMPS_REMEMBERED: Final = 4_000
_US_PER_DAY: Final = 86_400 * US_PER_S
_US_PER_HOUR: Final = 3_600 * US_PER_S
_US_PER_MINUTE: Final = 60 * US_PER_S


def number(value: float | None, decimals: int = 0, missing: str = NO_DATA) -> str:
    """Comma for thousands, a true minus; `missing` where there is no value."""
    if value is None:
        return missing
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def ths(value: float | None, missing: str = NO_DATA) -> str:
    """TH/s: one decimal below 1,000."""
    return number(value, 1 if value is None or value < 1_000 else 0, missing)


def phs(value_ths: float | None, missing: str = NO_DATA) -> str:
    """PH/s from TH/s: two decimals below 100, one above."""
    if value_ths is None:
        return missing
    value = value_ths / 1_000
    return number(value, 2 if value < 100 else 1)


def kw(power_w: float | None, decimals: int = 0, missing: str = NO_DATA) -> str:
    """KW from W; one decimal below 100 kW unless told."""
    if power_w is None:
        return missing
    value = power_w / 1_000
    return number(value, decimals or (1 if value < 100 else 0))


def efficiency(power_w: float | None, hashrate_ths: float | None) -> str:
    """J/TH, a dash where it has no meaning."""
    if not power_w or not hashrate_ths:
        return DASH
    return number(power_w / hashrate_ths, 1)


def percent(part: float | None, whole: float | None, decimals: int = 1) -> str:
    """`part` of `whole` in per cent, a dash without a whole."""
    if part is None or not whole:
        return DASH
    return number(part * 100 / whole, decimals)


def amount(micro: int | None, missing: str = DASH) -> str:
    """Money without its sign, for columns that name the currency."""
    if micro is None:
        return missing
    # Half up on the exact integer: money is never a float.
    cents = (abs(micro) + MICRO // 200) // (MICRO // 100)
    text = f"{cents // 100:,}.{cents % 100:02d}"
    return f"{MINUS}{text}" if micro < 0 and cents else text


def money(micro: int | None, currency: str = "USD", missing: str = DASH) -> str:
    """Money with its sign: `$12,480.00`, or `CHF 12,480.00` where there is none."""
    if micro is None:
        return missing
    sign = _SIGNS.get(currency, f"{currency}\N{NO-BREAK SPACE}")
    text = amount(abs(micro))
    return f"{MINUS}{sign}{text}" if micro < 0 and text != "0.00" else f"{sign}{text}"


def rate(micro: int, currency: str = "USD") -> str:
    """A price per kWh with four decimals."""
    sign = _SIGNS.get(currency, f"{currency}\N{NO-BREAK SPACE}")
    return f"{sign}{micro // MICRO}.{micro % MICRO:06d}"[:-2]


def duration(span_us: int | None, missing: str = DASH) -> str:
    """`17 d`, `2 d 4 h`, `2 h 06 min`, `34 min`, `12 s`."""
    if span_us is None:
        return missing
    span = max(0, span_us)
    if span >= 10 * _US_PER_DAY:
        return f"{span // _US_PER_DAY} d"
    if span >= _US_PER_DAY:
        return f"{span // _US_PER_DAY} d {span % _US_PER_DAY // _US_PER_HOUR} h"
    if span >= _US_PER_HOUR:
        return f"{span // _US_PER_HOUR} h {span % _US_PER_HOUR // _US_PER_MINUTE:02d} min"
    if span >= _US_PER_MINUTE:
        return f"{span // _US_PER_MINUTE} min"
    return f"{span // US_PER_S} s"


def span_of_seconds(seconds: int) -> str:
    """A term of a contract: whole days where it is whole days, else hours, minutes, seconds."""
    if seconds and seconds % 86_400 == 0:
        return f"{seconds // 86_400} d"
    return duration(seconds * US_PER_S)


def zone(name: str) -> ZoneInfo:
    """The zone; UTC where the name is not known on this machine."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def local_text(at_us: int, timezone: str, now_us: int) -> str:
    """`16 Mar 10:32` in the zone; another year is told, without the hour."""
    local = utc(at_us).astimezone(zone(timezone))
    if local.year != utc(now_us).astimezone(zone(timezone)).year:
        return f"{local.day} {local:%b %Y}"
    return f"{local.day} {local:%b %H:%M}"


# The rows of a list were mostly read in the same cycle.
@lru_cache(maxsize=STAMPS_REMEMBERED)
def _stamp(at_us: int, text: str) -> Markup:
    moment = utc(at_us)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M:%S}", text
    )


def when(at_us: int | None, timezone: str, now_us: int, missing: str = DASH) -> Markup:
    """A time in the zone, with UTC on hover."""
    if at_us is None:
        return escape(missing)
    return _stamp(at_us, local_text(at_us, timezone, now_us))


def day(at_us: int | None, timezone: str, now_us: int, missing: str = DASH) -> Markup:
    """A date in the zone, with UTC on hover; the year only where it is another."""
    if at_us is None:
        return escape(missing)
    local = utc(at_us).astimezone(zone(timezone))
    same_year = local.year == utc(now_us).astimezone(zone(timezone)).year
    return _stamp(at_us, f"{local.day} {local:%b}" if same_year else f"{local.day} {local:%b %Y}")


def age(at_us: int | None, now_us: int, missing: str = NO_DATA) -> Markup:
    """How long ago, with UTC on hover."""
    if at_us is None:
        return escape(missing)
    return _stamp(at_us, f"{duration(now_us - at_us)} ago")


def clock_text(now_us: int, timezone: str) -> str:
    """The header's clock: `18 Mar 14:32 CDT`."""
    local = utc(now_us).astimezone(zone(timezone))
    return f"{local.day} {local:%b %H:%M %Z}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 unit`, `50 units`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def initials(name: str) -> str:
    """Two letters for the avatar."""
    parts = [part for part in name.split() if part]
    return "".join(part[0] for part in (parts[:1] + parts[-1:] if len(parts) > 1 else parts)).upper() or "?"
