"""What a chart draws: series on a common time axis, gaps as gaps, and shaded windows. JSON and CSV of the same."""

import csv
import hashlib
import io
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from hashyard_cloud.services.ports.telemetry import SeriesPoint
from hashyard_cloud.web import format as formats
from hashyard_cloud.web import keys
from hashyard_cloud.web.chart_ranges import Metric, Window
from hashyard_cloud.web.memory import MEMORY
from hashyard_shared.clock import US_PER_S, iso

GAP_BUCKETS: Final = 2
"""So many empty buckets in a row are a gap that is hatched; one alone only breaks the line."""
MAX_BANDS: Final = 40
KEPT_PART: Final = 20
LEAST_KEPT_S: Final = 2.0
MOST_KEPT_S: Final = 300.0
EVERYBODY: Final = ""
"""Whose memory series are in: devices' numbers are unique, and who may see which was asked before."""


@dataclass(frozen=True, slots=True)
class Band:
    """A shaded window: `gap`, `redirected` or `curtailed`."""

    kind: str
    from_s: int
    to_s: int
    text: str


@dataclass(frozen=True, slots=True)
class Series:
    """A line. `axis` 1 is left, 2 right; `color` is a name of the style sheet."""

    label: str
    unit: str
    color: str
    values: Sequence[float | None]
    axis: int = 1
    dashed: bool = False


