"""Actions on many units: confirmed first, worked off piece by piece, told row by row, undone for a while.

Each piece is one transaction, so that a stop loses nothing: what is left is taken up again by whoever presses
Continue. A row that cannot be done is refused by itself, with the reason, and does not stop the others.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from hashyard_cloud.errors import CloudError, ConflictError, MalformedError, NotFoundError
from hashyard_cloud.services import activity, equipment
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.bulk import BulkItemRow, BulkKind, BulkRow, BulkState, RowState
from hashyard_cloud.services.ports.contracts import ContractRow, ContractState
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.equipment import UnitRow, UnitState
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.ids import new_id

MAX_ROWS: Final = equipment.MAX_UNITS_PER_ACTION
PIECE_ROWS: Final = 100
UNDO_US: Final = 15 * 60 * US_PER_S
KEPT_US: Final = 30 * 86_400 * US_PER_S
STALLED_US: Final = 30 * US_PER_S
"""An action that was not worked on for so long is nobody's any more and can be continued."""
STATUSES: Final = (UnitState.UNASSIGNED, UnitState.STAGED, UnitState.REPAIR, UnitState.RETIRED)

Did = tuple[BulkItemRow, str | None]
"""A row after it was done, and whose it was or is."""


async def ask(
    database: Database,
    clock: Clock,
    organisation_id: str,
    actor: Actor,
    kind: BulkKind,
    target: str,
    object_ids: Sequence[str],
) -> BulkRow:
    """Note what is to be done, before it is confirmed. Raises `MalformedError` naming the field."""
    chosen = list(dict.fromkeys(object_ids))
    if not chosen:
        raise MalformedError("Select at least one row.", field="unit_id")
    if len(chosen) > MAX_ROWS:
        raise MalformedError(f"Select at most {MAX_ROWS:,} at once.", field="unit_id")
    now_us = clock.now_us()
    row = BulkRow(
        bulk_id=new_id(now_us),
        organisation_id=organisation_id,
        kind=kind,
        state=BulkState.ASKED,
        target=target,
        actor_id=actor.user_id,
        actor_name=actor.name,
        created_us=now_us,
        worked_us=None,
        finished_us=None,
    )
    async with database.transaction() as tx:
        await _check_target(tx, row)
        labels = await _labels(tx, row, chosen)
        missing = [object_id for object_id in chosen if object_id not in labels]
        if missing:
            raise NotFoundError
        await tx.bulk.drop_before(now_us - KEPT_US)
        items = [
            BulkItemRow(
                bulk_id=row.bulk_id,
                organisation_id=organisation_id,
                position=place,
                object_id=object_id,
                label=labels[object_id],
                state=RowState.WAITING,
                text="",
                before="",
                after_us=None,
            )
            for place, object_id in enumerate(chosen)
        ]
        await tx.bulk.add(row, items)
    return row


async def _labels(tx: Transaction, row: BulkRow, chosen: Sequence[str]) -> dict[str, str]:
    if row.kind is BulkKind.ADOPT:
        seen = await tx.miners.seen(row.organisation_id, miner_ids=chosen)
        return {one.miner.miner_id: one.miner.mac or one.miner.miner_id for one in seen}
    return {unit.unit_id: unit.label for unit in await tx.equipment.some(row.organisation_id, chosen)}


async def _check_target(tx: Transaction, row: BulkRow) -> None:
    if row.kind is BulkKind.ASSIGN:
        await _contract(tx, row)
    elif row.kind is BulkKind.MOVE and await tx.sites.get(row.organisation_id, row.target) is None:
        raise MalformedError("Choose one of your sites.", field="site_id")
    elif row.kind is BulkKind.STATUS and row.target not in {state.value for state in STATUSES}:
        raise MalformedError("Choose a status.", field="state")
    elif row.kind is BulkKind.ADOPT and len(row.target) > equipment.MAX_PREFIX_CHARS:
        raise MalformedError(f"At most {equipment.MAX_PREFIX_CHARS} characters.", field="prefix")


async def _contract(tx: Transaction, row: BulkRow) -> ContractRow:
    contract = await tx.contracts.get(row.organisation_id, row.target)
    if contract is None:
        raise MalformedError("Choose a contract.", field="contract_id")
    if contract.state is not ContractState.ACTIVE:
        raise ConflictError("Equipment can be assigned to an active contract only.", field="contract_id")
    return contract


