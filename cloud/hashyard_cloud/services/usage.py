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
Interval = tuple[int, int]
SOURCE: Final = "miner-reported"
"""Whose word the energy is, until a PDU is connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Sums over device-days. `observed_ms` of `due_ms` is the coverage; what is missing was not seen by anyone.

    `blind_ms` is the part of what is missing that the agent's gap ledger accounts for: it did not run or could not
    keep what it read.
    """

    days: int = 0
    energy_wh: float = 0.0
    working_ms: int = 0
    observed_ms: int = 0
    due_ms: int = 0
    blind_ms: int = 0
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


def _sum(rows: Iterable[RollupRow], due_ms: int, blind_ms: int, days: int) -> Usage:
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
        blind_ms=max(0, min(blind_ms, due_ms - observed)),
        hashrate_ths_h=hashrate,
        hashrate_known_ms=known,
    )


def _span(start_us: int, held: AssignmentRow, now_us: int) -> Interval:
    """The part of this day in which the machine was the customer's, up to now."""
    return max(start_us, held.from_us), min(start_us + DAY_US, held.to_us or now_us, now_us)


def _due_ms(start_us: int, held: AssignmentRow, now_us: int) -> int:
    """How much of this day that is."""
    from_us, to_us = _span(start_us, held, now_us)
    return max(0, to_us - from_us) // 1_000


def _blind_day_ms(start_us: int, held: Sequence[AssignmentRow], now_us: int, gaps: Sequence[Interval]) -> int:
    """How much of a day the site's agents account for as unseen, while the machine was the customer's."""
    spans = [_span(start_us, one, now_us) for one in held] if gaps else []
    overlaps = (min(to, end) - max(since, begin) for since, to in spans for begin, end in gaps)
    return sum(max(0, overlap_us) for overlap_us in overlaps) // 1_000


async def _gaps(
    tx: Transaction, organisation_id: str, from_us: int, to_us: int
) -> dict[tuple[str, int], list[Interval]]:
    """By site and day, when its agents say that cycles are missing; merged: two reasons may cover one hour."""
    sites = {row.agent_id: row.site_id for row in await tx.agents.all(organisation_id)}
    found: dict[str, list[Interval]] = defaultdict(list)
    for gap in await tx.agents.gaps(organisation_id, sorted(sites), from_us, to_us) if sites else []:
        if not gap.cycles:
            continue
        known = found[sites[gap.agent_id]]
        if known and gap.from_us <= known[-1][1]:
            known[-1] = (known[-1][0], max(known[-1][1], gap.to_us))
        else:
            known.append((gap.from_us, gap.to_us))
    by_day: dict[tuple[str, int], list[Interval]] = defaultdict(list)
    for site_id, intervals in found.items():
        for interval in intervals:
            first_us = max(from_us, interval[0]) // DAY_US * DAY_US
            for start in range(first_us, min(to_us, interval[1]), DAY_US):
                by_day[site_id, start].append(interval)
    return by_day


def _of_unit(rows: Sequence[RollupRow], due: Mapping[int, int], blind: Mapping[int, int]) -> Usage:
    return _sum(rows, sum(due.values()), sum(blind.values()), len({row.start_us for row in rows}))


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
    gaps = await _gaps(tx, organisation_id, first_us, last_us)
    blind = {
        key: {
            start: _blind_day_ms(start, held[key], now_us, gaps.get((unit.site_id, start), ())) for start in starts
        }
        for key, unit in units.items()
    }
    days = []
    for start in starts:
        due_ms = sum(one[start] for one in due.values())
        blind_ms = sum(one[start] for one in blind.values())
        if due_ms:
            count = len({row.miner_id for row in by_day[start]})
            days.append(UsageDay(start_us=start, units=count, usage=_sum(by_day[start], due_ms, blind_ms, 1)))
    lines = [
        UsageUnit(unit_id=key, label=units[key].label, usage=_of_unit(by_unit[key], due[key], blind[key]))
        for key in sorted(units, key=lambda key: units[key].label)
    ]
    every = [row for mine in by_unit.values() for row in mine]
    due_ms, blind_ms = (sum(sum(one.values()) for one in each.values()) for each in (due, blind))
    total = _sum(every, due_ms, blind_ms, len(days))
    return UsageReport(from_us=first_us, to_us=last_us, days=days, units=lines, total=total)
