"""Customers: adding and editing hosted accounts."""

from dataclasses import replace

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.inputs import Currency, Email, Input, Name, Notes, OptionalEmail, ShortText
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_shared.clock import Clock
from hashyard_shared.ids import new_id


class CustomerInput(Input):
    """A hosted account as people describe it. A blank billing e-mail sends invoices to the contact's."""

    name: Name
    company: ShortText = ""
    email: Email
    billing_email: OptionalEmail = ""
    phone: ShortText = ""
    currency: Currency = "USD"
    notes: Notes = ""
    active: bool = False
    portal_access: bool = False


async def get(tx: Transaction, organisation_id: str, customer_id: str) -> CustomerRow:
    """The customer; raises `NotFoundError`."""
    row = await tx.customers.get(organisation_id, customer_id)
    if row is None:
        raise NotFoundError
    return row


async def add(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, given: CustomerInput
) -> CustomerRow:
    """A new customer, who is not told of it."""
    now_us = clock.now_us()
    row = CustomerRow(
        customer_id=new_id(now_us),
        organisation_id=organisation_id,
        team_name=given.company or given.name,
        created_us=now_us,
        **given.model_dump(),
    )
    async with database.transaction() as tx:
        await tx.customers.add(row)
        await activity.record(
            tx,
            clock.now_us(),
            organisation_id,
            actor,
            "customer.added",
            f"Customer {row.name} added",
            customer_id=row.customer_id,
            object_kind="customer",
            object_id=row.customer_id,
        )
    return row


async def edit(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, customer_id: str, given: CustomerInput
) -> CustomerRow:
    """Change the account. Portal access or the account switched off ends live portal sessions at once."""
    async with database.transaction() as tx:
        before = await get(tx, organisation_id, customer_id)
        row = replace(before, **given.model_dump())
        await tx.customers.update(row)
        if not row.active or not row.portal_access:
            await tx.users.end_customer_sessions(organisation_id, customer_id)
        changed = [name for name in type(given).model_fields if getattr(before, name) != getattr(row, name)]
        if changed:
            words = ", ".join(name.replace("_", " ") for name in changed)
            await activity.record(
                tx,
                clock.now_us(),
                organisation_id,
                actor,
                "customer.edited",
                f"Changed: {words}",
                customer_id=customer_id,
                object_kind="customer",
                object_id=customer_id,
            )
        if before.name != row.name:
            # Agents show whose a unit is.
            await tx.desired.bump_all(organisation_id)
    return row