async def get(tx: Transaction, organisation_id: str, bulk_id: str) -> BulkRow:
    """The action; raises `NotFoundError`."""
    row = await tx.bulk.get(organisation_id, bulk_id)
    if row is None:
        raise NotFoundError
    return row


async def begin(database: Database, clock: Clock, organisation_id: str, bulk_id: str) -> BulkRow:
    """Take the action up, or again where it stalled; raises `ConflictError` where it is worked on or over."""
    now_us = clock.now_us()
    async with database.transaction() as tx:
        row = await get(tx, organisation_id, bulk_id)
        stalled = row.state is BulkState.RUNNING and (row.worked_us or 0) + STALLED_US <= now_us
        if row.state is not BulkState.ASKED and not stalled:
            raise ConflictError("This was started already.")
        row = replace(row, state=BulkState.RUNNING, worked_us=now_us)
        await tx.bulk.update(row)
    return row


async def piece(database: Database, clock: Clock, actor: Actor, organisation_id: str, bulk_id: str) -> bool:
    """Do the next rows in one transaction; False when there are none left, and the action is over."""
    now_us = clock.now_us()
    async with database.transaction() as tx:
        row = await get(tx, organisation_id, bulk_id)
        items = await tx.bulk.items(organisation_id, bulk_id, state=RowState.WAITING, limit=PIECE_ROWS)
        done = [await _tried(tx, item, lambda one: _do(tx, clock, actor, row, one)) for item in items]
        await _note(tx, now_us, actor, row, done)
        await tx.bulk.put_items([item for item, _ in done])
        left = len(items) == PIECE_ROWS
        finished = {} if left else {"state": BulkState.DONE, "finished_us": now_us}
        await tx.bulk.update(replace(row, worked_us=now_us, **finished))  # type: ignore[arg-type] # a dict of two kinds
        tx.changed(organisation_id)
    return left


async def _tried(tx: Transaction, item: BulkItemRow, act: Callable[[BulkItemRow], Awaitable[Did]]) -> Did:
    try:
        async with tx.savepoint():
            return await act(item)
    except CloudError as error:
        if error.status >= 500:
            raise
        return replace(item, state=RowState.REFUSED, text=str(error)), None


async def _do(tx: Transaction, clock: Clock, actor: Actor, row: BulkRow, item: BulkItemRow) -> Did:
    now_us = clock.now_us()
    if row.kind is BulkKind.ADOPT:
        made = await equipment.adopt_in(tx, clock, row.organisation_id, item.object_id, row.target)
        adopted = replace(item, object_id=made.unit_id)
        return _done(adopted, {"miner_id": item.object_id}, made, f"Registered as {made.label}."), None
    unit = await equipment.get(tx, row.organisation_id, item.object_id)
    before = {"state": unit.state.value, "site_id": unit.site_id}
    if row.kind is BulkKind.ASSIGN:
        contract = await _contract(tx, row)
        after = await equipment.assign_unit(tx, now_us, contract, unit)
        return _done(item, before, after, f"Assigned under {contract.number}."), contract.customer_id
    if row.kind is BulkKind.MOVE:
        after = replace(unit, site_id=row.target)
        await tx.equipment.update(after)
        return _done(item, before, after, "Moved."), None
    after, held = await equipment.release_unit(tx, now_us, actor.name, unit, UnitState(row.target))
    if held is not None:
        before["contract_id"] = held.contract_id
    return _done(item, before, after, f"Status {after.state.value} now."), held.customer_id if held else None


def _done(item: BulkItemRow, before: dict[str, Any], after: UnitRow, text: str) -> BulkItemRow:
    return replace(item, state=RowState.DONE, text=text, before=json.dumps(before), after_us=after.state_since_us)


async def _note(tx: Transaction, now_us: int, actor: Actor, row: BulkRow, done: Sequence[Did]) -> None:
    """The activity log has a line for each customer concerned, and one for what concerns nobody."""
    verbs = {
        BulkKind.ADOPT: ("unit.adopted", "registered"),
        BulkKind.ASSIGN: ("unit.assigned", "assigned"),
        BulkKind.STATUS: ("unit.released", f"set to {row.target}"),
        BulkKind.MOVE: ("unit.edited", "moved to another site"),
    }
    action, verb = verbs[row.kind]
    counted = Counter(owner for item, owner in done if item.state is RowState.DONE)
    for owner, count in sorted(counted.items(), key=lambda one: one[0] or ""):
        text = f"{count} units {verb}"
        await activity.record(
            tx,
            now_us,
            row.organisation_id,
            actor,
            action,
            text,
            customer_id=owner,
            object_kind="bulk",
            object_id=row.bulk_id,
        )
    await _bump(tx, row.organisation_id, [item for item, _ in done if item.state is RowState.DONE])


