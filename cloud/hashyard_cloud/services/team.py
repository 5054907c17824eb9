"""A customer's team as the host sees it: its name, and taking access away."""

from dataclasses import replace

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import activity, customers
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Database
from hashyard_shared.clock import Clock


async def rename(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, customer_id: str, name: str
) -> CustomerRow:
    """The team's name as the portal shows it."""
    async with database.transaction() as tx:
        row = replace(await customers.get(tx, organisation_id, customer_id), team_name=name.strip())
        await tx.customers.update(row)
        text = f"Team name is {row.team_name or row.name} now"
        now_us = clock.now_us()
        await activity.record(tx, now_us, organisation_id, actor, "team.renamed", text, customer_id=customer_id)
    return row


async def remove(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, customer_id: str, user_id: str
) -> None:
    """Access ends at once, live sessions too; raises `NotFoundError` for somebody who is no member."""
    async with database.transaction() as tx:
        members = {row.user_id: row for row in await tx.users.members(organisation_id, customer_id)}
        if user_id not in members:
            raise NotFoundError
        await tx.users.remove_membership(organisation_id, user_id, customer_id)
        text = f"Access of {members[user_id].email} removed"
        now_us = clock.now_us()
        await activity.record(tx, now_us, organisation_id, actor, "member.removed", text, customer_id=customer_id)
