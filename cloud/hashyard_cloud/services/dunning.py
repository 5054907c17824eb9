"""The way from an issued invoice to a judged default case, as scheduled work."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.errors import CloudError
from hashyard_cloud.services import invoices
from hashyard_cloud.services.defaults import Defaults
from hashyard_cloud.services.orders import OrderDesk
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_shared.clock import Clock
from hashyard_shared.orders import OrderKind


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did."""

    overdue: int
    opened: int
    judged: int
    repeated: int


class Dunning:
    """Each invoice and each case is its own transaction, so that one that fails does not stop the others."""

    def __init__(self, database: Database, clock: Clock, defaults: Defaults, desk: OrderDesk) -> None:
        self._database = database
        self._clock = clock
        self._defaults = defaults
        self._desk = desk
        self._failures: list[CloudError] = []

    async def run(self) -> Round:
        """One round over all organisations. Raises what failed, together, after everything else was done."""
        async with self._database.reading() as tx:
            organisation_ids = [row.organisation_id for row in await tx.organisations.all()]
        done = Round(0, 0, 0, 0)
        self._failures.clear()
        for organisation_id in organisation_ids:
            done = Round(
                done.overdue + await self.mark_overdue(organisation_id),
                done.opened + await self.open_cases(organisation_id),
                done.judged + await self.judge(organisation_id),
                done.repeated + await self.repeat_restores(organisation_id),
            )
        if self._failures:
            raise ExceptionGroup(f"{len(self._failures)} of the round's steps failed", list(self._failures))
        return done

    @asynccontextmanager
    async def _step(
        self, look: AbstractAsyncContextManager[Transaction] | None = None
    ) -> AsyncIterator[Transaction]:
        """One invoice or case: its own transaction, and its own failure."""
        try:
            async with look or self._database.transaction() as tx:
                yield tx
        except CloudError as error:
            # A rule said no to this one; the others must not wait for it. The round reports it at its end.
            self._failures.append(error)

    async def mark_overdue(self, organisation_id: str) -> int:
        """Issued invoices past their due date become overdue, and the customer is reminded."""
        now_us = self._clock.now_us()
        async with self._database.reading() as tx:
            rows = await tx.invoices.in_states(organisation_id, [InvoiceState.ISSUED])
        count = 0
        for row in rows:
            if row.due_us is None or row.due_us > now_us:
                continue
            async with self._step() as tx:
                current = await invoices.get(tx, organisation_id, row.invoice_id)
                still_open = await invoices.open_amount(tx, current)
                changed = await invoices.settle(tx, now_us, current, still_open)
                if changed.state is InvoiceState.OVERDUE and current.state is not InvoiceState.OVERDUE:
                    await invoices.remind(tx, now_us, changed, still_open)
                    count += 1
        return count

    async def open_cases(self, organisation_id: str) -> int:
        """Overdue invoices whose grace is over make a default case, or join the contract's live one."""
        async with self._database.reading() as tx:
            rows = await tx.invoices.in_states(organisation_id, [InvoiceState.OVERDUE])
            live = await tx.defaults.cases(organisation_id, live_only=True)
            known = {
                invoice_id
                for case in live
                for invoice_id in await tx.defaults.invoice_ids(organisation_id, case.case_id)
            }
        count = 0
        for row in rows:
            if row.invoice_id in known:
                continue
            async with self._step() as tx:
                current = await invoices.get(tx, organisation_id, row.invoice_id)
                count += await self._defaults.take_in(tx, current) is not None
        return count

    async def judge(self, organisation_id: str) -> int:
        """Judge the gate of every live case, and order, renew or give back what follows from it."""
        async with self._database.reading() as tx:
            cases = await tx.defaults.cases(organisation_id, live_only=True)
        for case in cases:
            follows = False
            async with self._step(self._database.reading()) as tx:
                follows = await self._defaults.would_act(tx, case)
            if not follows:
                continue
            async with self._step() as tx:
                current = await self._defaults.get(tx, organisation_id, case.case_id)
                if current.state.live:
                    await self._defaults.act(tx, current)
        return len(cases)

    async def repeat_restores(self, organisation_id: str) -> int:
        """Sign restores anew for agents that were enrolled again or got another epoch."""
        async with self._database.reading() as tx:
            if not await self._desk.outdated(tx, organisation_id):
                return 0
        async with self._step() as tx:
            rows = await self._desk.outdated(tx, organisation_id)
            return await self._desk.repeat(tx, [row for row in rows if row.wanted is OrderKind.RESTORE])
        # Reached only when the step failed, which the round reports.
        return 0