async def _bump(tx: Transaction, organisation_id: str, items: Sequence[BulkItemRow]) -> None:
    units = await tx.equipment.some(organisation_id, [item.object_id for item in items])
    sites = {unit.site_id for unit in units} | {json.loads(item.before).get("site_id") for item in items}
    for site_id in sorted(site for site in sites if site):
        await tx.desired.bump(organisation_id, site_id)


def can_undo(row: BulkRow, now_us: int) -> bool:
    """Whether there still is a way back."""
    return row.state is BulkState.DONE and row.finished_us is not None and now_us < row.finished_us + UNDO_US


async def undo(database: Database, clock: Clock, organisation_id: str, actor: Actor, bulk_id: str) -> int:
    """Take back what has not changed since; answers how many rows. Raises `ConflictError` when late."""
    now_us = clock.now_us()
    async with database.transaction() as tx:
        row = await get(tx, organisation_id, bulk_id)
        if not can_undo(row, now_us):
            raise ConflictError("This can no longer be undone.")
        items = await tx.bulk.items(organisation_id, bulk_id, state=RowState.DONE, limit=MAX_ROWS)
        await _bump(tx, organisation_id, items)
        tried = [await _tried(tx, item, lambda one: _take_back(tx, now_us, actor, row, one)) for item in items]
        # What could not be taken back stays done, and says why.
        kept = [
            replace(item, state=RowState.DONE) if item.state is RowState.REFUSED else item for item, _ in tried
        ]
        await tx.bulk.put_items(kept)
        await tx.bulk.update(replace(row, state=BulkState.UNDONE, worked_us=now_us))
        counted = Counter(owner for item, owner in tried if item.state is RowState.UNDONE)
        for owner, count in sorted(counted.items(), key=lambda one: one[0] or ""):
            await activity.record(
                tx,
                now_us,
                organisation_id,
                actor,
                "bulk.undone",
                f"{count} units: {row.kind.value} undone",
                customer_id=owner,
                object_kind="bulk",
                object_id=bulk_id,
            )
        tx.changed(organisation_id)
    return sum(counted.values())


async def _take_back(tx: Transaction, now_us: int, actor: Actor, row: BulkRow, item: BulkItemRow) -> Did:
    unit = await equipment.get(tx, row.organisation_id, item.object_id)
    before = json.loads(item.before)
    if unit.state_since_us != item.after_us or (row.kind is BulkKind.MOVE and unit.site_id != row.target):
        raise ConflictError("It changed since, and was left as it is.")
    undone = replace(item, state=RowState.UNDONE, text="Undone.")
    if row.kind is BulkKind.ADOPT:
        if await tx.equipment.assignments(row.organisation_id, unit_id=unit.unit_id):
            raise ConflictError("It was assigned since, and stays registered.")
        await tx.equipment.remove(row.organisation_id, unit.unit_id)
        return undone, None
    owner = None
    held = await tx.equipment.open_assignment(row.organisation_id, unit.unit_id)
    if row.kind is BulkKind.ASSIGN and held is not None:
        # Ownership is dated and never edited: the minutes between stay on record.
        await tx.equipment.end_assignment(row.organisation_id, unit.unit_id, now_us, f"{actor.name}, undone")
        owner = held.customer_id
    state = UnitState(before["state"])
    after = replace(unit, state=state, site_id=before["site_id"], state_since_us=now_us)
    if row.kind is BulkKind.STATUS and "contract_id" in before:
        contract = await tx.contracts.get(row.organisation_id, before["contract_id"])
        if contract is None or contract.state is not ContractState.ACTIVE:
            raise ConflictError("Its contract is not active any more.")
        await equipment.assign_unit(tx, now_us, contract, replace(unit, state=UnitState.UNASSIGNED))
        return undone, contract.customer_id
    await tx.equipment.update(after)
    return undone, owner
