"""What a customer's machines earned at their own pools, by UTC day: hashrate-time at the day's hashprice.

The hashrate is what the agent measured, or what the pool itself says of every worker of the day, where the host
recorded that; which of the two is labelled. What was mined at the holding pool is told apart: it is set against
the debt. A day on which a machine changed hands counts by its whole hours.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hashyard_cloud.domain.money import Money
from hashyard_cloud.domain.redirect_ledger import HOURS_PER_DAY, MICRO_PER_UNIT, value
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.equipment import AssignmentRow
from hashyard_cloud.services.ports.hashprices import HashpriceRow
from hashyard_cloud.services.ports.rollups import DAY_US, HOUR_US, RollupRow
from hashyard_cloud.services.recovery import PoolSeat, day_of, pool_address
from hashyard_shared.ids import miner_id

MEASURED: Final = "measured"
POOL: Final = "the pool's own figures"
CTHS_PER_THS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningsDay:
    """A day. `value_micro` is None where no hashprice is recorded; `source` says whose word the hashrate is."""

    day: str
    ths_hours: float
    held_ths_hours: float
    hashprice_micro: int | None
    hashprice_source: str
    value_micro: int | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Earnings:
    """Days that had any reading, oldest first, in the customer's currency."""

    currency: str
    days: Sequence[EarningsDay]

    @property
    def total_micro(self) -> int:
        """The sum over the days that have a value."""
        return sum(day.value_micro or 0 for day in self.days)


@dataclass(slots=True)
class _Mined:
    own: float = 0.0
    held: float = 0.0
    workers: dict[str, float] | None = None


async def report(tx: Transaction, customer: CustomerRow, from_us: int, to_us: int) -> Earnings:
    """Earnings of the machines while they were this customer's, to the hour."""
    organisation_id = customer.organisation_id
    held: dict[str, list[AssignmentRow]] = defaultdict(list)
    for one in await tx.equipment.assignments(organisation_id, customer_id=customer.customer_id):
        if one.from_us < to_us and (one.to_us is None or one.to_us > from_us):
            held[one.unit_id].append(one)
    units = await tx.equipment.some(organisation_id, sorted(held))
    pools = await tx.holding_pools.all(organisation_id)
    spans, seats = {}, {}
    for unit in units:
        name = miner_id(unit.mac, None)
        if name is not None:
            spans[name] = held[unit.unit_id]
            seats[name] = [
                PoolSeat(pool_address(pool.url), pool.worker.replace("{unit}", unit.label)) for pool in pools
            ]
    rows = await _rows(tx, organisation_id, spans, from_us, to_us)
    mined = _by_day(rows, seats)
    prices = await tx.hashprices.all(organisation_id, customer.currency)
    figures = await _figures(tx, organisation_id, mined.values())
    days = [_day(day, one, prices, figures, customer.currency) for day, one in sorted(mined.items())]
    return Earnings(currency=customer.currency, days=days)


async def _rows(
    tx: Transaction, organisation_id: str, spans: Mapping[str, Sequence[AssignmentRow]], from_us: int, to_us: int
) -> list[RollupRow]:
    """Whole days, and the hours of the days on which a machine changed hands."""
    if not spans:
        return []
    found = []
    broken: defaultdict[int, list[str]] = defaultdict(list)
    for row in await tx.rollups.days(organisation_id, sorted(spans), from_us, to_us):
        mine = spans[row.miner_id]
        if any(one.from_us <= row.start_us and _end(one) >= row.start_us + DAY_US for one in mine):
            found.append(row)
        elif any(one.from_us < row.start_us + DAY_US and _end(one) > row.start_us for one in mine):
            broken[row.start_us].append(row.miner_id)
    for start_us, miners in broken.items():
        hours = await tx.rollups.hours(organisation_id, sorted(set(miners)), start_us, start_us + DAY_US)
        found += [
            row
            for row in hours
            if any(one.from_us <= row.start_us < _end(one) - HOUR_US + 1 for one in spans[row.miner_id])
        ]
    return found


def _end(one: AssignmentRow) -> int:
    return one.to_us if one.to_us is not None else 2**63


def _by_day(rows: Iterable[RollupRow], seats: Mapping[str, Sequence[PoolSeat]]) -> dict[str, _Mined]:
    found: defaultdict[str, _Mined] = defaultdict(_Mined)
    for row in rows:
        one = found[day_of(row.start_us)]
        if any(seat.matches(row) for seat in seats[row.miner_id]):
            one.held += row.hashrate_ths_h
            continue
        one.own += row.hashrate_ths_h
        if one.workers is None:
            one.workers = {}
        one.workers[row.pool_worker or ""] = one.workers.get(row.pool_worker or "", 0.0) + row.hashrate_ths_h
    return found


async def _figures(
    tx: Transaction, organisation_id: str, mined: Iterable[_Mined]
) -> Mapping[tuple[str, str], float]:
    """TH/s-hours by worker and day, in the pools' own words."""
    workers = sorted({worker for one in mined for worker in one.workers or () if worker})
    rows = await tx.pool_figures.of_workers(organisation_id, workers) if workers else []
    return {(row.worker, row.day): row.hashrate_cths / CTHS_PER_THS * HOURS_PER_DAY for row in rows}


def _day(
    day: str,
    one: _Mined,
    prices: Sequence[HashpriceRow],
    figures: Mapping[tuple[str, str], float],
    currency: str,
) -> EarningsDay:
    told = [figures.get((worker, day)) for worker in one.workers or ()]
    known = [part for part in told if part is not None]
    by_pool = bool(known) and len(known) == len(told)
    ths_hours = sum(known) if by_pool else one.own
    price = next((row for row in prices if row.day <= day), None)
    worth = None
    if price is not None:
        worth = value(round(ths_hours * MICRO_PER_UNIT), Money(price.price_micro, currency)).micro
    return EarningsDay(
        day=day,
        ths_hours=ths_hours,
        held_ths_hours=one.held,
        hashprice_micro=price.price_micro if price else None,
        hashprice_source=price.source if price else "",
        value_micro=worth,
        source=POOL if by_pool else MEASURED,
    )
