"""The redirect ledger: what each unit mined at the holding pool per day, valued, set against the debt."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hashyard_cloud.domain.default import CaseEvent, CaseState
from hashyard_cloud.domain.money import Money
from hashyard_cloud.domain.redirect_ledger import MICRO_PER_UNIT, value
from hashyard_cloud.services.booking import book
from hashyard_cloud.services.case_money import case_money
from hashyard_cloud.services.defaults import Defaults
from hashyard_cloud.services.ports.activity import SYSTEM
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.services.ports.redirects import AccrualRow, RedirectUnitRow
from hashyard_cloud.services.ports.rollups import DAY_US, HOUR_US, RollupRow
from hashyard_shared.clock import US_PER_S, Clock, utc
from hashyard_shared.events import ConfirmationLevel, UnitPhase
from hashyard_shared.ids import miner_id

MS_PER_S: Final = 1_000
WINDOW_US: Final = 7 * DAY_US
"""How long late telemetry still changes a day; after that it is final."""
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
        if case.state.live or case.closed_us is None:
            return True
        if self._clock.now_us() - case.closed_us < WINDOW_US:
            return True
        units = await tx.redirects.units(case.organisation_id, case_id=case.case_id)
        return any(row.at_pool_us is not None for row in units)

    async def reckon(self, tx: Transaction, organisation_id: str, case_id: str) -> None:
        """Bring the accruals up to date, book finished days, end the redirect when nothing is left to cure."""
        case = await self._defaults.get(tx, organisation_id, case_id)
        now_us = self._clock.now_us()
        await tx.redirects.put_accruals(await self._accruals(tx, case, now_us))
        today = day_of(now_us - self._book_lag_us)
        if case.state.live:
            await book(tx, now_us, case, before_day=today)
            if not (await case_money(tx, case)).to_cure.positive:
                await book(tx, now_us, case)
                reason = "the debt is recovered at the holding pool"
                event = CaseEvent.RECOVERED if case.state is CaseState.OPEN else CaseEvent.PAID
                await self._defaults.end(tx, case, event, SYSTEM, reason)
            return
        units = await tx.redirects.units(organisation_id, case_id=case_id)
        lag_over = now_us - (case.closed_us or now_us) >= self._book_lag_us
        if lag_over and all(row.at_pool_us is None for row in units):
            await book(tx, now_us, case)

    async def _accruals(self, tx: Transaction, case: CaseRow, now_us: int) -> list[AccrualRow]:
        """The days within the window, worked out anew from the hours, late data included."""
        since = await self._first_at_pool(tx, case)
        units = await tx.redirects.units(case.organisation_id, case_id=case.case_id)
        by_miner = {
            name: row for row in units if row.unit_id in since and (name := miner_id(row.mac, None)) is not None
        }
        if not by_miner:
            return []
        from_us = max(min(since.values()), now_us - WINDOW_US) // DAY_US * DAY_US
        hours = await tx.rollups.hours(case.organisation_id, list(by_miner), from_us, now_us + 1)
        seats = await self._seats(tx, case, units)
        mined: defaultdict[tuple[str, str], list[RollupRow]] = defaultdict(list)
        for hour in hours:
            unit_id = by_miner[hour.miner_id].unit_id
            seat = seats.get(unit_id)
            if seat is not None and hour.start_us + HOUR_US > since[unit_id] and seat.matches(hour):
                mined[unit_id, day_of(hour.start_us)].append(hour)
        accruals = await tx.redirects.accruals(case.organisation_id, case.case_id)
        known = {(row.unit_id, row.day): row for row in accruals}
        found = []
        for (unit_id, day), of_day in sorted(mined.items()):
            row = await self._row(tx, case, (unit_id, day), of_day, known.get((unit_id, day)))
            if row is not None:
                found.append(row)
        return found

    async def _row(
        self,
        tx: Transaction,
        case: CaseRow,
        key: tuple[str, str],
        hours: list[RollupRow],
        known: AccrualRow | None,
    ) -> AccrualRow | None:
        unit_id, day = key
        if known is not None and known.booked_micro:
            # What was booked keeps its price; only hours that came late add to it.
            price_micro, source = known.hashprice_micro, known.hashprice_source
        else:
            price = await tx.hashprices.at(case.organisation_id, case.currency, day)
            if price is None:
                return None
            price_micro = price.price_micro
            source = price.source if price.day == day else f"{price.source}, of {price.day}"
        ths_hours_micro = round(sum(hour.hashrate_ths_h for hour in hours) * MICRO_PER_UNIT)
        return AccrualRow(
            organisation_id=case.organisation_id,
            case_id=case.case_id,
            unit_id=unit_id,
            day=day,
            ths_hours_micro=ths_hours_micro,
            measured_s=sum(hour.hashrate_known_ms for hour in hours) // MS_PER_S,
            hashprice_micro=price_micro,
            hashprice_source=source,
            currency=case.currency,
            value_micro=value(ths_hours_micro, Money(price_micro, case.currency)).micro,
            until_us=self._clock.now_us(),
            source=SOURCE,
            booked_micro=known.booked_micro if known is not None else 0,
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


def day_of(at_us: int) -> str:
    """The UTC day of a time, `2026-03-18`."""
    return utc(at_us).strftime("%Y-%m-%d")
