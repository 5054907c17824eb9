"""The redirect ledger: what each unit mined at the holding pool per day, valued, set against the debt."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hashyard_cloud.domain.default import CaseEvent
from hashyard_cloud.domain.money import Money
from hashyard_cloud.domain.redirect_ledger import MICRO_PER_UNIT, value
from hashyard_cloud.services.booking import book
from hashyard_cloud.services.case_money import case_money
from hashyard_cloud.services.defaults import Defaults
from hashyard_cloud.services.ports.activity import SYSTEM
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.services.ports.redirects import AccrualRow, RedirectUnitRow
from hashyard_cloud.services.ports.rollups import RollupRow
from hashyard_shared.clock import US_PER_MS, US_PER_S, Clock, utc
from hashyard_shared.events import ConfirmationLevel, UnitPhase
from hashyard_shared.ids import miner_id

MS_PER_S: Final = 1_000
HOUR_US: Final = 3_600 * US_PER_S
SOURCE: Final = "miner telemetry on the holding pool, confirmation level 3 or better"


@dataclass(frozen=True, slots=True)
class PoolSeat:
    """Where a unit counts as mining for the redirect: a holding pool and the unit's worker there."""

    address: str
    worker: str

    def matches(self, row: RollupRow) -> bool:
        """Whether a rollup is of this pool; devices tell the address with or without the scheme."""
        if row.pool_url is None or pool_address(row.pool_url) != self.address:
            return False
        return not row.pool_worker or row.pool_worker == self.worker


def pool_address(url: str) -> str:
    """Host and port in lower case, without scheme and path."""
    return url.partition("://")[2].partition("/")[0].lower() or url.partition("/")[0].lower()


