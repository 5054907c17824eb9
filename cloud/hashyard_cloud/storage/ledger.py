"""The ledger in the relational store."""

from collections.abc import Mapping, Sequence

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.ledger import LedgerRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.ledger import LEDGER_ENTRIES


class LedgerStore:
    """SQL for the ledger; implements `services.ports.ledger.LedgerStore`. There is no update and no delete."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[LedgerRow]) -> None:
        if rows:
            await self._connection.execute(insert(LEDGER_ENTRIES), [values(row) for row in rows])

    async def all(self, organisation_id: str, customer_id: str) -> list[LedgerRow]:
        query = select(LEDGER_ENTRIES).where(
            LEDGER_ENTRIES.c.organisation_id == organisation_id, LEDGER_ENTRIES.c.customer_id == customer_id
        )
        query = query.order_by(LEDGER_ENTRIES.c.at_us, LEDGER_ENTRIES.c.entry_id)
        return [loaded(LedgerRow, record) for record in (await self._connection.execute(query)).all()]

    async def open_by_invoice(
        self, organisation_id: str, invoice_ids: Sequence[str] | None = None
    ) -> Mapping[str, int]:
        column = LEDGER_ENTRIES.c.invoice_id
        query = select(column, func.sum(LEDGER_ENTRIES.c.amount_micro)).where(
            LEDGER_ENTRIES.c.organisation_id == organisation_id, column.is_not(None)
        )
        if invoice_ids is not None:
            query = query.where(column.in_(invoice_ids))
        return {
            record[0]: int(record[1]) for record in (await self._connection.execute(query.group_by(column))).all()
        }

    async def credits(self, organisation_id: str, customer_id: str | None = None) -> Mapping[tuple[str, str], int]:
        customer, currency = LEDGER_ENTRIES.c.customer_id, LEDGER_ENTRIES.c.currency
        query = (
            select(customer, currency, func.sum(LEDGER_ENTRIES.c.amount_micro))
            .where(LEDGER_ENTRIES.c.organisation_id == organisation_id, LEDGER_ENTRIES.c.invoice_id.is_(None))
            .group_by(customer, currency)
        )
        if customer_id is not None:
            query = query.where(customer == customer_id)
        records = (await self._connection.execute(query)).all()
        return {(record[0], record[1]): -int(record[2]) for record in records}

    async def by_reference(self, organisation_id: str, reference: str) -> list[LedgerRow]:
        query = select(LEDGER_ENTRIES).where(
            LEDGER_ENTRIES.c.organisation_id == organisation_id, LEDGER_ENTRIES.c.reference == reference
        )
        query = query.order_by(LEDGER_ENTRIES.c.at_us, LEDGER_ENTRIES.c.entry_id)
        return [loaded(LedgerRow, record) for record in (await self._connection.execute(query)).all()]
