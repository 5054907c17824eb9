"""What agents say of ordered units: status, refusals, journal lines. Idempotent by (agent, epoch, seq, place)."""

from dataclasses import replace
from typing import Final

from hashyard_cloud.services import activity, customer_pools
from hashyard_cloud.services.gate_facts import HELD_TEXTS
from hashyard_cloud.services.journal import Journals
from hashyard_cloud.services.orders import LeaseTerms
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.redirects import RedirectUnitRow, UnitEventRow
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import (
    ConfirmationLevel,
    Event,
    JournalAppended,
    OrderRefused,
    SiteControl,
    UnitPhase,
    UnitStatus,
)
from hashyard_shared.orders import OrderKind

FINAL_REFUSALS: Final = frozenset(
    {
        ErrorCode.ORDER_EXPIRED,
        ErrorCode.ORDER_REPLAYED,
        ErrorCode.ORDER_UNKNOWN_FIELD,
        ErrorCode.ORDER_KEY_REVOKED,
        ErrorCode.ORDER_WRONG_SITE,
    }
)
"""Refusals that the same order will always meet; every other may be lifted on site while the order stands."""

_NOT_AT_POOL: Final = frozenset({UnitPhase.RESTORED, UnitPhase.CUSTOMER, UnitPhase.REFUSED, UnitPhase.SHADOW})
_TOWARDS_POOL: Final = frozenset({UnitPhase.REDIRECTED, UnitPhase.REDIRECTING})
"""Below level 3 in these a unit is not, or no longer, seen at the holding pool; a restoring one may still be."""

_AT_WORK: Final = frozenset({UnitPhase.REDIRECTING, UnitPhase.REDIRECTED, UnitPhase.RESTORING, UnitPhase.RESTORED})


class UnitEvents:
    """Implements `services.ports.events.EventSink` for enforcement."""

    def __init__(self, clock: Clock, journals: Journals, terms: LeaseTerms) -> None:
        self._clock = clock
        self._journals = journals
        self._terms = terms

    async def apply(self, tx: Transaction, agent: AgentRow, origin: tuple[int, int, int], event: Event) -> None:
        if isinstance(event, UnitStatus):
            await self._status(tx, agent, origin, event)
        elif isinstance(event, OrderRefused):
            await self._refused(tx, agent, event)
        elif isinstance(event, JournalAppended):
            await self._journals.append(tx, agent, event.lines)
        elif isinstance(event, SiteControl):
            await self._site_control(tx, agent, event)

    async def _status(
        self, tx: Transaction, agent: AgentRow, origin: tuple[int, int, int], event: UnitStatus
    ) -> None:
        row = await tx.redirects.unit(agent.organisation_id, event.unit_id)
        if row is None or row.site_id != agent.site_id:
            return
        stored = await tx.redirects.add_unit_event(self._event_row(agent, origin, row, event))
        late = row.status_us is not None and event.at_us < row.status_us
        if stored and not late:
            await tx.redirects.put_units([self._after(row, event)])

    def _event_row(
        self, agent: AgentRow, origin: tuple[int, int, int], row: RedirectUnitRow, event: UnitStatus
    ) -> UnitEventRow:
        epoch, seq, position = origin
        return UnitEventRow(
            organisation_id=agent.organisation_id,
            agent_id=agent.agent_id,
            epoch=epoch,
            seq=seq,
            position=position,
            unit_id=event.unit_id,
            case_id=row.case_id,
            order_id=event.order_id,
            at_us=event.at_us,
            received_us=self._clock.now_us(),
            phase=event.phase,
            level=event.level,
            code=event.code,
            detail=event.detail,
            active_pool=event.active_pool,
            active_worker=event.active_worker,
        )

    def _after(self, row: RedirectUnitRow, event: UnitStatus) -> RedirectUnitRow:
        now_us = self._clock.now_us()
        at_pool = event.phase is UnitPhase.REDIRECTED and event.level >= ConfirmationLevel.POOL_ACTIVE
        left_pool = event.phase in _NOT_AT_POOL or (event.phase in _TOWARDS_POOL and not at_pool)
        confirmed = event.level >= ConfirmationLevel.READ_BACK and event.level != row.level
        changed = replace(
            row,
            phase=event.phase,
            level=event.level,
            code=event.code,
            detail=event.detail,
            active_pool=event.active_pool,
            active_worker=event.active_worker,
            status_us=event.at_us,
            confirmed_us=event.at_us if confirmed else row.confirmed_us,
            at_pool_us=(row.at_pool_us or event.at_us) if at_pool else (None if left_pool else row.at_pool_us),
        )
        if event.code in HELD_TEXTS and row.wanted is OrderKind.REDIRECT:
            until_us = now_us + self._terms.refused_retry_s * US_PER_S
            changed = replace(changed, held_code=event.code, held_until_us=until_us)
        elif event.phase in _AT_WORK:
            changed = replace(changed, held_code=None, held_until_us=None)
        over = _restore_done(row, event) or _lapsed(row, event, now_us)
        return replace(changed, live=row.live and not over)

    async def _refused(self, tx: Transaction, agent: AgentRow, event: OrderRefused) -> None:
        if event.order_id is None:
            return
        order = await tx.redirects.order(agent.organisation_id, event.order_id)
        if order is None or order.site_id != agent.site_id:
            return
        await tx.redirects.update_order(
            replace(order, refused_us=event.at_us, refused_code=event.code, refused_detail=event.detail)
        )
        row = await tx.redirects.unit(agent.organisation_id, order.unit_id)
        if row is None or row.order_id != order.order_id:
            return
        phase = UnitPhase.REFUSED if row.phase is UnitPhase.WAITING else row.phase
        changed = replace(row, code=event.code, detail=event.detail, phase=phase)
        if row.wanted is OrderKind.REDIRECT and (event.code in FINAL_REFUSALS or event.code in HELD_TEXTS):
            until_us = self._clock.now_us() + self._terms.refused_retry_s * US_PER_S
            changed = replace(changed, held_code=event.code, held_until_us=until_us)
            changed = replace(changed, live=row.live and event.code not in FINAL_REFUSALS)
        await tx.redirects.put_units([changed])

    async def _site_control(self, tx: Transaction, agent: AgentRow, event: SiteControl) -> None:
        if event.control in customer_pools.CONTROLS:
            await customer_pools.site_told(tx, agent.organisation_id, agent.site_id, event)
        text = f"On site ({agent.name}): {event.control} {event.value}"
        actor = Actor(f"site:{agent.agent_id}", event.actor)
        await activity.record(
            tx,
            self._clock.now_us(),
            agent.organisation_id,
            actor,
            f"site-control.{event.control}",
            text,
            object_kind="agent",
            object_id=agent.agent_id,
        )


def _lapsed(row: RedirectUnitRow, event: UnitStatus, now_us: int) -> bool:
    """The lease ran out on site and the unit went back by the site's own policy."""
    expired = row.expires_us is not None and row.expires_us <= now_us
    return row.wanted is OrderKind.REDIRECT and expired and event.phase is UnitPhase.RESTORED


def _restore_done(row: RedirectUnitRow, event: UnitStatus) -> bool:
    """The newest order is a restore and the unit was seen back, or was never written to."""
    if row.wanted is not OrderKind.RESTORE or event.order_id not in {row.order_id, None}:
        return False
    if event.phase is UnitPhase.RESTORED:
        return event.level >= ConfirmationLevel.POOL_ACTIVE
    return event.phase is UnitPhase.CUSTOMER
