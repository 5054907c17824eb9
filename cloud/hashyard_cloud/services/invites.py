"""Invitations of customers' people and of staff, and links that set a new password."""

import secrets
from dataclasses import dataclass, replace
from typing import Final

from hashyard_cloud.errors import ConflictError, ForbiddenError, MalformedError, NotFoundError
from hashyard_cloud.services import activity, emails
from hashyard_cloud.services.passwords import check_strength, hash_password
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_cloud.services.ports.users import InviteRow, ResetRow, Role, UserRow
from hashyard_cloud.services.users import TOKEN_BYTES, add_user, normal_email, secret_hash
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.ids import new_id

INVITE_S: Final = 7 * 86_400
RESET_S: Final = 3_600
MAX_OPEN_INVITES: Final = 100
NO_SLUG: Final = "Set your host slug in Settings first: invitations lead to your own sign-in page."
GONE: Final = "This invitation was used, revoked or has expired. Ask for a new one."


@dataclass(frozen=True, slots=True)
class Sent:
    """An invitation with its link, which is not stored."""

    invite: InviteRow
    link: str


def auth_link(base_url: str, organisation: OrganisationRow, secret: str) -> str:
    """Where the invitation is accepted."""
    if organisation.slug is None:
        raise ConflictError(NO_SLUG, field="slug")
    return f"{base_url}/host/{organisation.slug}/auth?invite={secret}"


async def invite(
    database: Database,
    clock: Clock,
    organisation: OrganisationRow,
    actor: Actor,
    base_url: str,
    email: str,
    role: Role,
    customer_id: str | None = None,
) -> Sent:
    """Invite an address; an open invitation of the same address and place is replaced."""
    if (role is Role.CUSTOMER) is (customer_id is None):
        raise MalformedError("Choose one of the roles offered.", field="role")
    address = normal_email(email)
    now_us = clock.now_us()
    secret = secrets.token_urlsafe(TOKEN_BYTES)
    link = auth_link(base_url, organisation, secret)
    organisation_id = organisation.organisation_id
    async with database.transaction() as tx:
        if customer_id is not None and await tx.customers.get(organisation_id, customer_id) is None:
            raise NotFoundError
        user = await tx.users.by_email(address)
        if user and any(
            row.organisation_id == organisation_id for row in await tx.users.memberships(user.user_id)
        ):
            raise ConflictError(f"{address} has access here already.", field="email")
        earlier = [row for row in await tx.users.invites(organisation_id, customer_id) if is_open(row, now_us)]
        if len(earlier) >= MAX_OPEN_INVITES:
            raise ConflictError(
                f"There are {MAX_OPEN_INVITES} open invitations; revoke some first.", field="email"
            )
        for row in earlier:
            if row.email == address:
                await tx.users.update_invite(replace(row, revoked_us=now_us))
        made = InviteRow(
            invite_id=new_id(now_us),
            organisation_id=organisation_id,
            email=address,
            role=role,
            customer_id=customer_id,
            token_hash=secret_hash(secret),
            invited_by=actor.name,
            created_us=now_us,
            expires_us=now_us + INVITE_S * US_PER_S,
            accepted_us=None,
            revoked_us=None,
        )
        await tx.users.add_invite(made)
        await _send(tx, now_us, organisation, made, link)
        await activity.record(
            tx,
            now_us,
            organisation_id,
            actor,
            "invite.sent",
            f"{address} invited" + ("" if customer_id else f" as {role.value}"),
            customer_id=customer_id,
        )
    return Sent(made, link)


async def _send(tx: Transaction, now_us: int, organisation: OrganisationRow, row: InviteRow, link: str) -> None:
    what = "your customer portal" if row.customer_id else f"the team of {organisation.name}"
    body = (
        f"{row.invited_by} of {organisation.name} invites you to {what}.\n\n"
        f"Open this link to sign up, or to sign in if you have an account:\n{link}\n\n"
        f"The link is for {row.email} only, works once and ends after {INVITE_S // 86_400} days.\n"
        f"If you did not expect it, do nothing.\n\n{organisation.name}\n{organisation.slogan}"
    ).rstrip()
    subject = f"{organisation.name}: your invitation"
    await emails.enqueue(tx, now_us, row.organisation_id, row.email, subject, body + "\n")


def is_open(row: InviteRow, now_us: int) -> bool:
    """Whether it can still be accepted."""
    return row.accepted_us is None and row.revoked_us is None and row.expires_us > now_us


