"""Logging in and out, and who somebody is: users, memberships, sessions."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Final

from hashyard_cloud.errors import ForbiddenError, MalformedError, RateLimitedError, UnauthenticatedError
from hashyard_cloud.services.passwords import check_strength, hash_password, verify_password
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_cloud.services.ports.users import MembershipRow, Role, SessionRow, UserRow
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.ids import new_id

SESSION_S: Final = 14 * 86_400
IDLE_S: Final = 24 * 3_600
TOUCH_S: Final = 60
"""How old `last_seen` may get before a request writes it again."""
ATTEMPTS_WINDOW_S: Final = 15 * 60
MAX_ATTEMPTS_PER_ACCOUNT: Final = 10
MAX_ATTEMPTS_PER_ADDRESS: Final = 60
TOKEN_BYTES: Final = 32
MAX_NAME_CHARS: Final = 120
MAX_EMAIL_CHARS: Final = 254

WRONG_LOGIN: Final = "This e-mail and password do not belong together."


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: a person, in an organisation, in a role; for customer members, of which customer."""

    user: UserRow
    membership: MembershipRow
    organisation: OrganisationRow
    session: SessionRow

    @property
    def organisation_id(self) -> str:
        """Whose rows may be read."""
        return self.organisation.organisation_id

    @property
    def role(self) -> Role:
        """What may be done."""
        return self.membership.role

    @property
    def actor(self) -> str:
        """As the activity log names the person."""
        return self.user.name or self.user.email


def normal_email(text: str, field: str = "email") -> str:
    """The address in lower case; raises `MalformedError` when it is not one."""
    email = text.strip().lower()
    local, _, domain = email.partition("@")
    wrong = not local or "." not in domain.strip(".") or any(char.isspace() or char in '<>",;' for char in email)
    if wrong or email.count("@") != 1 or len(email) > MAX_EMAIL_CHARS:
        raise MalformedError("Give an e-mail address such as name@example.com.", field=field)
    return email


