"""Signed orders: issued, renewed, superseded. Whether they may be is decided elsewhere (`services.defaults`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hashyard_cloud.errors import ConflictError
from hashyard_cloud.services.commands import open_tasks
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.services.ports.equipment import BoundUnit
from hashyard_cloud.services.ports.holding_pools import HoldingPoolRow
from hashyard_cloud.services.ports.redirects import RedirectOrderRow, RedirectUnitRow
from hashyard_cloud.services.signing_keys import SigningKeys
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.events import UnitPhase
from hashyard_shared.ids import new_id
from hashyard_shared.orders import Order, OrderKind, ReasonCode, next_sequence
from hashyard_shared.protocol import Task
from hashyard_shared.signing import Envelope

NO_ORDER: Final = ""
"""The order id of a unit that waits for an agent to be enrolled."""


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long a redirect holds without contact, when it is renewed, and when a refused unit is asked again."""

    lease_s: int
    renewal_s: int
    refused_retry_s: int = 3_600


class OrderDesk:
    """Issues orders; implements the orders of `services.ports.agent_trust.CurrentOrders`."""

    def __init__(self, clock: Clock, keys: SigningKeys, terms: LeaseTerms) -> None:
        self._clock = clock
        self._keys = keys
        self.terms = terms

    async def current_orders(self, tx: Transaction, organisation_id: str, site_id: str) -> list[Envelope]:
        """The newest order of each unit, while it matters; restores first."""
        found = await tx.redirects.current_orders(organisation_id, site_id)
        return [Envelope.model_validate_json(text) for text in found]

    async def tasks(self, tx: Transaction, organisation_id: str, site_id: str) -> list[Task]:
        """Commands that wait for the site's agent."""
        return await open_tasks(tx, self._clock.now_us(), organisation_id, site_id)

    async def redirect(self, tx: Transaction, case: CaseRow, units: Sequence[BoundUnit]) -> int:
        """First orders to the holding pool for these units of a case; how many were signed."""
        rows = [await self._fresh_row(tx, case, bound) for bound in units]
        return await self._order(tx, rows, OrderKind.REDIRECT, ReasonCode.DEFAULT_UNCURED)

    async def renew(self, tx: Transaction, rows: Sequence[RedirectUnitRow]) -> int:
        """New leases for redirected units, before the old ones run out."""
        return await self._order(tx, rows, OrderKind.REDIRECT, ReasonCode.LEASE_RENEWED)

    async def restore(self, tx: Transaction, rows: Sequence[RedirectUnitRow], reason: ReasonCode) -> int:
        """Restore orders, which supersede what was ordered before."""
        return await self._order(tx, rows, OrderKind.RESTORE, reason)

    async def repeat(self, tx: Transaction, rows: Sequence[RedirectUnitRow]) -> int:
        """The same wish again for an agent that has another identity or epoch now."""
        count = 0
        for kind in OrderKind:
            for reason in {row.reason for row in rows}:
                same = [row for row in rows if row.wanted is kind and row.reason is reason]
                count += await self._order(tx, same, kind, reason)
        return count

    async def outdated(self, tx: Transaction, organisation_id: str) -> list[RedirectUnitRow]:
        """Live units whose order names an agent, key or epoch of the past, or was signed by a retired key."""
        rows = await tx.redirects.units(organisation_id, live_only=True)
        if not rows:
            return []
        signer = (await self._keys.ensure(tx, organisation_id))[0].fingerprint
        agents = await self._agents(tx, organisation_id, rows)
        named = await tx.redirects.live_identities(organisation_id)
        found = []
        for row in rows:
            agent = agents.get(row.unit_id)
            if agent is None or (agent.clone_suspected_at_us is not None and row.wanted is OrderKind.REDIRECT):
                continue
            if named.get(row.unit_id) != (*_identity(agent), signer):
                found.append(row)
        return found

    async def _fresh_row(self, tx: Transaction, case: CaseRow, bound: BoundUnit) -> RedirectUnitRow:
        before = await tx.redirects.unit(case.organisation_id, bound.unit.unit_id)
        now_us = self._clock.now_us()
        return RedirectUnitRow(
            organisation_id=case.organisation_id,
            unit_id=bound.unit.unit_id,
            case_id=case.case_id,
            customer_id=case.customer_id,
            contract_id=case.contract_id,
            site_id=bound.unit.site_id,
            label=bound.unit.label,
            mac=bound.unit.mac or "",
            wanted=OrderKind.REDIRECT,
            live=True,
            reason=ReasonCode.DEFAULT_UNCURED,
            order_id=NO_ORDER,
            sequence=before.sequence if before else 0,
            ordered_us=now_us,
            expires_us=None,
            renew_us=None,
            phase=UnitPhase.WAITING,
            level=0,
            code=None,
            detail="",
            active_pool=None,
            active_worker=None,
            status_us=None,
            confirmed_us=None,
            at_pool_us=None,
            held_code=None,
            held_until_us=None,
        )

    async def _order(
        self, tx: Transaction, rows: Sequence[RedirectUnitRow], kind: OrderKind, reason: ReasonCode
    ) -> int:
        if not rows:
            return 0
        organisation_id = rows[0].organisation_id
        agents = await self._agents(tx, organisation_id, rows)
        pool = await self._pool(tx, organisation_id) if kind is OrderKind.REDIRECT else None
        key = await self._keys.current_key(tx, organisation_id)
        orders: list[RedirectOrderRow] = []
        changed: list[RedirectUnitRow] = []
        for row in rows:
            wish = replace(row, wanted=kind, reason=reason, live=True, ordered_us=self._clock.now_us())
            agent = agents.get(row.unit_id)
            if agent is not None and (agent.clone_suspected_at_us is None or kind is OrderKind.RESTORE):
                order = self._made(wish, agent, pool)
                wish = self._with_order(wish, order)
                orders.append(_stored(order, order.signed(key)))
            elif kind is OrderKind.RESTORE:
                wish = replace(wish, order_id=NO_ORDER, expires_us=None, renew_us=None)
            changed.append(wish)
        await tx.redirects.add_orders(orders)
        await tx.redirects.put_units(changed)
        for site_id in {row.site_id for row in rows}:
            await tx.desired.bump(organisation_id, site_id)
        return len(orders)

    def _made(self, row: RedirectUnitRow, agent: AgentRow, pool: HoldingPoolRow | None) -> Order:
        now_us = self._clock.now_us()
        redirect = row.wanted is OrderKind.REDIRECT
        return Order(
            order_id=new_id(now_us),
            organisation_id=row.organisation_id,
            site_id=row.site_id,
            agent_id=agent.agent_id,
            agent_key=agent.fingerprint,
            epoch=agent.epoch,
            unit_id=row.unit_id,
            customer_id=row.customer_id,
            case_id=row.case_id,
            mac=row.mac,
            kind=row.wanted,
            reason=row.reason,
            holding_pool=pool.reference if pool else None,
            holding_pool_hash=pool.pool_hash if pool else None,
            sequence=next_sequence(row.sequence, now_us),
            issued_at_us=now_us,
            not_before_us=now_us,
            expires_at_us=now_us + self.terms.lease_s * US_PER_S if redirect else None,
        )

    def _with_order(self, row: RedirectUnitRow, order: Order) -> RedirectUnitRow:
        renew_us = order.issued_at_us + self.terms.renewal_s * US_PER_S
        return replace(
            row,
            order_id=order.order_id,
            sequence=order.sequence,
            expires_us=order.expires_at_us,
            renew_us=renew_us if order.expires_at_us is not None else None,
        )

    async def _pool(self, tx: Transaction, organisation_id: str) -> HoldingPoolRow:
        row = await holding_pool(tx, organisation_id)
        if row is None:
            raise ConflictError("There is no holding pool; add one before machines can be redirected.")
        return row

    async def _agents(
        self, tx: Transaction, organisation_id: str, rows: Sequence[RedirectUnitRow]
    ) -> Mapping[str, AgentRow]:
        """For each unit the agent that reports its device, else the newest of its site that is not revoked."""
        by_id = {row.agent_id: row for row in await tx.agents.all(organisation_id) if row.revoked_at_us is None}
        by_site: dict[str, AgentRow] = {}
        for agent in by_id.values():
            by_site.setdefault(agent.site_id, agent)
        macs = [row.mac for row in rows if row.mac]
        reporting = {
            seen.miner.mac: seen.miner.agent_id for seen in await tx.miners.seen(organisation_id, macs=macs)
        }
        found: dict[str, AgentRow] = {}
        for row in rows:
            named = by_id.get(reporting.get(row.mac, ""))
            chosen = named if named is not None and named.site_id == row.site_id else by_site.get(row.site_id)
            if chosen is not None:
                found[row.unit_id] = chosen
        return found