async def points(app: web.Application, miner_nos: Sequence[int], span: Window) -> dict[int, SeriesPoint]:
    """The buckets by start in seconds; without a device there is none.

    What is drawn is remembered for a part of its resolution: a bucket of four hours need not be summed up anew for
    everybody who looks.
    """
    if not miner_nos:
        return {}
    kept_s = min(max(span.bucket_s / KEPT_PART, LEAST_KEPT_S), MOST_KEPT_S)
    found = await series(app, miner_nos, (span.from_us, span.to_us), span.bucket_s, kept_s)
    return {point.at_us // US_PER_S: point for point in found}


async def series(
    app: web.Application, miner_nos: Sequence[int], span: tuple[int, int], bucket_s: int, kept_s: float
) -> list[SeriesPoint]:
    """The buckets of these devices from one time to another, the same answer for so many seconds."""
    digest = hashlib.blake2b(array("Q", miner_nos).tobytes(), digest_size=16).hexdigest()
    name = f"series {digest} {span[0]} {span[1]} {bucket_s}"

    async def ask() -> list[SeriesPoint]:
        return await app[keys.TELEMETRY].series(miner_nos, span[0], span[1], bucket_s)

    return await app[MEMORY].get(EVERYBODY, name, ask, kept_s)


def hashrate(found: dict[int, SeriesPoint], span: Window, scale: float = 1.0) -> list[float | None]:
    """Hashrate in each bucket, None where nothing was seen."""
    return [_scaled(found[at].hashrate_ths, scale) if at in found else None for at in span.times_s]


def temperature(found: dict[int, SeriesPoint], span: Window) -> list[float | None]:
    """Hottest chip in each bucket."""
    return [found[at].temp_chip_max_c if at in found else None for at in span.times_s]


def power(found: dict[int, SeriesPoint], span: Window, scale: float = 1.0) -> list[float | None]:
    """Power in each bucket."""
    return [_scaled(found[at].power_w, scale) if at in found else None for at in span.times_s]


def uptime(found: dict[int, SeriesPoint], span: Window) -> list[float | None]:
    """Per cent of what was observed in each bucket that was seen working."""
    return [_scaled(found[at].working_ratio, 100.0) if at in found else None for at in span.times_s]


def of_metric(found: dict[int, SeriesPoint], span: Window, metric: Metric, big: bool) -> Series:
    """The one line of a figure; `big` sums are in PH/s and kW."""
    if metric is Metric.TEMPERATURE:
        return Series("Chip, max", "°C", "--red", temperature(found, span))
    if metric is Metric.POWER:
        return Series("Power", "kW" if big else "W", "--series-3", power(found, span, 0.001 if big else 1.0))
    if metric is Metric.UPTIME:
        return Series("Uptime", "%", "--green", uptime(found, span))
    return Series(
        "Hashrate", "PH/s" if big else "TH/s", "--series-1", hashrate(found, span, 0.001 if big else 1.0)
    )


def redirected(since_us: int, span: Window, timezone: str, now_us: int) -> Band:
    """The shaded window from where a redirect was confirmed."""
    text = f"Redirected {formats.local_text(since_us, timezone, now_us)}"
    return Band("redirected", max(since_us, span.from_us) // US_PER_S, span.to_us // US_PER_S, text)


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else round(value * scale, 3)


def gaps(
    values: Sequence[float | None], span: Window, timezone: str, cause: str = "", since_us: int | None = None
) -> list[Band]:
    """Stretches without data, hatched. What lies before `since_us` was never to be seen and is left blank."""
    times = span.times_s
    bands: list[Band] = []
    start: int | None = None
    last = len(times) - 1
    for place, value in enumerate([*values, 0.0]):
        if value is None and place <= last:
            start = place if start is None else start
            continue
        if start is not None:
            # The newest bucket may simply not be full yet.
            end = place - 1 if place > last else place
            _add_gap(bands, times, start, end, span, timezone, cause, since_us)
            start = None
    return bands[-MAX_BANDS:]


def _add_gap(
    bands: list[Band],
    times: list[int],
    start: int,
    end: int,
    span: Window,
    timezone: str,
    cause: str,
    since_us: int | None,
) -> None:
    from_s = times[start]
    to_s = times[end] if end < len(times) else span.to_us // US_PER_S
    if since_us is not None:
        from_s = max(from_s, since_us // US_PER_S)
    if to_s - from_s < GAP_BUCKETS * span.bucket_s:
        return
    text = f"No data {span_text(from_s * US_PER_S, to_s * US_PER_S, timezone)}"
    bands.append(Band("gap", from_s, to_s, f"{text}, {cause}" if cause else text))


def span_text(from_us: int, to_us: int, timezone: str) -> str:
    """`04:10-05:20`, with the day where it is long."""
    first = formats.local_text(from_us, timezone, to_us)
    second = formats.local_text(to_us, timezone, to_us)
    if first.split()[:2] == second.split()[:2] and to_us - from_us < 86_400 * US_PER_S:
        return f"{first.split()[-1]}\N{EN DASH}{second.split()[-1]}"
    return f"{first} \N{EN DASH} {second}"


def answer(span: Window, series: Sequence[Series], bands: Sequence[Band]) -> web.Response:
    """The JSON that `chart.js` draws."""
    body: dict[str, Any] = {
        "from": span.from_us // US_PER_S,
        "to": span.to_us // US_PER_S,
        "t": span.times_s,
        "v": [list(one.values) for one in series],
        "series": [
            {
                "label": one.label,
                "unit": one.unit,
                "color": one.color,
                "axis": one.axis,
                "dashed": one.dashed,
            }
            for one in series
        ],
        "bands": [{"kind": b.kind, "from": b.from_s, "to": b.to_s, "text": b.text} for b in bands],
        "caption": ". ".join(f"{_SHADES[b.kind]}: {b.text[0].lower()}{b.text[1:]}" for b in bands[:4]),
    }
    response = web.json_response(body, headers={"Cache-Control": "no-store"})
    response.enable_compression()
    return response


_SHADES: Final = {"gap": "Hatched", "redirected": "Violet", "curtailed": "Amber"}


def as_csv(span: Window, series: Sequence[Series], name: str) -> web.Response:
    """The same figures as a file: empty where there is no data."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["time_utc", *(f"{one.label} [{one.unit}]" for one in series)])
    for place, at_s in enumerate(span.times_s):
        values = ["" if one.values[place] is None else one.values[place] for one in series]
        writer.writerow([iso(at_s * US_PER_S), *values])
    return csv_file(text.getvalue(), name)


def csv_file(text: str, name: str) -> web.Response:
    """A CSV download."""
    return web.Response(
        text=text,
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )
