"""Invoices in the relational store."""

from collections.abc import Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.services.ports.invoices import InvoiceLineRow, InvoiceRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.invoices import INVOICE_LINES, INVOICE_NUMBERS, INVOICES


class InvoicesStore:
    """SQL for invoices; implements `services.ports.invoices.InvoicesStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: InvoiceRow, lines: Sequence[InvoiceLineRow]) -> None:
        await self._connection.execute(insert(INVOICES).values(values(row)))
        if lines:
            await self._connection.execute(insert(INVOICE_LINES), [values(line) for line in lines])

    async def get(self, organisation_id: str, invoice_id: str) -> InvoiceRow | None:
        query = select(INVOICES).where(
            INVOICES.c.organisation_id == organisation_id, INVOICES.c.invoice_id == invoice_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(InvoiceRow, record) if record else None

    async def by_number(self, organisation_id: str, number: str) -> InvoiceRow | None:
        query = select(INVOICES).where(INVOICES.c.organisation_id == organisation_id, INVOICES.c.number == number)
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(InvoiceRow, record) if record else None

    async def lines(self, organisation_id: str, invoice_id: str) -> list[InvoiceLineRow]:
        query = select(INVOICE_LINES).where(
            INVOICE_LINES.c.organisation_id == organisation_id, INVOICE_LINES.c.invoice_id == invoice_id
        )
        query = query.order_by(INVOICE_LINES.c.position)
        return [loaded(InvoiceLineRow, record) for record in (await self._connection.execute(query)).all()]

    async def all(
        self, organisation_id: str, *, customer_id: str | None = None, contract_id: str | None = None
    ) -> list[InvoiceRow]:
        query = select(INVOICES).where(INVOICES.c.organisation_id == organisation_id)
        if customer_id is not None:
            query = query.where(INVOICES.c.customer_id == customer_id)
        if contract_id is not None:
            query = query.where(INVOICES.c.contract_id == contract_id)
        query = query.order_by(INVOICES.c.created_us.desc(), INVOICES.c.number.desc())
        return [loaded(InvoiceRow, record) for record in (await self._connection.execute(query)).all()]

    async def in_states(self, organisation_id: str, states: Sequence[InvoiceState]) -> list[InvoiceRow]:
        query = select(INVOICES).where(
            INVOICES.c.organisation_id == organisation_id,
            INVOICES.c.state.in_([state.value for state in states]),
        )
        query = query.order_by(INVOICES.c.due_us, INVOICES.c.number)
        return [loaded(InvoiceRow, record) for record in (await self._connection.execute(query)).all()]

    async def update(self, row: InvoiceRow) -> None:
        query = update(INVOICES).where(
            INVOICES.c.organisation_id == row.organisation_id, INVOICES.c.invoice_id == row.invoice_id
        )
        await self._connection.execute(query.values(values(row)))

    async def next_number(self, organisation_id: str, year: int) -> str:
        same = (INVOICE_NUMBERS.c.organisation_id == organisation_id) & (INVOICE_NUMBERS.c.year == year)
        query = select(INVOICE_NUMBERS.c.last).where(same).with_for_update()
        last = (await self._connection.execute(query)).scalar_one_or_none()
        if last is None:
            statement = insert(INVOICE_NUMBERS).values(organisation_id=organisation_id, year=year, last=1)
            await self._connection.execute(statement)
        else:
            await self._connection.execute(update(INVOICE_NUMBERS).where(same).values(last=last + 1))
        return f"INV-{year}-{(last or 0) + 1:04d}"
