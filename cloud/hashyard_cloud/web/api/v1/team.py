"""Customers' teams and the host's staff: invitations, the team's name, taking access away."""

from typing import Annotated, Final

from pydantic import StringConstraints

from hashyard_cloud.services import customers, invites, team
from hashyard_cloud.services.api_tokens import RANKS, Area, above_ceiling
from hashyard_cloud.services.invites import Sent
from hashyard_cloud.services.ports.users import InviteRow, Role
from hashyard_cloud.web import keys
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import Answer, Body, Done, Email, Id, Line, Page, PageQuery
from hashyard_cloud.web.pages import MANAGERS


class Invite(Answer):
    """An invitation, bound to the address; it works once, until `expires_at`."""

    invite_id: str
    email: str
    role: Role
    customer_id: str | None
    invited_by: str
    created_at: str
    expires_at: str
    accepted_at: str | None
    revoked_at: str | None


class SentInvite(Answer):
    """A new invitation with its link, which is told once."""

    invite: Invite
    link: str


class InvitesQuery(PageQuery):
    """Of which customer; without one, of the host's staff."""

    customer_id: Id | None = None


class InviteBody(Body):
    """Whom to invite: to a customer's portal, or with a role to the host's staff."""

    email: Email
    customer_id: Id | None = None
    role: Annotated[str, StringConstraints(pattern=r"^(admin|billing|technician|viewer)$")] | None = None


class TeamNameBody(Body):
    """The team's name as the portal shows it."""

    team_name: Line


class TeamName(Answer):
    """A customer's team."""

    customer_id: str
    team_name: str


def _sent(sent: Sent) -> SentInvite:
    return SentInvite(invite=Invite.of(sent.invite), link=sent.link)


def _key(row: InviteRow) -> tuple[int, str]:
    return row.created_us, row.invite_id


async def list_invites(call: Call, query: InvitesQuery) -> Page[Invite]:
    """Invitations of one customer's team or of the staff, newest first."""
    async with call.database.reading() as tx:
        if query.customer_id is not None:
            await customers.get(tx, call.org, query.customer_id)
        rows = await tx.users.invites(call.org, query.customer_id)
    shown, following = paging.page(rows, _key, query, newest_first=True)
    return Page[Invite](items=[Invite.of(row) for row in shown], next_cursor=following)


async def create_invite(call: Call, body: InviteBody) -> SentInvite:
    """Invite an address by e-mail; an open invitation of the same address and place is replaced."""
    role = Role.CUSTOMER if body.role is None else Role(body.role)
    if body.role is not None and role not in RANKS[call.caller.token.role]:
        raise above_ceiling()
    sent = await invites.invite(
        call.database,
        call.clock,
        call.caller.organisation,
        call.actor,
        call.app[keys.BASE_URL],
        body.email,
        role,
        body.customer_id,
    )
    return _sent(sent)


async def resend_invite(call: Call) -> SentInvite:
    """A fresh link by a fresh mail; the one before ends."""
    organisation = call.caller.organisation
    return _sent(
        await invites.resend(
            call.database, call.clock, organisation, call.actor, call.app[keys.BASE_URL], call.ids["invite_id"]
        )
    )


async def revoke_invite(call: Call) -> Invite:
    """The link works no more."""
    return Invite.of(await invites.revoke(call.database, call.clock, call.org, call.actor, call.ids["invite_id"]))


async def rename_team(call: Call, body: TeamNameBody) -> TeamName:
    """Name a customer's team."""
    row = await team.rename(
        call.database, call.clock, call.org, call.actor, call.ids["customer_id"], body.team_name
    )
    return TeamName.of(row)


async def remove_member(call: Call) -> Done:
    """Take a person's access to a customer's portal away; live sessions end at once."""
    await team.remove(
        call.database, call.clock, call.org, call.actor, call.ids["customer_id"], call.ids["user_id"]
    )
    return Done(count=1)


_STAFF: Final = Feature(Area.STAFF)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _STAFF.read("/invites", list_invites, MANAGERS),
    _STAFF.add("/invites", create_invite, MANAGERS, secret=True),
    _STAFF.add("/invites/{invite_id}/resend", resend_invite, MANAGERS, secret=True),
    _STAFF.delete("/invites/{invite_id}", revoke_invite, MANAGERS),
    _STAFF.put("/customers/{customer_id}/team-name", rename_team, MANAGERS),
    _STAFF.delete("/customers/{customer_id}/members/{user_id}", remove_member, MANAGERS),
)
