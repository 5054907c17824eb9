"""Readings over time: per unit, site, customer; and a unit's days."""

from typing import Annotated, Final

from pydantic import Field

from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services import customers, sites
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.ports.rollups import DAY_US
from hashyard_cloud.services.ports.telemetry import MAX_BUCKETS
from hashyard_cloud.web import charts
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import Answer, Instant, Query, at_us, instant
from hashyard_cloud.web.pages import STAFF
from hashyard_shared.clock import US_PER_S

MAX_DAYS: Final = 400
KEPT_S: Final = 10.0
"""How long the same question is answered from memory."""
MAX_SPAN_US: Final = MAX_DAYS * DAY_US


class SpanQuery(Query):
    """A span of at most 400 days, its end not part of it."""

    from_at: Instant
    to_at: Instant


class SeriesQuery(SpanQuery):
    """A span in buckets of so many seconds, at most 10,000 of them."""

    bucket_s: Annotated[int, Field(ge=60, le=86_400)] = 3_600


class Bucket(Answer):
    """Sums over the devices that were read; null is "no data", never zero."""

    at: str
    miners: int
    online: int
    hashrate_ths: float | None
    power_w: float | None
    temp_chip_max_c: float | None


class Series(Answer):
    """Buckets by time, those without data too."""

    bucket_s: int
    items: list[Bucket]


class UnitDay(Answer):
    """A unit's UTC day on one pool. What is missing to the whole day was not observed."""

    start_at: str
    pool_url: str | None
    pool_worker: str | None
    samples: int
    online_ms: int
    degraded_ms: int
    unreachable_ms: int
    unread_ms: int
    hashrate_known_ms: int
    hashrate_ths_h: float
    power_known_ms: int
    energy_wh: float


class UnitDays(Answer):
    """Days by time."""

    items: list[UnitDay]


def _span(query: SpanQuery) -> tuple[int, int]:
    from_us, to_us = at_us(query.from_at, "from_at"), at_us(query.to_at, "to_at")
    if to_us <= from_us:
        raise MalformedError("The end must be after the beginning.", field="to_at")
    if to_us - from_us > MAX_SPAN_US:
        raise MalformedError(f"Ask for at most {MAX_DAYS} days.", field="to_at")
    return from_us, to_us


async def _series(call: Call, query: SeriesQuery, miner_nos: list[int]) -> Series:
    from_us, to_us = _span(query)
    if (to_us - from_us) // US_PER_S // query.bucket_s >= MAX_BUCKETS:
        raise MalformedError(f"More than {MAX_BUCKETS:,} buckets; choose a longer one.", field="bucket_s")
    points = await charts.series(call.app, miner_nos, (from_us, to_us), query.bucket_s, KEPT_S)
    return Series(bucket_s=query.bucket_s, items=[Bucket.of(point, at=instant(point.at_us)) for point in points])


async def get_unit_series(call: Call, query: SeriesQuery) -> Series:
    """A unit's readings over time."""
    async with call.database.reading() as tx:
        view = await tx.fleet.unit(call.org, call.ids["unit_id"], call.now_us)
    if view is None:
        raise NotFoundError
    return await _series(call, query, [] if view.miner_no is None else [view.miner_no])


async def get_site_series(call: Call, query: SeriesQuery) -> Series:
    """All units of a site over time."""
    async with call.database.reading() as tx:
        site = await sites.get(tx, call.org, call.ids["site_id"])
        numbers = await tx.fleet.miner_nos(call.org, site_id=site.site_id)
    return await _series(call, query, numbers)


async def get_customer_series(call: Call, query: SeriesQuery) -> Series:
    """All units that are a customer's now over time."""
    async with call.database.reading() as tx:
        customer = await customers.get(tx, call.org, call.ids["customer_id"])
        numbers = await tx.fleet.miner_nos(call.org, customer_id=customer.customer_id)
    return await _series(call, query, numbers)


async def list_unit_days(call: Call, query: SpanQuery) -> UnitDays:
    """Energy, hashrate and coverage of a unit by UTC day."""
    from_us, to_us = _span(query)
    async with call.database.reading() as tx:
        view = await tx.fleet.unit(call.org, call.ids["unit_id"], call.now_us)
        if view is None:
            raise NotFoundError
        names = [view.miner_id] if view.miner_id else []
        rows = await tx.rollups.days(call.org, names, from_us, to_us)
    return UnitDays(items=[UnitDay.of(row) for row in rows])


_READINGS: Final = Feature(Area.READINGS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _READINGS.read("/units/{unit_id}/series", get_unit_series, STAFF),
    _READINGS.read("/units/{unit_id}/days", list_unit_days, STAFF),
    _READINGS.read("/sites/{site_id}/series", get_site_series, STAFF),
    _READINGS.read("/customers/{customer_id}/series", get_customer_series, STAFF),
)
