"""What a customer's machines used: energy with its source, uptime, coverage, hashrate; by day and by unit."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.equipment import AssignmentRow
from hashyard_cloud.services.ports.rollups import DAY_US, RollupRow
from hashyard_shared.ids import miner_id

DAY_MS: Final = 86_400_000
SOURCE: Final = "miner-reported"
"""Whose word the energy is, until a PDU is connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Sums over device-days. `observed_ms` of `due_ms` is the coverage; what is missing was not seen by anyone."""

    days: int = 0
    energy_wh: float = 0.0
    working_ms: int = 0
    observed_ms: int = 0
    due_ms: int = 0
    hashrate_ths_h: float = 0.0
    hashrate_known_ms: int = 0

    @property
    def uptime_ratio(self) -> float | None:
        """Working time over observed time; None where nothing was observed."""
        return self.working_ms / self.observed_ms if self.observed_ms else None

    @property
    def coverage_ratio(self) -> float | None:
        """Observed time over the time that was due."""
        return min(1.0, self.observed_ms / self.due_ms) if self.due_ms else None

    @property
    def mean_ths(self) -> float | None:
        """Mean hashrate of a device over the time it was known."""
        return self.hashrate_ths_h / (self.hashrate_known_ms / 3_600_000) if self.hashrate_known_ms else None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDay:
    """A UTC day of all of the customer's machines."""

    start_us: int
    units: int
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageUnit:
    """One machine over the whole period."""

    unit_id: str
    label: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """A period `[from_us, to_us)` in UTC days."""

    from_us: int
    to_us: int
    days: Sequence[UsageDay]
    units: Sequence[UsageUnit]
    total: Usage


def _sum(rows: Iterable[RollupRow], due_ms: int, days: int) -> Usage:
    energy = hashrate = 0.0
    working = observed = known = 0
    for row in rows:
        energy += row.energy_wh
        hashrate += row.hashrate_ths_h
        known += row.hashrate_known_ms
        working += row.online_ms + row.degraded_ms
        observed += row.online_ms + row.degraded_ms + row.unreachable_ms + row.unread_ms
    return Usage(
        days=days,
        energy_wh=energy,
        working_ms=working,
        observed_ms=observed,
        due_ms=due_ms,
        hashrate_ths_h=hashrate,
        hashrate_known_ms=known,
    )


def _due_ms(start_us: int, held: AssignmentRow, now_us: int) -> int:
    """How much of this day the machine was the customer's, up to now."""
    end_us = min(start_us + DAY_US, held.to_us or now_us, now_us)
    return max(0, end_us - max(start_us, held.from_us)) // 1_000


def _of_unit(rows: Sequence[RollupRow], due: Mapping[int, int]) -> Usage:
    return _sum(rows, sum(due.values()), len({row.start_us for row in rows}))


async def report(
    tx: Transaction, organisation_id: str, customer_id: str, from_us: int, to_us: int, now_us: int
) -> UsageReport:
    """Usage of the machines while they were this customer's. A day that changed hands counts for both."""
    first_us, last_us = from_us // DAY_US * DAY_US, -(-to_us // DAY_US) * DAY_US
    held: dict[str, list[AssignmentRow]] = defaultdict(list)
    for one in await tx.equipment.assignments(organisation_id, customer_id=customer_id):
        if one.from_us < last_us and (one.to_us is None or one.to_us > first_us):
            held[one.unit_id].append(one)
    units = {row.unit_id: row for row in await tx.equipment.some(organisation_id, sorted(held))}
    by_miner = {name: unit for unit in units.values() if (name := miner_id(unit.mac, None)) is not None}
    rows = await tx.rollups.days(organisation_id, sorted(by_miner), first_us, last_us) if by_miner else []
    by_day: dict[int, list[RollupRow]] = defaultdict(list)
    by_unit: dict[str, list[RollupRow]] = defaultdict(list)
    for row in rows:
        unit_id = by_miner[row.miner_id].unit_id
        if any(_due_ms(row.start_us, one, now_us) for one in held[unit_id]):
            by_day[row.start_us].append(row)
            by_unit[unit_id].append(row)
    starts = range(first_us, last_us, DAY_US)
    due = {
        unit_id: {start: sum(_due_ms(start, one, now_us) for one in mine) for start in starts}
        for unit_id, mine in held.items()
    }
    days = []
    for start in starts:
        due_ms = sum(one[start] for one in due.values())
        if due_ms:
            count = len({row.miner_id for row in by_day[start]})
            days.append(UsageDay(start_us=start, units=count, usage=_sum(by_day[start], due_ms, 1)))
    lines = [
        UsageUnit(unit_id=key, label=units[key].label, usage=_of_unit(by_unit[key], due[key]))
        for key in sorted(units, key=lambda key: units[key].label)
    ]
    every = [row for mine in by_unit.values() for row in mine]
    total = _sum(every, sum(sum(one.values()) for one in due.values()), len(days))
    return UsageReport(from_us=first_us, to_us=last_us, days=days, units=lines, total=total)
