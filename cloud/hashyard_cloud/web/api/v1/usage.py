"""What a customer's machines used, and the evidence bundle of a default case."""

import base64
import hashlib
from typing import Final

from hashyard_cloud.errors import MalformedError
from hashyard_cloud.services import customers, earnings, usage
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.ports.rollups import DAY_US
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.series import SpanQuery
from hashyard_cloud.web.api.v1.types import Answer, at_us, decimal, instant
from hashyard_cloud.web.pages import MONEY, STAFF

MAX_USAGE_DAYS: Final = 92
_WH_PER_KWH: Final = 1_000


class Used(Answer):
    """Energy, uptime over what was observed, coverage of what was due; null where nothing was observed."""

    kwh: float
    uptime_ratio: float | None
    coverage_ratio: float | None
    agent_blind_s: float
    mean_hashrate_ths: float | None


class DayUsed(Answer):
    """A UTC day of all machines together."""

    start_at: str
    units: int
    usage: Used


class UnitUsed(Answer):
    """A machine over the whole span, while it was the customer's."""

    unit_id: str
    label: str
    usage: Used


class UsageAnswer(Answer):
    """Usage in whole UTC days. `source` says whose word the energy is."""

    from_at: str
    to_at: str
    source: str
    total: Used
    days: list[DayUsed]
    units: list[UnitUsed]


class EvidenceFile(Answer):
    """A signed ZIP: its name, its SHA-256 and its bytes in base64."""

    name: str
    sha256: str
    zip_base64: str


class EarningsQuery(SpanQuery):
    """A span in whole UTC days, at most 92."""


class EarnedDay(Answer):
    """A UTC day: hashrate-time at the machines' own pools, whose word it is, and its worth at the day's hashprice.

    What was mined at the holding pool is told apart: it is set against the debt.
    """

    day: str
    ths_hours: float
    holding_pool_ths_hours: float
    hashrate_source: str
    hashprice: str | None
    hashprice_source: str
    earned: str | None


class EarningsAnswer(Answer):
    """Days that had any reading, oldest first."""

    currency: str
    total: str
    days: list[EarnedDay]


def _used(found: usage.Usage) -> Used:
    return Used(
        kwh=found.energy_wh / _WH_PER_KWH,
        uptime_ratio=found.uptime_ratio,
        coverage_ratio=found.coverage_ratio,
        agent_blind_s=found.blind_ms / 1_000,
        mean_hashrate_ths=found.mean_ths,
    )


def _span(query: SpanQuery) -> tuple[int, int]:
    from_us, to_us = at_us(query.from_at, "from_at"), at_us(query.to_at, "to_at")
    if to_us <= from_us:
        raise MalformedError("The end must be after the beginning.", field="to_at")
    if to_us - from_us > MAX_USAGE_DAYS * DAY_US:
        raise MalformedError(f"Ask for at most {MAX_USAGE_DAYS} days at once.", field="to_at")
    return from_us, to_us


async def get_earnings(call: Call, query: EarningsQuery) -> EarningsAnswer:
    """What a customer's machines earned by day, at most 92 days at once."""
    from_us, to_us = _span(query)
    async with call.database.reading() as tx:
        customer = await customers.get(tx, call.org, call.ids["customer_id"])
        found = await earnings.report(tx, customer, from_us // DAY_US * DAY_US, to_us)
    days = [
        EarnedDay(
            day=day.day,
            ths_hours=day.ths_hours,
            holding_pool_ths_hours=day.held_ths_hours,
            hashrate_source=day.source,
            hashprice=decimal(day.hashprice_micro),
            hashprice_source=day.hashprice_source,
            earned=decimal(day.value_micro),
        )
        for day in found.days
    ]
    return EarningsAnswer(currency=found.currency, total=decimal(found.total_micro) or "", days=days)


async def get_usage(call: Call, query: SpanQuery) -> UsageAnswer:
    """What a customer's machines used, at most 92 days at once."""
    from_us, to_us = _span(query)
    async with call.database.reading() as tx:
        customer = await customers.get(tx, call.org, call.ids["customer_id"])
        found = await usage.report(tx, call.org, customer.customer_id, from_us, to_us, call.now_us)
    return UsageAnswer(
        from_at=instant(found.from_us) or "",
        to_at=instant(found.to_us) or "",
        source=usage.SOURCE,
        total=_used(found.total),
        days=[
            DayUsed(start_at=instant(day.start_us) or "", units=day.units, usage=_used(day.usage))
            for day in found.days
        ],
        units=[UnitUsed(unit_id=one.unit_id, label=one.label, usage=_used(one.usage)) for one in found.units],
    )


async def make_evidence(call: Call) -> EvidenceFile:
    """Make the evidence bundle of a case; that it was made stands in the activity log."""
    async with call.database.transaction() as tx:
        name, data = await call.built.evidence.bundle(tx, call.org, call.actor, call.ids["case_id"])
    return EvidenceFile(
        name=name, sha256=hashlib.sha256(data).hexdigest(), zip_base64=base64.b64encode(data).decode()
    )


_READINGS: Final = Feature(Area.READINGS)
_DEFAULTS: Final = Feature(Area.DEFAULTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _READINGS.read("/customers/{customer_id}/usage", get_usage, STAFF),
    _READINGS.read("/customers/{customer_id}/earnings", get_earnings, STAFF),
    _DEFAULTS.add("/cases/{case_id}/evidence", make_evidence, MONEY, secret=True),
)