async def resend(
    database: Database, clock: Clock, organisation: OrganisationRow, actor: Actor, base_url: str, invite_id: str
) -> Sent:
    """A fresh link by a fresh mail; the one before ends."""
    async with database.reading() as tx:
        row = await tx.users.invite(organisation.organisation_id, invite_id)
    if row is None:
        raise NotFoundError
    if row.accepted_us is not None:
        raise ConflictError("This invitation was accepted already.")
    return await invite(database, clock, organisation, actor, base_url, row.email, row.role, row.customer_id)


async def revoke(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, invite_id: str
) -> InviteRow:
    """The link works no more."""
    now_us = clock.now_us()
    async with database.transaction() as tx:
        row = await tx.users.invite(organisation_id, invite_id)
        if row is None:
            raise NotFoundError
        row = replace(row, revoked_us=now_us)
        await tx.users.update_invite(row)
        text = f"Invitation of {row.email} revoked"
        await activity.record(
            tx, now_us, organisation_id, actor, "invite.revoked", text, customer_id=row.customer_id
        )
    return row


async def find(database: Database, clock: Clock, organisation_id: str, secret: str) -> InviteRow | None:
    """The open invitation of this link, at this host."""
    async with database.reading() as tx:
        row = await tx.users.invite_by_hash(secret_hash(secret))
    if row is None or row.organisation_id != organisation_id or not is_open(row, clock.now_us()):
        return None
    return row


async def sign_up(
    database: Database, clock: Clock, organisation_id: str, secret: str, name: str, password: str
) -> UserRow:
    """A new account for the invited address, and its membership."""
    if not name.strip():
        raise MalformedError("Tell us your name.", field="name")
    check_strength(password)
    row = await find(database, clock, organisation_id, secret)
    if row is None:
        raise ForbiddenError(GONE)
    async with database.transaction() as tx:
        if await tx.users.by_email(row.email) is not None:
            raise ConflictError("There is an account for this address already: sign in instead.", field="name")
        user = await add_user(tx, clock, row.email, name, password)
    await accept(database, clock, organisation_id, secret, user)
    return user


async def accept(database: Database, clock: Clock, organisation_id: str, secret: str, user: UserRow) -> None:
    """Connect a signed-in person to the host; the address must be the invited one. Works once."""
    now_us = clock.now_us()
    async with database.transaction() as tx:
        row = await tx.users.invite_by_hash(secret_hash(secret))
        if row is None or row.organisation_id != organisation_id or not is_open(row, now_us):
            raise ForbiddenError(GONE)
        if row.email != user.email:
            raise ForbiddenError(f"This invitation is for another address than {user.email}.")
        await tx.users.update_invite(replace(row, accepted_us=now_us))
        await tx.users.add_membership(organisation_id, user.user_id, row.role, row.customer_id, now_us)
        actor = Actor(user.user_id, user.name or user.email)
        text = f"{user.email} accepted the invitation"
        await activity.record(
            tx, now_us, organisation_id, actor, "invite.accepted", text, customer_id=row.customer_id
        )


async def ask_reset(
    database: Database, clock: Clock, organisation: OrganisationRow | None, email: str, link_base: str
) -> None:
    """Mail a link that sets a new password, where there is such an account; says nothing either way."""
    address = email.strip().lower()[:254]
    now_us = clock.now_us()
    async with database.transaction() as tx:
        user = await tx.users.by_email(address)
        memberships = await tx.users.memberships(user.user_id) if user else []
        here = [
            row
            for row in memberships
            if organisation is None or row.organisation_id == organisation.organisation_id
        ]
        if user is None or not here:
            return
        secret = secrets.token_urlsafe(TOKEN_BYTES)
        await tx.users.add_reset(ResetRow(secret_hash(secret), user.user_id, now_us + RESET_S * US_PER_S, None))
        name = organisation.name if organisation else "Hashyard"
        body = (
            f"Somebody, probably you, asked for a new password.\n\nSet it here within an hour:\n"
            f"{link_base}?token={secret}\n\nIf it was not you, do nothing: your password stays.\n\n{name}\n"
        )
        subject = f"{name}: set a new password"
        await emails.enqueue(tx, now_us, here[0].organisation_id, user.email, subject, body)


async def reset(database: Database, clock: Clock, secret: str, password: str) -> UserRow:
    """Set the password by a link; every session of the account ends."""
    check_strength(password)
    hashed = await hash_password(password)
    async with database.transaction() as tx:
        taken = await tx.users.take_reset(secret_hash(secret), clock.now_us())
        user = await tx.users.get(taken.user_id) if taken else None
        if user is None:
            raise ForbiddenError("This link was used or has expired. Ask for a new one.")
        user = replace(user, password_hash=hashed)
        await tx.users.update(user)
        await tx.users.end_sessions(user.user_id)
    return user