async def holding_pool(tx: Transaction, organisation_id: str) -> HoldingPoolRow | None:
    """The pool that orders name: the chosen one, else the oldest that is not retired."""
    controls = await tx.redirects.controls(organisation_id)
    chosen = controls.holding_pool if controls else ""
    rows = [row for row in await tx.holding_pools.all(organisation_id) if row.retired_us is None]
    return next((row for row in rows if chosen in {"", row.reference}), None)


def _identity(agent: AgentRow) -> tuple[str, str, int]:
    return agent.agent_id, agent.fingerprint, agent.epoch


def _stored(order: Order, envelope: Envelope) -> RedirectOrderRow:
    return RedirectOrderRow(
        order_id=order.order_id,
        organisation_id=order.organisation_id,
        unit_id=order.unit_id,
        case_id=order.case_id or "",
        customer_id=order.customer_id,
        site_id=order.site_id,
        agent_id=order.agent_id,
        agent_key=order.agent_key,
        epoch=order.epoch,
        mac=order.mac,
        kind=order.kind,
        reason=order.reason,
        holding_pool=order.holding_pool,
        sequence=order.sequence,
        issued_us=order.issued_at_us,
        expires_us=order.expires_at_us,
        key=envelope.key,
        envelope=envelope.model_dump_json(),
        refused_us=None,
        refused_code=None,
        refused_detail="",
    )
