"""What freezes redirects at once: disputes, legal holds, the organisation's switch."""

from dataclasses import replace
from typing import Final

from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.defaults import Defaults
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import DisputeRow, LegalHoldRow
from hashyard_cloud.services.ports.redirects import RedirectControlsRow
from hashyard_shared.clock import Clock
from hashyard_shared.ids import new_id

MAX_TEXT_CHARS: Final = 2_000
MAX_APPROVALS: Final = 2


class Freezes:
    """Each change is judged in its own transaction, so that it takes effect before the next round of jobs."""

    def __init__(self, clock: Clock, defaults: Defaults) -> None:
        self._clock = clock
        self._defaults = defaults

    async def raise_dispute(
        self,
        tx: Transaction,
        organisation_id: str,
        actor: Actor,
        customer_id: str,
        text: str,
        contract_id: str | None = None,
    ) -> DisputeRow:
        """Record a dispute over one contract, or over all of the customer's."""
        if await tx.customers.get(organisation_id, customer_id) is None:
            raise NotFoundError
        if contract_id is not None:
            await self._own_contract(tx, organisation_id, contract_id, customer_id)
        now_us = self._clock.now_us()
        row = DisputeRow(
            dispute_id=new_id(now_us),
            organisation_id=organisation_id,
            customer_id=customer_id,
            contract_id=contract_id,
            text=_text(text, "text"),
            raised_us=now_us,
            raised_by=actor.name,
            resolved_us=None,
            resolved_by="",
            resolution="",
        )
        await tx.defaults.add_dispute(row)
        await self._record(tx, organisation_id, actor, "dispute.raised", row.text, customer_id)
        await self.judge_all(tx, organisation_id, customer_id)
        return row

    async def resolve_dispute(
        self, tx: Transaction, organisation_id: str, actor: Actor, dispute_id: str, resolution: str
    ) -> DisputeRow:
        """Close a dispute; the gate is judged again."""
        row = await tx.defaults.dispute(organisation_id, dispute_id)
        if row is None:
            raise NotFoundError
        if row.resolved_us is not None:
            raise ConflictError("This dispute is resolved already.")
        row = replace(
            row,
            resolved_us=self._clock.now_us(),
            resolved_by=actor.name,
            resolution=_text(resolution, "resolution"),
        )
        await tx.defaults.update_dispute(row)
        await self._record(tx, organisation_id, actor, "dispute.resolved", row.resolution, row.customer_id)
        await self.judge_all(tx, organisation_id, row.customer_id)
        return row

    async def place_hold(
        self,
        tx: Transaction,
        organisation_id: str,
        actor: Actor,
        reason: str,
        *,
        customer_id: str | None = None,
        contract_id: str | None = None,
        site_id: str | None = None,
    ) -> LegalHoldRow:
        """Place a legal hold on a customer, a contract, a site, or with none of them on everything."""
        if customer_id is not None and await tx.customers.get(organisation_id, customer_id) is None:
            raise NotFoundError
        if contract_id is not None:
            await self._own_contract(tx, organisation_id, contract_id, customer_id)
        if site_id is not None and await tx.sites.get(organisation_id, site_id) is None:
            raise NotFoundError
        now_us = self._clock.now_us()
        row = LegalHoldRow(
            hold_id=new_id(now_us),
            organisation_id=organisation_id,
            customer_id=customer_id,
            contract_id=contract_id,
            site_id=site_id,
            reason=_text(reason, "reason"),
            placed_us=now_us,
            placed_by=actor.name,
            lifted_us=None,
            lifted_by="",
            lift_reason="",
        )
        await tx.defaults.add_hold(row)
        await self._record(tx, organisation_id, actor, "legal-hold.placed", row.reason, customer_id)
        await self.judge_all(tx, organisation_id)
        return row

    async def lift_hold(
        self, tx: Transaction, organisation_id: str, actor: Actor, hold_id: str, reason: str
    ) -> LegalHoldRow:
        """Lift a legal hold; the gate is judged again."""
        row = await tx.defaults.hold(organisation_id, hold_id)
        if row is None:
            raise NotFoundError
        if row.lifted_us is not None:
            raise ConflictError("This legal hold is lifted already.")
        lifted_us = self._clock.now_us()
        row = replace(row, lifted_us=lifted_us, lifted_by=actor.name, lift_reason=_text(reason, "reason"))
        await tx.defaults.update_hold(row)
        await self._record(tx, organisation_id, actor, "legal-hold.lifted", row.lift_reason, row.customer_id)
        await self.judge_all(tx, organisation_id)
        return row

    async def set_switch(
        self, tx: Transaction, organisation_id: str, actor: Actor, *, enabled: bool, reason: str = ""
    ) -> None:
        """The organisation's redirect switch. Off gives back at once what is redirected."""
        organisation = await tx.organisations.get(organisation_id)
        if organisation is None:
            raise NotFoundError
        await tx.organisations.update(replace(organisation, redirect_enabled=enabled))
        text = f"Redirect switch {'on' if enabled else 'off'}{': ' + reason if reason else ''}"
        await self._record(tx, organisation_id, actor, "redirect-switch.set", text)
        await tx.desired.bump_all(organisation_id)
        await self.judge_all(tx, organisation_id)

    async def set_controls(
        self,
        tx: Transaction,
        organisation_id: str,
        actor: Actor,
        *,
        approvals_required: int,
        freeze_restores: bool,
        holding_pool: str = "",
    ) -> None:
        """How many people approve a redirect, whether a freeze gives machines back, and to which pool they go."""
        organisation = await tx.organisations.get(organisation_id)
        if organisation is None:
            raise NotFoundError
        if not 0 <= approvals_required <= MAX_APPROVALS:
            raise MalformedError("Ask for 0, 1 or 2 approvals.", field="approvals_required")
        if holding_pool and await tx.holding_pools.by_reference(organisation_id, holding_pool) is None:
            raise MalformedError("There is no such holding pool.", field="holding_pool")
        await tx.organisations.update(replace(organisation, approvals_required=approvals_required))
        await tx.redirects.set_controls(
            RedirectControlsRow(
                organisation_id=organisation_id, freeze_restores=freeze_restores, holding_pool=holding_pool
            )
        )
        text = (
            f"Approvals asked for: {approvals_required}; a freeze "
            f"{'gives machines back' if freeze_restores else 'leaves redirected machines until their lease ends'}"
            f"; holding pool: {holding_pool or 'the oldest'}"
        )
        await self._record(tx, organisation_id, actor, "redirect-controls.set", text)
        await self.judge_all(tx, organisation_id)

    async def judge_all(self, tx: Transaction, organisation_id: str, customer_id: str | None = None) -> None:
        """Judge the gates of all live cases now."""
        for case in await tx.defaults.cases(organisation_id, customer_id=customer_id, live_only=True):
            await self._defaults.act(tx, case)

    async def _own_contract(
        self, tx: Transaction, organisation_id: str, contract_id: str, customer_id: str | None
    ) -> None:
        """A contract of this organisation, and of this customer where one is named; else nothing is told of it."""
        contract = await tx.contracts.get(organisation_id, contract_id)
        if contract is None or customer_id not in {None, contract.customer_id}:
            raise NotFoundError

    async def _record(
        self,
        tx: Transaction,
        organisation_id: str,
        actor: Actor,
        action: str,
        text: str,
        customer_id: str | None = None,
    ) -> None:
        await activity.record(
            tx, self._clock.now_us(), organisation_id, actor, action, text, customer_id=customer_id
        )


def _text(text: str, field: str) -> str:
    if not text.strip():
        raise MalformedError("Say why; it is part of the record.", field=field)
    return text.strip()[:MAX_TEXT_CHARS]
