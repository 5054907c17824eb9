"""Units and their dated assignments in the relational store."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.errors import ConflictError
from hashyard_cloud.services.ports.equipment import AssignmentRow, BoundUnit, UnitRow, UnitState
from hashyard_cloud.storage.rows import values
from hashyard_cloud.storage.tables.customers import CUSTOMERS
from hashyard_cloud.storage.tables.equipment import UNIT_ASSIGNMENTS, UNITS
from hashyard_cloud.storage.upserts import pieces

_OPEN = and_(UNIT_ASSIGNMENTS.c.unit_id == UNITS.c.unit_id, UNIT_ASSIGNMENTS.c.to_us.is_(None))


def _unit(record: Row[tuple[Any, ...]]) -> UnitRow:
    found = dict(record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so
    found["state"] = UnitState(found["state"])
    return UnitRow(**found)


def _assignment(record: Row[tuple[Any, ...]]) -> AssignmentRow:
    return AssignmentRow(**record._mapping)  # noqa: SLF001 - as above


def _bound(record: tuple[Any, ...]) -> BoundUnit:
    width = len(UNITS.c)
    unit = dict(zip(UNITS.c.keys(), record[:width], strict=True))
    unit["state"] = UnitState(unit["state"])
    assignment = dict(zip(UNIT_ASSIGNMENTS.c.keys(), record[width:-1], strict=True))
    return BoundUnit(
        unit=UnitRow(**unit),
        assignment=AssignmentRow(**assignment) if assignment["assignment_id"] else None,
        customer_name=record[-1],
    )


class EquipmentStore:
    """SQL for equipment; implements `services.ports.equipment.EquipmentStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: UnitRow) -> None:
        try:
            await self._connection.execute(insert(UNITS).values(values(row)))
        except IntegrityError as error:
            raise _taken(row, error) from error

    async def _one(self, condition: Any) -> UnitRow | None:
        query = select(UNITS).where(condition).order_by(UNITS.c.created_us).limit(1)
        record = (await self._connection.execute(query)).one_or_none()
        return _unit(record) if record else None

    async def get(self, organisation_id: str, unit_id: str) -> UnitRow | None:
        return await self._one(and_(UNITS.c.organisation_id == organisation_id, UNITS.c.unit_id == unit_id))

    async def by_mac(self, organisation_id: str, mac: str) -> UnitRow | None:
        return await self._one(and_(UNITS.c.organisation_id == organisation_id, UNITS.c.mac == mac))

    async def by_serial(self, organisation_id: str, serial: str) -> UnitRow | None:
        return await self._one(and_(UNITS.c.organisation_id == organisation_id, UNITS.c.serial == serial))

    async def update(self, row: UnitRow) -> None:
        query = update(UNITS).where(UNITS.c.organisation_id == row.organisation_id, UNITS.c.unit_id == row.unit_id)
        try:
            await self._connection.execute(query.values(values(row)))
        except IntegrityError as error:
            raise _taken(row, error) from error

    async def all(self, organisation_id: str, site_id: str | None = None) -> list[UnitRow]:
        query = select(UNITS).where(UNITS.c.organisation_id == organisation_id)
        if site_id is not None:
            query = query.where(UNITS.c.site_id == site_id)
        records = (await self._connection.execute(query.order_by(UNITS.c.label))).all()
        return [_unit(record) for record in records]

    async def labels(self, organisation_id: str) -> set[str]:
        query = select(UNITS.c.label).where(UNITS.c.organisation_id == organisation_id)
        return set((await self._connection.execute(query)).scalars())

    async def remove(self, organisation_id: str, unit_id: str) -> None:
        await self._connection.execute(
            delete(UNITS).where(UNITS.c.organisation_id == organisation_id, UNITS.c.unit_id == unit_id)
        )

    async def some(self, organisation_id: str, unit_ids: Sequence[str]) -> list[UnitRow]:
        found: list[UnitRow] = []
        for piece in pieces(unit_ids):
            query = select(UNITS).where(UNITS.c.organisation_id == organisation_id, UNITS.c.unit_id.in_(piece))
            found += [_unit(record) for record in (await self._connection.execute(query)).all()]
        return found

    async def bound(
        self,
        organisation_id: str,
        *,
        site_id: str | None = None,
        customer_id: str | None = None,
        contract_id: str | None = None,
    ) -> list[BoundUnit]:
        joined = UNITS.outerjoin(UNIT_ASSIGNMENTS, _OPEN).outerjoin(
            CUSTOMERS, CUSTOMERS.c.customer_id == UNIT_ASSIGNMENTS.c.customer_id
        )
        query = (
            select(*UNITS.c, *UNIT_ASSIGNMENTS.c, CUSTOMERS.c.name)
            .select_from(joined)
            .where(UNITS.c.organisation_id == organisation_id)
            .order_by(UNITS.c.label)
        )
        if site_id is not None:
            query = query.where(UNITS.c.site_id == site_id)
        if customer_id is not None or contract_id is not None:
            # Said once more, so that the index over owners is used.
            query = query.where(UNIT_ASSIGNMENTS.c.organisation_id == organisation_id)
        if customer_id is not None:
            query = query.where(UNIT_ASSIGNMENTS.c.customer_id == customer_id)
        if contract_id is not None:
            query = query.where(UNIT_ASSIGNMENTS.c.contract_id == contract_id)
        return [_bound(tuple(record)) for record in (await self._connection.execute(query)).all()]

    async def assign(self, row: AssignmentRow) -> None:
        try:
            await self._connection.execute(insert(UNIT_ASSIGNMENTS).values(values(row)))
        except IntegrityError as error:
            raise ConflictError(f"Unit {row.unit_id} is assigned already.", field="unit_id") from error

    async def end_assignment(self, organisation_id: str, unit_id: str, to_us: int, ended_by: str) -> bool:
        query = update(UNIT_ASSIGNMENTS).where(
            UNIT_ASSIGNMENTS.c.organisation_id == organisation_id,
            UNIT_ASSIGNMENTS.c.unit_id == unit_id,
            UNIT_ASSIGNMENTS.c.to_us.is_(None),
        )
        result = await self._connection.execute(query.values(to_us=to_us, ended_by=ended_by))
        return result.rowcount > 0

    async def open_assignment(self, organisation_id: str, unit_id: str) -> AssignmentRow | None:
        query = select(UNIT_ASSIGNMENTS).where(
            UNIT_ASSIGNMENTS.c.organisation_id == organisation_id,
            UNIT_ASSIGNMENTS.c.unit_id == unit_id,
            UNIT_ASSIGNMENTS.c.to_us.is_(None),
        )
        record = (await self._connection.execute(query)).one_or_none()
        return _assignment(record) if record else None

    async def assignments(
        self,
        organisation_id: str,
        *,
        unit_id: str | None = None,
        contract_id: str | None = None,
        customer_id: str | None = None,
    ) -> list[AssignmentRow]:
        query = select(UNIT_ASSIGNMENTS).where(UNIT_ASSIGNMENTS.c.organisation_id == organisation_id)
        for column, wanted in (
            (UNIT_ASSIGNMENTS.c.unit_id, unit_id),
            (UNIT_ASSIGNMENTS.c.contract_id, contract_id),
            (UNIT_ASSIGNMENTS.c.customer_id, customer_id),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        query = query.order_by(UNIT_ASSIGNMENTS.c.from_us.desc())
        return [_assignment(record) for record in (await self._connection.execute(query)).all()]


def _taken(row: UnitRow, error: IntegrityError) -> ConflictError:
    if "mac" in str(error.orig):
        return ConflictError(f"Another unit has the MAC address {row.mac}.", field="mac")
    return ConflictError(f"Another unit is called {row.label}.", field="label")
