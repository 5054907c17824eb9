"""Sizes and times as people on site read them."""

from typing import Final

from hashyard_shared.clock import US_PER_S

_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_KILO: Final = 1_000


def duration(us: int) -> str:
    """A time span in its two largest units: `2 d 4 h`, `34 min`, `12 s`."""
    seconds = max(0, us // US_PER_S)
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} min"
    if seconds < _DAY_S:
        hours, rest = divmod(seconds, _HOUR_S)
        return f"{hours} h {rest // _MINUTE_S} min"
    days, rest = divmod(seconds, _DAY_S)
    return f"{days:,} d {rest // _HOUR_S} h"


def ago(us: int) -> str:
    """How long ago."""
    return "in the future" if us < 0 else f"{duration(us)} ago"


def size(count_bytes: int) -> str:
    """A number of bytes in decimal units."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < _KILO:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= _KILO
    return f"{value:.1f} TB"
