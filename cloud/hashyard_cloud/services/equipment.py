"""Equipment: registering units, adopting found miners, and whose a unit is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from pydantic import Field

from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.inputs import BLANK_NONE, Input, Name, OptionalMac, ShortText
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.contracts import ContractRow, ContractState
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.equipment import AssignmentRow, UnitRow, UnitState
from hashyard_cloud.services.ports.miners import MinerRow
from hashyard_shared.clock import Clock
from hashyard_shared.ids import new_id

ASSIGNABLE: Final = frozenset({UnitState.STAGED, UnitState.UNASSIGNED})
MAX_UNITS_PER_ACTION: Final = 5_000
MAX_PREFIX_CHARS: Final = 32


class UnitInput(Input):
    """A unit as people describe it. The label is what it is called, mostly its position in the rack."""

    site_id: str
    label: Name
    position: ShortText = ""
    serial: ShortText = ""
    mac: OptionalMac = None
    model: ShortText = ""
    expected_hashrate_ths: Annotated[Annotated[float, Field(ge=0, le=100_000)] | None, BLANK_NONE] = None
    nameplate_w: Annotated[Annotated[int, Field(ge=0, le=1_000_000)] | None, BLANK_NONE] = None


async def get(tx: Transaction, organisation_id: str, unit_id: str) -> UnitRow:
    """The unit; raises `NotFoundError`."""
    row = await tx.equipment.get(organisation_id, unit_id)
    if row is None:
        raise NotFoundError
    return row


def new_unit(clock: Clock, organisation_id: str, given: UnitInput, state: UnitState = UnitState.STAGED) -> UnitRow:
    """A unit that is not stored yet."""
    now_us = clock.now_us()
    return UnitRow(
        unit_id=new_id(now_us),
        organisation_id=organisation_id,
        state=state,
        host_owned=False,
        state_since_us=now_us,
        created_us=now_us,
        **given.model_dump(),
    )


async def add(database: Database, clock: Clock, organisation_id: str, actor: Actor, given: UnitInput) -> UnitRow:
    """Register a unit; raises `ConflictError` where its label or MAC is taken."""
    row = new_unit(clock, organisation_id, given)
    async with database.transaction() as tx:
        if await tx.sites.get(organisation_id, given.site_id) is None:
            raise MalformedError("Choose one of your sites.", field="site_id")
        await tx.equipment.add(row)
        await tx.desired.bump(organisation_id, row.site_id)
        await activity.record(
            tx,
            clock.now_us(),
            organisation_id,
            actor,
            "unit.added",
            f"Unit {row.label} registered",
            object_kind="unit",
            object_id=row.unit_id,
        )
    return row


async def edit(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, unit_id: str, given: UnitInput
) -> UnitRow:
    """Change what describes a unit. Its owner stays: ownership is dated and changes by assignment only."""
    async with database.transaction() as tx:
        before = await get(tx, organisation_id, unit_id)
        if await tx.sites.get(organisation_id, given.site_id) is None:
            raise MalformedError("Choose one of your sites.", field="site_id")
        row = replace(before, **given.model_dump())
        await tx.equipment.update(row)
        for site_id in {before.site_id, row.site_id}:
            await tx.desired.bump(organisation_id, site_id)
        await activity.record(
            tx,
            clock.now_us(),
            organisation_id,
            actor,
            "unit.edited",
            f"Unit {row.label} changed",
            object_kind="unit",
            object_id=unit_id,
        )
    return row


async def adopt(
    database: Database,
    clock: Clock,
    organisation_id: str,
    actor: Actor,
    miner_ids: Sequence[str],
    label_prefix: str = "",
) -> list[UnitRow]:
    """Register found miners as units, unassigned. Those that are registered already are passed over.

    Labels are the site's code and a running number unless a prefix is given.
    """
    _bounded(miner_ids)
    async with database.transaction() as tx:
        wanted = set(miner_ids)
        seen = [row.miner for row in await tx.miners.seen(organisation_id, miner_ids=sorted(wanted))]
        adopted = []
        taken = await tx.equipment.labels(organisation_id)
        for miner in seen:
            if miner.mac is None or await tx.equipment.by_mac(organisation_id, miner.mac):
                continue
            site = await tx.sites.get(organisation_id, miner.site_id)
            prefix = label_prefix or (site.code if site else "") or "U"
            row = _adopted(clock, organisation_id, miner, _next_label(prefix, taken))
            taken.add(row.label)
            await tx.equipment.add(row)
            adopted.append(row)
        for site_id in {row.site_id for row in adopted}:
            await tx.desired.bump(organisation_id, site_id)
        if adopted:
            await activity.record(
                tx,
                clock.now_us(),
                organisation_id,
                actor,
                "unit.adopted",
                f"{len(adopted)} found miners registered",
                object_kind="unit",
                object_id=adopted[0].unit_id if len(adopted) == 1 else "",
            )
    return adopted


def _bounded(ids: Sequence[str]) -> None:
    if not ids:
        raise MalformedError("Select at least one unit.", field="unit_id")
    if len(ids) > MAX_UNITS_PER_ACTION:
        raise MalformedError(f"Select at most {MAX_UNITS_PER_ACTION:,} units at once.", field="unit_id")


def _next_label(prefix: str, taken: set[str]) -> str:
    number = len(taken) + 1
    while (label := f"{prefix}-{number:04d}") in taken:
        number += 1
    return label


def _adopted(clock: Clock, organisation_id: str, miner: MinerRow, label: str) -> UnitRow:
    given = UnitInput(
        site_id=miner.site_id,
        label=label,
        serial=miner.serial or "",
        mac=miner.mac,
        model=miner.model if miner.model.startswith(miner.make) else f"{miner.make} {miner.model}".strip(),
        expected_hashrate_ths=miner.expected_hashrate_ths,
    )
    return new_unit(clock, organisation_id, given, UnitState.UNASSIGNED)


async def assign(
    database: Database,
    clock: Clock,
    organisation_id: str,
    actor: Actor,
    contract_id: str,
    unit_ids: Sequence[str],
) -> int:
    """Put units under an active contract, from now on; all of them or none.

    What a contract that has ended still holds is let go of first: this is the decision that it waits for.
    """
    _bounded(unit_ids)
    async with database.transaction() as tx:
        contract = await tx.contracts.get(organisation_id, contract_id)
        if contract is None:
            raise NotFoundError
        if contract.state is not ContractState.ACTIVE:
            raise ConflictError("Equipment can be assigned to an active contract only.", field="contract_id")
        for unit_id in dict.fromkeys(unit_ids):
            if await _held_by_ended(tx, clock.now_us(), organisation_id, unit_id):
                await release_in(tx, clock, organisation_id, actor, [unit_id], UnitState.UNASSIGNED)
        return await assign_in(tx, clock, actor, contract, unit_ids)


async def _held_by_ended(tx: Transaction, now_us: int, organisation_id: str, unit_id: str) -> bool:
    held = await tx.equipment.open_assignment(organisation_id, unit_id)
    contract = await tx.contracts.get(organisation_id, held.contract_id) if held else None
    if contract is None:
        return False
    return contract.state is ContractState.ENDED or (contract.ends_us is not None and contract.ends_us <= now_us)


async def assign_in(
    tx: Transaction, clock: Clock, actor: Actor, contract: ContractRow, unit_ids: Sequence[str]
) -> int:
    """As `assign`, within a transaction that has checked the contract."""
    now_us = clock.now_us()
    sites = set()
    for unit_id in dict.fromkeys(unit_ids):
        unit = await get(tx, contract.organisation_id, unit_id)
        await assign_unit(tx, now_us, contract, unit)
        sites.add(unit.site_id)
    for site_id in sites:
        await tx.desired.bump(contract.organisation_id, site_id)
    await activity.record(
        tx,
        clock.now_us(),
        contract.organisation_id,
        actor,
        "unit.assigned",
        f"{len(set(unit_ids))} units assigned under {contract.number}",
        customer_id=contract.customer_id,
        object_kind="contract",
        object_id=contract.contract_id,
    )
    return len(set(unit_ids))


async def assign_unit(tx: Transaction, now_us: int, contract: ContractRow, unit: UnitRow) -> UnitRow:
    """Put one unit under a contract that was checked; raises `ConflictError` where it cannot be assigned."""
    if unit.state not in ASSIGNABLE:
        raise ConflictError(f"{unit.label} is {unit.state.value} and cannot be assigned.", field="unit_id")
    await tx.equipment.assign(
        AssignmentRow(
            assignment_id=new_id(now_us),
            organisation_id=contract.organisation_id,
            unit_id=unit.unit_id,
            contract_id=contract.contract_id,
            customer_id=contract.customer_id,
            from_us=now_us,
            to_us=None,
            ended_by="",
        )
    )
    row = replace(unit, state=UnitState.ACTIVE, state_since_us=now_us)
    await tx.equipment.update(row)
    return row


async def adopt_in(
    tx: Transaction, clock: Clock, organisation_id: str, miner_id: str, label_prefix: str
) -> UnitRow:
    """Register one found miner; raises `ConflictError` where it is registered already, or has no MAC address."""
    seen = await tx.miners.get(organisation_id, miner_id)
    if seen is None:
        raise NotFoundError
    miner = seen.miner
    if miner.mac is None:
        raise ConflictError("It has no MAC address to know it again by.")
    if await tx.equipment.by_mac(organisation_id, miner.mac):
        raise ConflictError("It is registered already.")
    site = await tx.sites.get(organisation_id, miner.site_id)
    prefix = label_prefix or (site.code if site else "") or "U"
    row = _adopted(clock, organisation_id, miner, _next_label(prefix, await tx.equipment.labels(organisation_id)))
    await tx.equipment.add(row)
    return row


async def release(
    database: Database,
    clock: Clock,
    organisation_id: str,
    actor: Actor,
    unit_ids: Sequence[str],
    state: UnitState = UnitState.UNASSIGNED,
) -> int:
    """End the units' assignments now and leave them in this state; answers how many had one."""
    _bounded(unit_ids)
    if state is UnitState.ACTIVE:
        raise MalformedError("A unit becomes active by being assigned.", field="state")
    async with database.transaction() as tx:
        return await release_in(tx, clock, organisation_id, actor, unit_ids, state)


