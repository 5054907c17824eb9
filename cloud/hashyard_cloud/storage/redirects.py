"""Redirects in the relational store."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, and_, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.redirects import (
    AccrualRow,
    RedirectControlsRow,
    RedirectOrderRow,
    RedirectUnitRow,
    UnitEventRow,
)
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.redirects import (
    ACCRUALS,
    REDIRECT_CONTROLS,
    REDIRECT_ORDERS,
    REDIRECT_UNITS,
    UNIT_EVENTS,
)
from hashyard_shared.orders import OrderKind


class RedirectsStore:
    """SQL for redirects; implements `services.ports.redirects.RedirectsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def _put(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        kind = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        statement = kind.insert(table)
        keys = [column.name for column in table.primary_key]
        changes = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=keys, set_=changes), list(rows)
        )

    async def controls(self, organisation_id: str) -> RedirectControlsRow | None:
        query = select(REDIRECT_CONTROLS).where(REDIRECT_CONTROLS.c.organisation_id == organisation_id)
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(RedirectControlsRow, record) if record else None

    async def set_controls(self, row: RedirectControlsRow) -> None:
        await self._put(REDIRECT_CONTROLS, [values(row)])

    async def unit(self, organisation_id: str, unit_id: str) -> RedirectUnitRow | None:
        query = select(REDIRECT_UNITS).where(
            REDIRECT_UNITS.c.organisation_id == organisation_id, REDIRECT_UNITS.c.unit_id == unit_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(RedirectUnitRow, record) if record else None

    async def units(
        self,
        organisation_id: str,
        *,
        case_id: str | None = None,
        customer_id: str | None = None,
        live_only: bool = False,
    ) -> list[RedirectUnitRow]:
        query = select(REDIRECT_UNITS).where(REDIRECT_UNITS.c.organisation_id == organisation_id)
        if case_id is not None:
            query = query.where(REDIRECT_UNITS.c.case_id == case_id)
        if customer_id is not None:
            query = query.where(REDIRECT_UNITS.c.customer_id == customer_id)
        if live_only:
            query = query.where(REDIRECT_UNITS.c.live.is_(True))
        query = query.order_by(REDIRECT_UNITS.c.label, REDIRECT_UNITS.c.unit_id)
        return [loaded(RedirectUnitRow, record) for record in (await self._connection.execute(query)).all()]

    async def put_units(self, rows: Sequence[RedirectUnitRow]) -> None:
        await self._put(REDIRECT_UNITS, [values(row) for row in rows])

    async def add_orders(self, rows: Sequence[RedirectOrderRow]) -> None:
        if rows:
            await self._connection.execute(insert(REDIRECT_ORDERS), [values(row) for row in rows])

    async def order(self, organisation_id: str, order_id: str) -> RedirectOrderRow | None:
        query = select(REDIRECT_ORDERS).where(
            REDIRECT_ORDERS.c.organisation_id == organisation_id, REDIRECT_ORDERS.c.order_id == order_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(RedirectOrderRow, record) if record else None

    async def orders(self, organisation_id: str, case_id: str) -> list[RedirectOrderRow]:
        query = select(REDIRECT_ORDERS).where(
            REDIRECT_ORDERS.c.organisation_id == organisation_id, REDIRECT_ORDERS.c.case_id == case_id
        )
        query = query.order_by(REDIRECT_ORDERS.c.issued_us, REDIRECT_ORDERS.c.sequence, REDIRECT_ORDERS.c.unit_id)
        return [loaded(RedirectOrderRow, record) for record in (await self._connection.execute(query)).all()]

    async def update_order(self, row: RedirectOrderRow) -> None:
        query = update(REDIRECT_ORDERS).where(
            REDIRECT_ORDERS.c.organisation_id == row.organisation_id, REDIRECT_ORDERS.c.order_id == row.order_id
        )
        await self._connection.execute(query.values(values(row)))

    async def current_orders(self, organisation_id: str, site_id: str) -> list[str]:
        newest = and_(
            REDIRECT_ORDERS.c.order_id == REDIRECT_UNITS.c.order_id,
            REDIRECT_ORDERS.c.organisation_id == REDIRECT_UNITS.c.organisation_id,
        )
        query = (
            select(REDIRECT_ORDERS.c.envelope)
            .join(REDIRECT_UNITS, newest)
            .where(
                REDIRECT_UNITS.c.organisation_id == organisation_id,
                REDIRECT_UNITS.c.site_id == site_id,
                REDIRECT_UNITS.c.live.is_(True),
            )
            .order_by(REDIRECT_ORDERS.c.kind == OrderKind.REDIRECT.value, REDIRECT_ORDERS.c.order_id)
        )
        return [record[0] for record in (await self._connection.execute(query)).all()]

    async def live_identities(self, organisation_id: str) -> Mapping[str, tuple[str, str, int, str]]:
        newest = and_(
            REDIRECT_ORDERS.c.order_id == REDIRECT_UNITS.c.order_id,
            REDIRECT_ORDERS.c.organisation_id == REDIRECT_UNITS.c.organisation_id,
        )
        query = (
            select(
                REDIRECT_UNITS.c.unit_id,
                REDIRECT_ORDERS.c.agent_id,
                REDIRECT_ORDERS.c.agent_key,
                REDIRECT_ORDERS.c.epoch,
                REDIRECT_ORDERS.c.key,
            )
            .join(REDIRECT_ORDERS, newest)
            .where(REDIRECT_UNITS.c.organisation_id == organisation_id, REDIRECT_UNITS.c.live.is_(True))
        )
        records = (await self._connection.execute(query)).all()
        return {record[0]: (record[1], record[2], int(record[3]), record[4]) for record in records}

    async def add_unit_event(self, row: UnitEventRow) -> bool:
        kind = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        statement = kind.insert(UNIT_EVENTS).values(values(row)).on_conflict_do_nothing()
        result = await self._connection.execute(statement.returning(UNIT_EVENTS.c.seq))
        return result.one_or_none() is not None

    async def unit_events(self, organisation_id: str, case_id: str) -> list[UnitEventRow]:
        query = select(UNIT_EVENTS).where(
            UNIT_EVENTS.c.organisation_id == organisation_id, UNIT_EVENTS.c.case_id == case_id
        )
        query = query.order_by(
            UNIT_EVENTS.c.received_us, UNIT_EVENTS.c.epoch, UNIT_EVENTS.c.seq, UNIT_EVENTS.c.position
        )
        return [loaded(UnitEventRow, record) for record in (await self._connection.execute(query)).all()]

    async def accruals(self, organisation_id: str, case_id: str) -> list[AccrualRow]:
        query = select(ACCRUALS).where(
            ACCRUALS.c.organisation_id == organisation_id, ACCRUALS.c.case_id == case_id
        )
        query = query.order_by(ACCRUALS.c.day, ACCRUALS.c.unit_id)
        return [loaded(AccrualRow, record) for record in (await self._connection.execute(query)).all()]

    async def put_accruals(self, rows: Sequence[AccrualRow]) -> None:
        await self._put(ACCRUALS, [values(row) for row in rows])

    async def at_pool_counts(self, organisation_id: str) -> Mapping[str, int]:
        customer = REDIRECT_UNITS.c.customer_id
        query = (
            select(customer, func.count())
            .where(REDIRECT_UNITS.c.organisation_id == organisation_id, REDIRECT_UNITS.c.at_pool_us.is_not(None))
            .group_by(customer)
        )
        return {record[0]: int(record[1]) for record in (await self._connection.execute(query)).all()}