class Recovery:
    """Accrues, books and ends by recovery. One case is one transaction."""

    def __init__(self, database: Database, clock: Clock, defaults: Defaults, book_lag_s: int) -> None:
        self._database = database
        self._clock = clock
        self._defaults = defaults
        self._book_lag_us = book_lag_s * US_PER_S

    async def run(self) -> int:
        """One round over all organisations; how many cases were reckoned."""
        async with self._database.reading() as tx:
            cases = [
                case
                for organisation in await tx.organisations.all()
                for case in await tx.defaults.cases(organisation.organisation_id)
                if case.redirected_us is not None and await self._unfinished(tx, case)
            ]
        for case in cases:
            async with self._database.transaction() as tx:
                await self.reckon(tx, case.organisation_id, case.case_id)
        return len(cases)

    async def _unfinished(self, tx: Transaction, case: CaseRow) -> bool:
        if case.state.live:
            return True
        if case.closed_us is not None and self._clock.now_us() - case.closed_us < self._book_lag_us:
            return True
        units = await tx.redirects.units(case.organisation_id, case_id=case.case_id)
        accruals = await tx.redirects.accruals(case.organisation_id, case.case_id)
        return any(row.at_pool_us is not None for row in units) or any(row.booked_us is None for row in accruals)

    async def reckon(self, tx: Transaction, organisation_id: str, case_id: str) -> None:
        """Bring the accruals up to date, book finished days, end the redirect when nothing is left to cure."""
        case = await self._defaults.get(tx, organisation_id, case_id)
        now_us = self._clock.now_us()
        await tx.redirects.put_accruals(await self._accruals(tx, case, now_us))
        today = _day(now_us - self._book_lag_us)
        if case.state.live:
            await book(tx, now_us, case, before_day=today)
            if not (await case_money(tx, case)).to_cure.positive:
                await book(tx, now_us, case)
                reason = "the debt is recovered at the holding pool"
                await self._defaults.end(tx, case, CaseEvent.RECOVERED, SYSTEM, reason)
            return
        units = await tx.redirects.units(organisation_id, case_id=case_id)
        lag_over = now_us - (case.closed_us or now_us) >= self._book_lag_us
        if lag_over and all(row.at_pool_us is None for row in units):
            await book(tx, now_us, case)

    async def _accruals(self, tx: Transaction, case: CaseRow, now_us: int) -> list[AccrualRow]:
        units = await tx.redirects.units(case.organisation_id, case_id=case.case_id)
        since = await self._first_at_pool(tx, case)
        seats = await self._seats(tx, case, units)
        booked = {
            (row.unit_id, row.day)
            for row in await tx.redirects.accruals(case.organisation_id, case.case_id)
            if row.booked_us is not None
        }
        by_miner = {miner_id(row.mac, None): row for row in units if row.mac and row.unit_id in since}
        if not by_miner:
            return []
        hours = await tx.rollups.hours(
            case.organisation_id,
            [name for name in by_miner if name is not None],
            min(since.values()) // HOUR_US * HOUR_US,
            now_us + 1,
        )
        mined: defaultdict[tuple[str, str], list[RollupRow]] = defaultdict(list)
        for hour in hours:
            unit = by_miner[hour.miner_id]
            seat = seats.get(unit.unit_id)
            late_enough = hour.start_us + HOUR_US > since[unit.unit_id]
            if seat is not None and late_enough and seat.matches(hour):
                mined[unit.unit_id, _day(hour.start_us)].append(hour)
        return [
            row
            for (unit_id, day), found in sorted(mined.items())
            if (unit_id, day) not in booked
            and (row := await self._row(tx, case, unit_id, day, found, now_us)) is not None
        ]

    async def _row(
        self, tx: Transaction, case: CaseRow, unit_id: str, day: str, hours: list[RollupRow], now_us: int
    ) -> AccrualRow | None:
        price = await tx.hashprices.at(case.organisation_id, case.currency, day)
        if price is None:
            return None
        ths_hours_micro = round(sum(hour.hashrate_ths_h for hour in hours) * MICRO_PER_UNIT)
        worth = value(ths_hours_micro, Money(price.price_micro, price.currency))
        return AccrualRow(
            organisation_id=case.organisation_id,
            case_id=case.case_id,
            unit_id=unit_id,
            day=day,
            ths_hours_micro=ths_hours_micro,
            measured_s=sum(hour.hashrate_known_ms for hour in hours) // MS_PER_S,
            hashprice_micro=price.price_micro,
            hashprice_source=price.source if price.day == day else f"{price.source}, of {price.day}",
            currency=case.currency,
            value_micro=worth.micro,
            until_us=now_us // US_PER_MS * US_PER_MS,
            source=SOURCE,
            booked_us=None,
        )

    async def _first_at_pool(self, tx: Transaction, case: CaseRow) -> Mapping[str, int]:
        """Since when each unit counts: the first time it was seen at the holding pool, level 3 or better."""
        found: dict[str, int] = {}
        for event in await tx.redirects.unit_events(case.organisation_id, case.case_id):
            if event.phase is UnitPhase.REDIRECTED and event.level >= ConfirmationLevel.POOL_ACTIVE:
                found[event.unit_id] = min(found.get(event.unit_id, event.at_us), event.at_us)
        return found

    async def _seats(self, tx: Transaction, case: CaseRow, units: list[RedirectUnitRow]) -> Mapping[str, PoolSeat]:
        labels = {row.unit_id: row.label for row in units}
        pools = {row.reference: row for row in await tx.holding_pools.all(case.organisation_id)}
        seats: dict[str, PoolSeat] = {}
        for order in await tx.redirects.orders(case.organisation_id, case.case_id):
            pool = pools.get(order.holding_pool or "")
            if pool is not None and order.unit_id in labels:
                worker = pool.worker.replace("{unit}", labels[order.unit_id])
                seats[order.unit_id] = PoolSeat(pool_address(pool.url), worker)
        return seats


def _day(at_us: int) -> str:
    return utc(at_us).strftime("%Y-%m-%d")
