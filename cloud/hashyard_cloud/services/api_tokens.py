"""API tokens: scoped, bounded by a role, shown once, revocable."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from hashyard_cloud.errors import (
    ConflictError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    UnauthenticatedError,
)
from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.api_tokens import ApiTokenRow
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_cloud.services.ports.users import MembershipRow, Role, UserRow
from hashyard_cloud.services.users import secret_hash
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.ids import new_id

TOKEN_PREFIX: Final = "hy_"  # noqa: S105 - how tokens begin, so that scanners find leaked ones
TOKEN_BYTES: Final = 32
TOUCH_S: Final = 60
MAX_TOKENS: Final = 200
MAX_LIFETIME_DAYS: Final = 3_650
DAY_US: Final = 86_400 * US_PER_S
_BEARER: Final = "Bearer "


class Area(StrEnum):
    """What a scope is about."""

    ORGANISATION = "organisation"
    SITES = "sites"
    AGENTS = "agents"
    CUSTOMERS = "customers"
    CONTRACTS = "contracts"
    EQUIPMENT = "equipment"
    READINGS = "readings"
    INVOICES = "invoices"
    PAYMENTS = "payments"
    DEFAULTS = "defaults"
    REDIRECTS = "redirects"
    ACTIVITY = "activity"
    STAFF = "staff"
    TOKENS = "tokens"


class Access(StrEnum):
    """Writing includes reading."""

    READ = "read"
    WRITE = "write"


RANKS: Final = {
    Role.OWNER: frozenset({Role.OWNER, Role.ADMIN, Role.BILLING, Role.TECHNICIAN, Role.VIEWER}),
    Role.ADMIN: frozenset({Role.ADMIN, Role.BILLING, Role.TECHNICIAN, Role.VIEWER}),
    Role.BILLING: frozenset({Role.BILLING, Role.VIEWER}),
    Role.TECHNICIAN: frozenset({Role.TECHNICIAN, Role.VIEWER}),
    Role.VIEWER: frozenset({Role.VIEWER}),
}
"""Which ceilings a member of a role may give a token."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a token, the member it acts for, and their organisation."""

    token: ApiTokenRow
    user: UserRow
    membership: MembershipRow
    organisation: OrganisationRow

    @property
    def organisation_id(self) -> str:
        """Whose rows may be read."""
        return self.organisation.organisation_id

    def require(self, area: Area, access: Access, allowed: frozenset[Role]) -> None:
        """Raise `ForbiddenError` unless scope, ceiling and the member's own role all allow it."""
        if not covers(self.token.scopes, area, access):
            raise ForbiddenError(f"This token lacks the scope {area.value}:{access.value}.")
        if self.token.role not in allowed or self.membership.role not in allowed:
            raise ForbiddenError


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A new token with its secret, which is shown once."""

    row: ApiTokenRow
    secret: str


def scope(area: Area, access: Access) -> str:
    """The scope's word."""
    return f"{area.value}:{access.value}"


SCOPES: Final = tuple(scope(area, access) for area in Area for access in Access)


def covers(scopes: str, area: Area, access: Access) -> bool:
    """Whether these scopes allow it."""
    given = set(scopes.split())
    return scope(area, access) in given or scope(area, Access.WRITE) in given


async def mint(
    database: Database,
    clock: Clock,
    membership: MembershipRow,
    actor: Actor,
    *,
    name: str,
    scopes: Sequence[str],
    role: Role,
    lifetime_days: int | None = None,
) -> MintedToken:
    """A token that acts for this member, never above the member's own role."""
    _check(membership, name, scopes, role, lifetime_days)
    now_us = clock.now_us()
    secret = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    row = ApiTokenRow(
        token_id=new_id(now_us),
        organisation_id=membership.organisation_id,
        user_id=membership.user_id,
        name=name.strip(),
        scopes=" ".join(sorted(set(scopes))),
        role=role,
        token_hash=secret_hash(secret),
        created_us=now_us,
        expires_us=None if lifetime_days is None else now_us + lifetime_days * DAY_US,
        last_used_us=None,
        revoked_us=None,
    )
    async with database.transaction() as tx:
        live = [one for one in await tx.api_tokens.all(row.organisation_id) if is_live(one, now_us)]
        if len(live) >= MAX_TOKENS:
            raise ConflictError(f"There are {MAX_TOKENS} tokens already; revoke one that is not used.")
        await tx.api_tokens.add(row)
        await activity.record(
            tx,
            now_us,
            row.organisation_id,
            actor,
            "token.created",
            f"API token {row.name} created for {row.scopes}, as {role.value} at most",
            object_kind="token",
            object_id=row.token_id,
        )
    return MintedToken(row, secret)


def _check(
    membership: MembershipRow, name: str, scopes: Sequence[str], role: Role, lifetime_days: int | None
) -> None:
    if not 1 <= len(name.strip()) <= 120:
        raise MalformedError("Give the token a name of 1 to 120 characters.", field="name")
    if not scopes or set(scopes) - set(SCOPES):
        raise MalformedError("Choose at least one of the scopes offered.", field="scopes")
    if role not in RANKS.get(membership.role, frozenset()):
        raise above_ceiling()
    if lifetime_days is not None and not 1 <= lifetime_days <= MAX_LIFETIME_DAYS:
        raise MalformedError(f"A token lives 1 to {MAX_LIFETIME_DAYS:,} days.", field="lifetime_days")


def above_ceiling() -> MalformedError:
    """What is answered to who asks for more than they have."""
    return MalformedError("A token's role is not above your own.", field="role")


def is_live(row: ApiTokenRow, now_us: int) -> bool:
    """Neither revoked nor expired."""
    return row.revoked_us is None and (row.expires_us is None or row.expires_us > now_us)


async def authenticate(database: Database, clock: Clock, authorization: str | None) -> Caller:
    """Who shows this header; raises `UnauthenticatedError`. Records the use, at most once a minute."""
    if authorization is None or not authorization.startswith(_BEARER):
        raise UnauthenticatedError("A bearer token is needed.")
    now_us = clock.now_us()
    async with database.reading() as tx:
        row = await tx.api_tokens.by_hash(secret_hash(authorization.removeprefix(_BEARER)))
        if row is None or not is_live(row, now_us):
            raise UnauthenticatedError("The token is not known, has expired or was revoked.")
        user = await tx.users.get(row.user_id)
        organisation = await tx.organisations.get(row.organisation_id)
        memberships = await tx.users.memberships(row.user_id)
    here = [one for one in memberships if one.organisation_id == row.organisation_id and one.customer_id is None]
    if user is None or organisation is None or not here:
        raise UnauthenticatedError("The member this token acts for has left.")
    if (row.last_used_us or 0) + TOUCH_S * US_PER_S <= now_us:
        async with database.transaction() as tx:
            await tx.api_tokens.touch(row.organisation_id, row.token_id, now_us)
        row = replace(row, last_used_us=now_us)
    return Caller(row, user, here[0], organisation)


async def revoke(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, token_id: str
) -> ApiTokenRow:
    """Refuse this token from now on; again is no error."""
    now_us = clock.now_us()
    async with database.transaction() as tx:
        row = await tx.api_tokens.get(organisation_id, token_id)
        if row is None:
            raise NotFoundError
        if not await tx.api_tokens.revoke(organisation_id, token_id, now_us):
            return row
        await activity.record(
            tx,
            now_us,
            organisation_id,
            actor,
            "token.revoked",
            f"API token {row.name} revoked",
            object_kind="token",
            object_id=token_id,
        )
    return replace(row, revoked_us=now_us)
