"""Pages of contracts and invoices, in the relational store. See `services.ports.listings`."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, Table, Text, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.services.ports.contracts import ContractRow, ContractState
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.services.ports.listings import After, ListFilter
from hashyard_cloud.services.ports.payments import PaymentRow
from hashyard_cloud.storage import fleet_sql as sql
from hashyard_cloud.storage.rows import loaded, loaded_plain
from hashyard_cloud.storage.tables.contracts import CONTRACTS
from hashyard_cloud.storage.tables.customers import CUSTOMERS
from hashyard_cloud.storage.tables.invoices import INVOICES
from hashyard_cloud.storage.tables.payments import PAYMENTS

MAX_LIMIT: Final = 500


class ListingsStore:
    """SQL for lists; implements `services.ports.listings.ListingsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def contracts_after(
        self, organisation_id: str, after: After, limit: int, **equal: str | None
    ) -> list[ContractRow]:
        keys = (CONTRACTS.c.created_us, CONTRACTS.c.contract_id)
        return [loaded(ContractRow, one) for one in await self._after(organisation_id, keys, after, limit, equal)]

    async def invoices_after(
        self, organisation_id: str, after: After, limit: int, **equal: str | None
    ) -> list[InvoiceRow]:
        keys = (INVOICES.c.created_us, INVOICES.c.invoice_id)
        return [loaded(InvoiceRow, one) for one in await self._after(organisation_id, keys, after, limit, equal)]

    async def payments_after(
        self, organisation_id: str, after: After, limit: int, **equal: str | None
    ) -> list[PaymentRow]:
        keys = (PAYMENTS.c.recorded_us, PAYMENTS.c.payment_id)
        return [loaded(PaymentRow, one) for one in await self._after(organisation_id, keys, after, limit, equal)]

    async def contracts(
        self, organisation_id: str, wanted: ListFilter
    ) -> tuple[Sequence[tuple[ContractRow, str]], int]:
        records, total = await self._page(CONTRACTS, organisation_id, wanted)
        return [(loaded_plain(ContractRow, CONTRACTS, one), one[-1]) for one in records], total

    async def invoices(
        self, organisation_id: str, wanted: ListFilter
    ) -> tuple[Sequence[tuple[InvoiceRow, str]], int]:
        records, total = await self._page(INVOICES, organisation_id, wanted)
        return [(loaded_plain(InvoiceRow, INVOICES, one), one[-1]) for one in records], total

    async def customers(self, organisation_id: str, search: str, limit: int) -> tuple[Sequence[CustomerRow], int]:
        given = {"organisation_id": organisation_id, "pattern": sql.like(search), "limit": min(limit, MAX_LIMIT)}
        records = (await self._connection.execute(_customers_query(), given)).all()
        return [loaded_plain(CustomerRow, CUSTOMERS, one) for one in records], records[0].total if records else 0

    async def contract_counts(self, organisation_id: str) -> dict[ContractState, int]:
        return {ContractState(state): count for state, count in await self._counts(CONTRACTS, organisation_id)}

    async def invoice_counts(self, organisation_id: str) -> dict[InvoiceState, int]:
        return {InvoiceState(state): count for state, count in await self._counts(INVOICES, organisation_id)}

    async def _page(self, table: Table, organisation_id: str, wanted: ListFilter) -> tuple[Sequence[Any], int]:
        searched = bool(wanted.search.strip())
        given: dict[str, Any] = {"organisation_id": organisation_id}
        given |= {} if wanted.state is None else {"state": wanted.state}
        given |= {"pattern": sql.like(wanted.search)} if searched else {}
        page, count = _queries(table, wanted.state is not None, searched, wanted.numbers_only)
        bounds = {"limit": min(wanted.limit, MAX_LIMIT), "offset": wanted.offset}
        records = (await self._connection.execute(page, given | bounds)).all()
        if len(records) < wanted.limit and (records or not wanted.offset):
            return records, wanted.offset + len(records)
        return records, (await self._connection.execute(count, given)).scalar_one()

    async def _after(
        self,
        organisation_id: str,
        keys: tuple[Column[int], Column[str]],
        after: After,
        limit: int,
        equal: Mapping[str, str | None],
    ) -> Sequence[Any]:
        at, key = keys
        query = select(at.table).where(at.table.c.organisation_id == organisation_id)
        for name, value in equal.items():
            if value is not None:
                query = query.where(at.table.c[name] == value)
        if after is not None:
            query = query.where(or_(at < after[0], and_(at == after[0], key < after[1])))
        query = query.order_by(at.desc(), key.desc()).limit(min(limit, MAX_LIMIT))
        found: Sequence[Any] = (await self._connection.execute(query)).all()
        return found

    async def _counts(self, table: Table, organisation_id: str) -> Sequence[Any]:
        given = {"organisation_id": organisation_id}
        found: Sequence[Any] = (await self._connection.execute(_counts_query(table), given)).all()
        return found


@cache
def _queries(table: Table, state: bool, searched: bool, numbers_only: bool) -> tuple[Select[Any], Select[Any]]:
    """The page and the count of a table that has number, state and customer."""
    conditions: list[ColumnElement[bool]] = [table.c.organisation_id == sql.ORGANISATION]
    if state:
        conditions.append(table.c.state == bindparam("state", type_=Text()))
    if searched:
        number = sql.matching(table.c.number)
        conditions.append(number if numbers_only else or_(number, sql.matching(CUSTOMERS.c.name)))
    joined = table.join(CUSTOMERS, CUSTOMERS.c.customer_id == table.c.customer_id)
    page = select(*table.c, CUSTOMERS.c.name.label("customer_name")).select_from(joined).where(*conditions)
    page = page.order_by(table.c.created_us.desc(), table.c.number.desc()).limit(sql.LIMIT).offset(sql.OFFSET)
    count = select(func.count()).select_from(joined if searched else table).where(*conditions)
    return page, count


@cache
def _counts_query(table: Table) -> Select[Any]:
    query = select(table.c.state, func.count()).where(table.c.organisation_id == sql.ORGANISATION)
    return query.group_by(table.c.state)


@cache
def _customers_query() -> Select[Any]:
    found = sql.matching(CUSTOMERS.c.name, CUSTOMERS.c.company, CUSTOMERS.c.email, CUSTOMERS.c.billing_email)
    query = select(CUSTOMERS, func.count().over().label("total"))
    query = query.where(CUSTOMERS.c.organisation_id == sql.ORGANISATION, found)
    return query.order_by(CUSTOMERS.c.name).limit(sql.LIMIT)