async def release_in(
    tx: Transaction, clock: Clock, organisation_id: str, actor: Actor, unit_ids: Sequence[str], state: UnitState
) -> int:
    """As `release`, within a transaction."""
    now_us = clock.now_us()
    ended = 0
    for unit_id in dict.fromkeys(unit_ids):
        unit = await get(tx, organisation_id, unit_id)
        _, held = await release_unit(tx, now_us, actor.name, unit, state)
        ended += held is not None
        await tx.desired.bump(organisation_id, unit.site_id)
        await activity.record(
            tx,
            clock.now_us(),
            organisation_id,
            actor,
            "unit.released",
            f"Unit {unit.label} is {state.value} now",
            customer_id=held.customer_id if held else None,
            object_kind="unit",
            object_id=unit_id,
        )
    return ended


async def release_unit(
    tx: Transaction, now_us: int, by: str, unit: UnitRow, state: UnitState
) -> tuple[UnitRow, AssignmentRow | None]:
    """End one unit's assignment now and leave it in this state; answers the unit and what was ended."""
    held = await tx.equipment.open_assignment(unit.organisation_id, unit.unit_id)
    if held is not None:
        await tx.equipment.end_assignment(unit.organisation_id, unit.unit_id, now_us, by)
    row = replace(unit, state=state, state_since_us=now_us)
    await tx.equipment.update(row)
    return row, held
