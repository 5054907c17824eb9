"""What an accepted order, a lapsed lease or a technician makes of a unit's state. Pure."""

from dataclasses import replace

from hashyard_agent.enforcement.model import JournalEntry, Step, UnitRow
from hashyard_agent.enforcement.orders import Accepted
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import UnitPhase
from hashyard_shared.ids import normalise_mac
from hashyard_shared.orders import Order, OrderKind
from hashyard_shared.protocol import UnitBinding
from hashyard_shared.signing import Envelope


def fresh(unit_id: str, mac: str, customer_id: str, label: str) -> UnitRow:
    """A unit that enforcement never touched."""
    return UnitRow(unit_id=unit_id, mac=normalise_mac(mac), customer_id=customer_id, label=label)


def ordered(row: UnitRow | None, accepted: Accepted, binding: UnitBinding, now_us: int) -> list[UnitRow]:
    """The unit's state under an accepted order; before it, where one is left behind, the old device's."""
    order = accepted.order
    known = row or fresh(order.unit_id, order.mac, order.customer_id, binding.label)
    left: list[UnitRow] = []
    if known.mac != normalise_mac(order.mac):
        left = [_left_behind(known)] if known.episode else []
        blank = fresh(order.unit_id, order.mac, order.customer_id, binding.label)
        known = replace(blank, redirected_at_us=known.redirected_at_us)
    same_pool = known.order is not None and known.order.holding_pool_hash == order.holding_pool_hash
    known = replace(known, label=binding.label, order=order, sequence=order.sequence, origin="cloud")
    if order.kind is OrderKind.REDIRECT:
        return [*left, _redirect(known, order, now_us, same_pool=same_pool)]
    return [*left, _restore(known, order.customer_id)]


def _left_behind(row: UnitRow) -> UnitRow:
    """The board was swapped while redirected: the old one is not written until a person has looked."""
    return replace(
        row,
        unit_id=f"{row.unit_id}@{row.mac}"[:64],
        step=Step.STUCK,
        goal=None,
        phase=UnitPhase.FAILED,
        code=ErrorCode.BOARD_SWAPPED,
        detail="this control board was taken out while it was redirected",
    )


def _redirect(row: UnitRow, order: Order, now_us: int, *, same_pool: bool) -> UnitRow:
    renewed = (
        row.goal is OrderKind.REDIRECT
        and row.holding_pool == order.holding_pool
        # Pinned anew with another worker or password, the pool is another one: it is written.
        and same_pool
        and row.customer_id == order.customer_id
        and row.step is not Step.STUCK
    )
    row = replace(row, goal=OrderKind.REDIRECT, holding_pool=order.holding_pool, expires_at_us=order.expires_at_us)
    if renewed:
        return replace(row, drifts=0, writes=0 if row.step is Step.HELD else row.writes)
    if row.customer_id != order.customer_id:
        # The open snapshot is the former customer's: it is no way back for the new one.
        row = replace(row, customer_id=order.customer_id, snapshot_id=None, episode=False, to_recorded=False)
    return replace(
        _begun(row), phase=UnitPhase.WAITING, redirected_at_us=now_us if not row.episode else row.redirected_at_us
    )


def _restore(row: UnitRow, customer_id: str) -> UnitRow:
    row = replace(row, goal=OrderKind.RESTORE, expires_at_us=None, holding_pool=None)
    if row.customer_id != customer_id:
        if row.episode:
            return reassigned(row)
        row = replace(row, customer_id=customer_id, snapshot_id=None, to_recorded=False)
    return replace(_begun(row), phase=UnitPhase.RESTORING)


def assigned(row: UnitRow, customer_id: str, at_us: int) -> UnitRow:
    """The customer's recorded pools were asked for: written now, or where a redirect will come back to."""
    if row.customer_id != customer_id:
        # Another one's snapshot is no way back for this customer, and his lease is nothing to him.
        row = replace(row, customer_id=customer_id, snapshot_id=None)
    elif row.goal is OrderKind.REDIRECT:
        return replace(row, assigned_us=at_us, to_recorded=True)
    row = replace(row, goal=OrderKind.RESTORE, expires_at_us=None, holding_pool=None, origin="assigned")
    return replace(_begun(row), assigned_us=at_us, to_recorded=True, phase=UnitPhase.RESTORING)


def _begun(row: UnitRow) -> UnitRow:
    return replace(
        row,
        step=Step.READY,
        level=0,
        code=None,
        detail="",
        writes=0,
        drifts=0,
        accepted_at_level_3=None,
        active_pool=None,
        active_worker=None,
    )


def reassigned(row: UnitRow) -> UnitRow:
    """The unit is another customer's now: nobody's pools are written until a person has decided."""
    return replace(
        row,
        step=Step.STUCK,
        goal=None,
        phase=UnitPhase.FAILED,
        code=ErrorCode.REASSIGNED,
        detail="the unit was reassigned while redirected; send it to its owner's recorded pools by hand",
    )


def lapsed(row: UnitRow, owner: str | None) -> UnitRow:
    """The lease ran out without a newer order: the unit goes back, in the customer's favour.

    `owner` is the customer whom the unit is bound to now, None where that is not known.
    """
    if owner is not None and owner != row.customer_id and row.episode:
        return reassigned(row)
    back = replace(row, goal=OrderKind.RESTORE, expires_at_us=None, holding_pool=None, origin="lease")
    return replace(_begun(back), phase=UnitPhase.RESTORING, detail="the lease ran out")


def local(row: UnitRow, kind: OrderKind, *, holding_pool: str | None, expires_at_us: int | None) -> UnitRow:
    """What a technician on site ordered."""
    row = replace(row, goal=kind, holding_pool=holding_pool, expires_at_us=expires_at_us, origin="local")
    phase = UnitPhase.WAITING if kind is OrderKind.REDIRECT else UnitPhase.RESTORING
    return replace(_begun(row), phase=phase)


def order_entry(envelope: Envelope, accepted: Accepted) -> JournalEntry:
    """The order as evidence: the very bytes and their signature."""
    order = accepted.order
    return JournalEntry(
        "order-accepted",
        {
            "unit_id": order.unit_id,
            "mac": order.mac,
            "order_id": order.order_id,
            "case_id": order.case_id,
            "kind": order.kind.value,
            "sequence": order.sequence,
            "envelope": envelope.model_dump(),
        },
    )
