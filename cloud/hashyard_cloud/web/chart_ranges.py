"""What a chart is asked for: a range or two times in the site's zone, and which figure, in the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode

from multidict import MultiMapping

from hashyard_cloud.errors import MalformedError
from hashyard_cloud.web import format as formats
from hashyard_shared.clock import US_PER_S, utc

RANGES: Final = {
    "1h": (3_600, 60),
    "24h": (86_400, 600),
    "7d": (7 * 86_400, 3_600),
    "30d": (30 * 86_400, 4 * 3_600),
    "1y": (366 * 86_400, 86_400),
}
"""Length and resolution in seconds of each range that a page offers."""
RANGE_LABELS: Final = {"1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d", "1y": "1 y"}
RESOLUTION_LABELS: Final = {
    60: "1-min mean",
    600: "10-min mean",
    3_600: "hourly mean",
    14_400: "4-h mean",
    86_400: "daily mean",
}
CUSTOM: Final = "custom"
DEFAULT_RANGE: Final = "24h"
MAX_CUSTOM_S: Final = 366 * 86_400
MIN_CUSTOM_S: Final = 600
MAX_CUSTOM_BUCKETS: Final = 400
STEPS_S: Final = (60, 300, 600, 1_800, 3_600, 14_400, 86_400)
"""Resolutions of a range of one's own: the finest that keeps the chart within its points."""
OLDEST_YEAR: Final = 2009
_INPUT: Final = "%Y-%m-%dT%H:%M"


class Metric(StrEnum):
    """What is drawn."""

    HASHRATE = "hashrate"
    TEMPERATURE = "temperature"
    POWER = "power"
    UPTIME = "uptime"

    @property
    def label(self) -> str:
        """As pages call it."""
        return self.value.capitalize()


@dataclass(frozen=True, slots=True)
class Window:
    """What is drawn: `[from_us, to_us)` in buckets of `bucket_s`."""

    name: str
    from_us: int
    to_us: int
    bucket_s: int

    @property
    def times_s(self) -> list[int]:
        """The start of each bucket."""
        return list(range(self.from_us // US_PER_S, self.to_us // US_PER_S, self.bucket_s))

    @property
    def resolution(self) -> str:
        """As the title line says it."""
        return RESOLUTION_LABELS.get(self.bucket_s, f"{self.bucket_s // 60} min mean")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the address asks for. What was typed is kept as it was, `error` says what is wrong with it."""

    window: Window
    metric: Metric
    from_text: str
    to_text: str
    error: str

    @property
    def name(self) -> str:
        """The range's name."""
        return self.window.name

    @property
    def query(self) -> str:
        """The query of the chart's own address."""
        return self.url(self.metric, self.name)

    def url(self, metric: Metric, name: str) -> str:
        """The query for another figure or range."""
        values = {"range": name}
        if name == CUSTOM:
            values |= {"from": self.from_text, "to": self.to_text}
        if metric is not Metric.HASHRATE:
            values["metric"] = metric.value
        return urlencode(values)


def window(name: str, now_us: int, poll_s: float = 60, default: str = DEFAULT_RANGE) -> Window:
    """The range of this name, aligned to its buckets; never finer than miners are read."""
    chosen = name if name in RANGES else default
    length_s, bucket_s = RANGES[chosen]
    bucket_s = max(bucket_s, int(poll_s))
    end_s = (now_us // US_PER_S // bucket_s + 1) * bucket_s
    return Window(chosen, (end_s - length_s) * US_PER_S, end_s * US_PER_S, bucket_s)


def chosen(query: MultiMapping[str], now_us: int, timezone: str, poll_s: float = 60) -> Chosen:
    """What the address asks for; what is wrong with it is told, and the usual range shown instead."""
    asked = query.get("metric", "")
    metric = Metric(asked) if asked in set(Metric) else Metric.HASHRATE
    from_text, to_text = query.get("from", "")[:32], query.get("to", "")[:32]
    name, error = query.get("range", ""), ""
    found = window(name, now_us, poll_s)
    if name == CUSTOM:
        try:
            found = custom(from_text, to_text, now_us, timezone, poll_s)
        except MalformedError as problem:
            error = str(problem)
    if not from_text and not to_text:
        from_text, to_text = _typed(found.from_us, timezone), _typed(min(found.to_us, now_us), timezone)
    return Chosen(found, metric, from_text, to_text, error)


def checked(query: MultiMapping[str], now_us: int, timezone: str, poll_s: float = 60) -> Chosen:
    """As `chosen`, for the figures themselves; raises `MalformedError` for a range that cannot be."""
    found = chosen(query, now_us, timezone, poll_s)
    if found.error:
        raise MalformedError(found.error, field="from")
    return found


def custom(from_text: str, to_text: str, now_us: int, timezone: str, poll_s: float = 60) -> Window:
    """From one time to another in this zone; raises `MalformedError` naming the field."""
    from_s = _seconds(from_text, timezone, "from")
    to_s = _seconds(to_text, timezone, "to")
    now_s = now_us // US_PER_S
    if to_s <= from_s:
        raise MalformedError("The end must be after the beginning.", field="to")
    if from_s >= now_s:
        raise MalformedError("The beginning must be in the past.", field="from")
    to_s = min(to_s, now_s)
    length_s = max(to_s - from_s, MIN_CUSTOM_S)
    if length_s > MAX_CUSTOM_S:
        raise MalformedError("Choose at most 366 days.", field="from")
    steps = [step for step in STEPS_S if length_s <= step * MAX_CUSTOM_BUCKETS] or [STEPS_S[-1]]
    bucket_s = max(steps[0], int(poll_s))
    start_s = from_s // bucket_s * bucket_s
    end_s = -(-(start_s + length_s) // bucket_s) * bucket_s
    return Window(CUSTOM, start_s * US_PER_S, end_s * US_PER_S, bucket_s)


def _seconds(text: str, timezone: str, field: str) -> int:
    try:
        local = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise MalformedError("Give a date and a time, such as 2026-03-16 10:30.", field=field) from error
    if not OLDEST_YEAR <= local.year < 9_000:
        raise MalformedError(f"Give a year from {OLDEST_YEAR} on.", field=field)
    if local.tzinfo is None:
        local = local.replace(tzinfo=formats.zone(timezone))
    return int(local.timestamp())


def _typed(at_us: int, timezone: str) -> str:
    return utc(at_us).astimezone(formats.zone(timezone)).strftime(_INPUT)


def labels(*names: str) -> Mapping[str, str]:
    """These ranges with their labels; all of them where none is named."""
    return {name: RANGE_LABELS[name] for name in names or RANGE_LABELS}
