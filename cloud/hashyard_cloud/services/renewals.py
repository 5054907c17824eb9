"""Contracts at the end of their term: the customer is told, then the contract renews or ends. Scheduled work."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Final

from hashyard_cloud.domain.dunning import NoticeKind
from hashyard_cloud.domain.terms import Step, Term, next_end_us, step
from hashyard_cloud.errors import CloudError, NotFoundError
from hashyard_cloud.services import contracts, equipment, notice_texts, notices
from hashyard_cloud.services.ports.activity import SYSTEM
from hashyard_cloud.services.ports.contracts import (
    ContractKind,
    ContractRow,
    ContractState,
    ContractVersionRow,
)
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.equipment import UnitState
from hashyard_shared.clock import US_PER_S, Clock, utc
from hashyard_shared.ids import new_id

LONGEST_NOTICE_US: Final = 366 * 86_400 * US_PER_S


def term_of(row: ContractRow, version: ContractVersionRow, told_us: int | None = None) -> Term | None:
    """The running term as the rules see it; None for a contract without an end."""
    if row.starts_us is None or row.ends_us is None:
        return None
    renews = version.auto_renew and row.kind is not ContractKind.LEASE
    return Term(row.starts_us, row.ends_us, version.term_months, renews, version.notice_days, told_us)


async def told_us(tx: Transaction, row: ContractRow) -> int | None:
    """When the customer was last told about the end of a term of this contract."""
    told = [
        notice.created_us
        for notice in await tx.notices.all(row.organisation_id, customer_id=row.customer_id)
        if notice.kind is NoticeKind.TERM_NOTICE and notice.contract_id == row.contract_id
    ]
    return max(told, default=None)


class Renewals:
    """Each contract is its own transaction, so that one that fails does not stop the others."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self) -> Mapping[Step, int]:
        """One round over all organisations; what was done how often. Raises at the end what failed, together."""
        done: Counter[Step] = Counter()
        failures: list[CloudError] = []
        before_us = self._clock.now_us() + LONGEST_NOTICE_US
        async with self._database.reading() as tx:
            due = [
                row
                for host in await tx.organisations.all()
                for row in await tx.contracts.ending(host.organisation_id, before_us)
            ]
        for row in due:
            try:
                done[await self._one(row)] += 1
            except CloudError as error:
                # A rule said no to this one; the others must not wait for it. The round reports it at its end.
                failures.append(error)
        if failures:
            raise ExceptionGroup(f"{len(failures)} contracts' terms failed", failures)
        return done

    async def _one(self, seen: ContractRow) -> Step:
        async with self._database.reading() as tx:
            if await self._next(tx, seen) is Step.WAIT:
                return Step.WAIT
        async with self._database.transaction() as tx:
            row = await contracts.get(tx, seen.organisation_id, seen.contract_id)
            found = await self._next(tx, row)
            if found is not Step.WAIT:
                await self._act(tx, row, found)
            return found

    async def _known(self, tx: Transaction, row: ContractRow) -> tuple[Term, ContractVersionRow, tzinfo] | None:
        """The term, the terms in force at its end or now, and the host's zone."""
        at_us = min(self._clock.now_us(), (row.ends_us or 1) - 1)
        version = await tx.contracts.version_at(row.organisation_id, row.contract_id, at_us)
        term = None if version is None else term_of(row, version)
        if version is None or term is None:
            return None
        return term, version, await contracts.zone_of(tx, row.organisation_id)

    async def _next(self, tx: Transaction, row: ContractRow) -> Step:
        known = await self._known(tx, row)
        if known is None or row.state is not ContractState.ACTIVE:
            return Step.WAIT
        term, _, zone = known
        now_us = self._clock.now_us()
        if step(term, zone, now_us) is Step.WAIT:
            # Outside its notice window, as nearly all are: whether the customer was told need not be looked up.
            return Step.WAIT
        return step(replace(term, told_us=await told_us(tx, row)), zone, now_us)

    async def _act(self, tx: Transaction, row: ContractRow, what: Step) -> None:
        known = await self._known(tx, row)
        customer = await tx.customers.get(row.organisation_id, row.customer_id)
        if known is None or customer is None:
            raise NotFoundError
        term, version, zone = known
        now_us, lease = self._clock.now_us(), row.kind is ContractKind.LEASE
        ends = _day(term.ends_us, zone)
        until = _day(next_end_us(term, zone), zone) if term.renews and term.months else None
        about = notices.About(contract_id=row.contract_id)
        if what is Step.TELL:
            words = notice_texts.term_notice(row.number, ends, until, lease=lease)
            await notices.send(tx, now_us, customer, NoticeKind.TERM_NOTICE, about, *words)
            return
        if what is Step.RENEW:
            await self._renew(tx, row, version, next_end_us(term, zone), f"{ends} until {until}")
        else:
            until = None
            await self._end(tx, row, ends)
        words = notice_texts.term_over(row.number, ends, until, lease=lease)
        await notices.send(tx, now_us, customer, NoticeKind.TERM_OVER, about, *words)

    async def _renew(
        self, tx: Transaction, row: ContractRow, version: ContractVersionRow, ends_us: int, span: str
    ) -> None:
        """Another term on the terms in force, dated from the end of the one before."""
        versions = await tx.contracts.versions(row.organisation_id, row.contract_id)
        # Terms that were agreed for a later day stay the last word; otherwise the renewal stands among them.
        if row.ends_us is not None and versions[-1].effective_us < row.ends_us:
            now_us = self._clock.now_us()
            renewed = replace(
                version,
                version_id=new_id(now_us),
                version=versions[-1].version + 1,
                effective_us=row.ends_us,
                created_us=now_us,
                created_by="Renewal",
            )
            await tx.contracts.add_version(renewed)
        row = replace(row, ends_us=ends_us)
        await tx.contracts.update(row)
        text = f"Contract {row.number} renewed from {span}"
        await contracts.record(tx, self._clock, SYSTEM, row, "contract.renewed", text)

    async def _end(self, tx: Transaction, row: ContractRow, ends: str) -> None:
        """The term is over. Leased units go back to the host; others wait in RevenueGuard for a decision."""
        await tx.contracts.update(replace(row, state=ContractState.ENDED))
        text = f"Contract {row.number} ended with its term on {ends}"
        await contracts.record(tx, self._clock, SYSTEM, row, "contract.expired", text)
        if row.kind is not ContractKind.LEASE:
            return
        rows = await tx.equipment.assignments(row.organisation_id, contract_id=row.contract_id)
        unit_ids = [one.unit_id for one in rows if one.to_us is None]
        await equipment.release_in(tx, self._clock, row.organisation_id, SYSTEM, unit_ids, UnitState.UNASSIGNED)


def _day(at_us: int, zone: tzinfo) -> str:
    return f"{utc(at_us).astimezone(zone):%d %B %Y}".removeprefix("0")