def secret_hash(secret: str) -> str:
    """What is stored of a cookie, link or token."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def add_user(tx: Transaction, clock: Clock, email: str, name: str, password: str) -> UserRow:
    """A new account; raises `MalformedError` for a weak password, `ConflictError` for a known address."""
    check_strength(password)
    now_us = clock.now_us()
    row = UserRow(
        user_id=new_id(now_us),
        email=normal_email(email),
        name=name.strip()[:MAX_NAME_CHARS],
        password_hash=await hash_password(password),
        totp_secret=None,
        totp_last_step=0,
        created_us=now_us,
    )
    await tx.users.add(row)
    return row


async def create_host(
    database: Database,
    clock: Clock,
    *,
    name: str,
    owner_email: str,
    owner_name: str,
    password: str,
    currency: str = "USD",
    timezone: str = "UTC",
    slug: str | None = None,
) -> OrganisationRow:
    """A host with its first owner."""
    if not name.strip():
        raise MalformedError("Give the host a name.", field="name")
    now_us = clock.now_us()
    organisation = OrganisationRow(
        organisation_id=new_id(now_us),
        name=name.strip()[:MAX_NAME_CHARS],
        slug=slug,
        currency=currency,
        timezone=timezone,
        redirect_enabled=True,
        approvals_required=0,
        slogan="",
        colour_primary="#2758d8",
        colour_accent="#141b29",
        contact_email=normal_email(owner_email),
        contact_phone="",
        created_us=now_us,
    )
    async with database.transaction() as tx:
        await tx.organisations.add(organisation)
        user = await tx.users.by_email(normal_email(owner_email))
        if user is None:
            user = await add_user(tx, clock, owner_email, owner_name, password)
        await tx.users.add_membership(organisation.organisation_id, user.user_id, Role.OWNER, None, now_us)
    return organisation


async def limit_attempts(database: Database, clock: Clock, keys: dict[str, int]) -> None:
    """Count an attempt under each key; raises `RateLimitedError` when one is over its limit."""
    now_us = clock.now_us()
    async with database.transaction() as tx:
        over = [
            key
            for key, limit in keys.items()
            if await tx.users.count_attempt(key, now_us, ATTEMPTS_WINDOW_S * US_PER_S) > limit
        ]
    if over:
        raise RateLimitedError(
            f"Too many attempts. Wait {ATTEMPTS_WINDOW_S // 60} minutes and try again.",
            retry_after_s=ATTEMPTS_WINDOW_S,
        )


async def check_password(database: Database, clock: Clock, *, email: str, password: str, remote: str) -> UserRow:
    """The user with this address and password; raises `UnauthenticatedError` or `RateLimitedError`."""
    address = email.strip().lower()[:MAX_EMAIL_CHARS]
    await limit_attempts(
        database,
        clock,
        {f"login:{address}": MAX_ATTEMPTS_PER_ACCOUNT, f"remote:{remote}": MAX_ATTEMPTS_PER_ADDRESS},
    )
    async with database.reading() as tx:
        user = await tx.users.by_email(address)
    if not await verify_password(user.password_hash if user else None, password) or user is None:
        raise UnauthenticatedError(WRONG_LOGIN)
    async with database.transaction() as tx:
        await tx.users.clear_attempts(f"login:{address}")
    return user


async def open_session(
    database: Database, clock: Clock, user: UserRow, *, remote: str, organisation_id: str | None = None
) -> str:
    """Start a session and answer the cookie's value, which is not stored.

    In this organisation, or in the person's first one; raises `ForbiddenError` where there is none to enter.
    """
    now_us = clock.now_us()
    secret = secrets.token_urlsafe(TOKEN_BYTES)
    async with database.transaction() as tx:
        memberships = await tx.users.memberships(user.user_id)
        if organisation_id is None:
            # Staff enter here; customers come in by their host's own page.
            candidates = [row for row in memberships if row.customer_id is None]
        else:
            candidates = [row for row in memberships if row.organisation_id == organisation_id]
        if not candidates:
            raise ForbiddenError("This account has no access here. Ask the host for an invitation.")
        membership = candidates[0]
        await _check_customer(tx, membership)
        await tx.users.add_session(
            SessionRow(
                session_id=secret_hash(secret),
                user_id=user.user_id,
                organisation_id=membership.organisation_id,
                csrf=secrets.token_urlsafe(TOKEN_BYTES),
                created_us=now_us,
                last_seen_us=now_us,
                expires_us=now_us + SESSION_S * US_PER_S,
                view_customer_id=None,
                remote=remote[:64],
            )
        )
    return secret


async def _check_customer(tx: Transaction, membership: MembershipRow) -> None:
    if membership.customer_id is None:
        return
    customer = await tx.customers.get(membership.organisation_id, membership.customer_id)
    if customer is None or not customer.active or not customer.portal_access:
        raise ForbiddenError("Portal access is switched off for this account. Ask the host.")


async def resolve(database: Database, clock: Clock, secret: str, *, touch: bool = True) -> Viewer | None:
    """Who holds this cookie, or None when it is unknown, idle too long, expired, or its membership has ended.

    `touch` keeps the session from going idle.
    """
    now_us = clock.now_us()
    async with database.reading() as tx:
        found = await tx.users.present(secret_hash(secret))
    if found is None:
        return None
    session = found.session
    if session.expires_us <= now_us or session.last_seen_us + IDLE_S * US_PER_S <= now_us:
        return None
    if touch and session.last_seen_us + TOUCH_S * US_PER_S <= now_us:
        async with database.transaction() as tx:
            await tx.users.touch_session(session.session_id, now_us)
        session = replace(session, last_seen_us=now_us)
    return Viewer(found.user, found.membership, found.organisation, session)


async def log_out(database: Database, secret: str) -> None:
    """End the session of this cookie."""
    async with database.transaction() as tx:
        await tx.users.end_session(secret_hash(secret))
