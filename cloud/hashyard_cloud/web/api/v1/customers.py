"""Customers, how they stand, and their ledgers."""

from typing import Annotated, Final

from pydantic import StringConstraints

from hashyard_cloud.domain.ledger import EntryKind
from hashyard_cloud.domain.status import CustomerStatus
from hashyard_cloud.services import customers
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.case_view import statuses
from hashyard_cloud.services.customers import CustomerInput
from hashyard_cloud.services.inputs import read
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.standing import standing
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import (
    Answer,
    Body,
    Currency,
    Email,
    Line,
    Name,
    Notes,
    Page,
    PageQuery,
    Search,
    decimal,
    instant,
)
from hashyard_cloud.web.pages import MONEY, STAFF


class Customer(Answer):
    """A hosted account. `notes` are internal."""

    customer_id: str
    name: str
    company: str
    email: str
    billing_email: str
    phone: str
    currency: str
    notes: str
    active: bool
    portal_access: bool
    team_name: str
    created_at: str


class CustomerBody(Body):
    """A hosted account as people describe it. A blank billing e-mail sends invoices to the contact's."""

    name: Name
    email: Email
    company: Line = ""
    billing_email: Email | Annotated[str, StringConstraints(max_length=0)] = ""
    phone: Line = ""
    currency: Currency = "USD"
    notes: Notes = ""
    active: bool = True
    portal_access: bool = True


class CustomersQuery(PageQuery):
    """Which customers; `q` is looked for in name, company and e-mail."""

    q: Search = ""
    status: CustomerStatus | None = None


class CustomerStanding(Answer):
    """How a customer stands now. Units count as confirmed at level 3 or better."""

    customer_id: str
    status: CustomerStatus
    case_id: str | None
    since: str | None
    currency: str
    owed: str
    overdue: str
    credit: str
    to_cure: str | None
    recovered: str | None
    units_ordered: int
    units_confirmed: int
    units_restoring: int
    units_restored: int


class LedgerEntry(Answer):
    """An entry, never changed: a mistake is reversed by another one. Positive is owed."""

    entry_id: str
    invoice_id: str | None
    kind: EntryKind
    amount: str
    currency: str
    at: str
    reference: str
    reverses: str | None
    note: str
    actor: str


def _matches(row: CustomerRow, text: str) -> bool:
    wanted = text.strip().lower()
    return not wanted or any(wanted in value.lower() for value in (row.name, row.company, row.email))


async def list_customers(call: Call, query: CustomersQuery) -> Page[Customer]:
    """All customers, by name."""
    async with call.database.reading() as tx:
        rows = [row for row in await tx.customers.all(call.org) if _matches(row, query.q)]
        if query.status is not None:
            known = await statuses(tx, call.org)
            rows = [row for row in rows if known[row.customer_id] is query.status]
    shown, following = paging.page(rows, lambda row: (row.name, row.customer_id), query)
    return Page[Customer](items=[Customer.of(row) for row in shown], next_cursor=following)


async def get_customer(call: Call) -> Customer:
    """One customer."""
    async with call.database.reading() as tx:
        return Customer.of(await customers.get(tx, call.org, call.ids["customer_id"]))


async def create_customer(call: Call, body: CustomerBody) -> Customer:
    """Add a customer, who is not told of it."""
    given = read(CustomerInput, body.model_dump(exclude_none=True))
    return Customer.of(await customers.add(call.database, call.clock, call.org, call.actor, given))


async def update_customer(call: Call, body: CustomerBody) -> Customer:
    """Change a customer.

    Portal access or the account switched off ends live portal sessions at once.
    """
    given = read(CustomerInput, body.model_dump(exclude_none=True))
    customer_id = call.ids["customer_id"]
    return Customer.of(await customers.edit(call.database, call.clock, call.org, call.actor, customer_id, given))


async def get_standing(call: Call) -> CustomerStanding:
    """How a customer stands: status, what is owed, where the units are."""
    async with call.database.reading() as tx:
        customer = await customers.get(tx, call.org, call.ids["customer_id"])
        found = await standing(tx, customer)
    return CustomerStanding(
        customer_id=customer.customer_id,
        status=found.status,
        case_id=found.case.case_id if found.case else None,
        since=instant(found.since_us),
        currency=customer.currency,
        owed=decimal(found.owed_micro) or "",
        overdue=decimal(found.overdue_micro) or "",
        credit=decimal(found.credit_micro) or "",
        to_cure=decimal(found.money.to_cure.micro) if found.money else None,
        recovered=decimal(found.money.recovered.micro) if found.money else None,
        units_ordered=found.ordered,
        units_confirmed=found.confirmed,
        units_restoring=found.restoring,
        units_restored=found.restored,
    )


async def list_ledger(call: Call, query: PageQuery) -> Page[LedgerEntry]:
    """A customer's ledger, newest first."""
    async with call.database.reading() as tx:
        customer = await customers.get(tx, call.org, call.ids["customer_id"])
        rows = await tx.ledger.all(call.org, customer.customer_id)
    shown, following = paging.page(rows, lambda row: (row.at_us, row.entry_id), query, newest_first=True)
    return Page[LedgerEntry](
        items=[LedgerEntry.of(row, at=instant(row.at_us)) for row in shown], next_cursor=following
    )


_CUSTOMERS: Final = Feature(Area.CUSTOMERS)
_PAYMENTS: Final = Feature(Area.PAYMENTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _CUSTOMERS.read("/customers", list_customers, STAFF),
    _CUSTOMERS.add("/customers", create_customer, MONEY),
    _CUSTOMERS.read("/customers/{customer_id}", get_customer, STAFF),
    _CUSTOMERS.put("/customers/{customer_id}", update_customer, MONEY),
    _CUSTOMERS.read("/customers/{customer_id}/standing", get_standing, STAFF),
    _PAYMENTS.read("/customers/{customer_id}/ledger", list_ledger, STAFF),
)
