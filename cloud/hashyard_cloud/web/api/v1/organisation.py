"""The caller's organisation, its staff, its activity and its tokens."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from hashyard_cloud.services import activity, api_tokens, customers
from hashyard_cloud.services.api_tokens import SCOPES, Area
from hashyard_cloud.services.ports.api_tokens import ApiTokenRow
from hashyard_cloud.services.ports.users import MembershipRow, Role
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import Answer, Body, Id, Line, Name, Page, PageQuery, instant
from hashyard_cloud.web.pages import MANAGERS, STAFF

Scope = Annotated[str, StringConstraints(pattern=f"^({'|'.join(SCOPES)})$")]


class Organisation(Answer):
    """A host."""

    organisation_id: str
    name: str
    slug: str | None
    currency: str
    timezone: str
    redirect_enabled: bool
    approvals_required: int
    created_at: str


class Member(Answer):
    """Somebody who may sign in: staff, or a customer's member where `customer_id` is set."""

    user_id: str
    email: str
    name: str
    role: Role
    customer_id: str | None
    created_at: str
    last_seen_at: str | None
    has_totp: bool


class ActivityLine(Answer):
    """One line of the log. `hash` covers `prev_hash` and every other field."""

    position: int
    at: str
    actor_id: str
    actor_name: str
    ip: str
    action: str
    customer_id: str | None
    object_kind: str
    object_id: str
    text: str
    prev_hash: str
    hash: str


class ActivityQuery(PageQuery):
    """Which lines; `action` matches its beginning."""

    customer_id: Id | None = None
    action: Line | None = None


class ActivityCheck(Answer):
    """Whether the log's chain is whole, and where it first is not."""

    whole: bool
    broken_at: int | None


class Token(Answer):
    """An API token, without its secret."""

    token_id: str
    name: str
    scopes: list[str]
    role: Role
    user_id: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class NewToken(Answer):
    """A token with its secret, which is told only now."""

    token: Token
    secret: str


class TokenBody(Body):
    """A token for the caller: what it may do, and as what role at most. Without a lifetime it does not expire."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    role: Role
    lifetime_days: Annotated[int, Field(ge=1, le=api_tokens.MAX_LIFETIME_DAYS)] | None = None


def _member_key(row: MembershipRow) -> tuple[str, str]:
    return row.name, row.user_id


def _token(row: ApiTokenRow) -> Token:
    return Token.of(row, scopes=row.scopes.split())


async def get_organisation(call: Call) -> Organisation:
    """The caller's organisation."""
    return Organisation.of(call.caller.organisation)


async def list_staff(call: Call, query: PageQuery) -> Page[Member]:
    """The organisation's staff, by name."""
    async with call.database.reading() as tx:
        rows = await tx.users.members(call.org)
    shown, following = paging.page(rows, _member_key, query)
    return Page[Member](items=[Member.of(row) for row in shown], next_cursor=following)


async def list_customer_members(call: Call, query: PageQuery) -> Page[Member]:
    """A customer's members, by name."""
    async with call.database.reading() as tx:
        customer = await customers.get(tx, call.org, call.ids["customer_id"])
        rows = await tx.users.members(call.org, customer.customer_id)
    shown, following = paging.page(rows, _member_key, query)
    return Page[Member](items=[Member.of(row) for row in shown], next_cursor=following)


async def list_activity(call: Call, query: ActivityQuery) -> Page[ActivityLine]:
    """Everything that happened, newest first."""
    before = None if query.cursor is None else int(paging.decode(query.cursor, [int])[0])
    async with call.database.reading() as tx:
        rows = await tx.activity.all(
            call.org, customer_id=query.customer_id, action=query.action, before=before, limit=query.limit + 1
        )
    shown = rows[: query.limit]
    following = paging.encode((shown[-1].position,)) if len(rows) > len(shown) else None
    return Page[ActivityLine](
        items=[ActivityLine.of(row, at=instant(row.at_us)) for row in shown], next_cursor=following
    )


async def check_activity(call: Call) -> ActivityCheck:
    """Verify the log's hash chain from its first line to its last."""
    async with call.database.reading() as tx:
        broken = await activity.first_break(tx, call.org)
    return ActivityCheck(whole=broken is None, broken_at=broken)


async def list_tokens(call: Call, query: PageQuery) -> Page[Token]:
    """All API tokens, newest first."""
    async with call.database.reading() as tx:
        rows = await tx.api_tokens.all(call.org)
    shown, following = paging.page(rows, lambda row: (row.created_us, row.token_id), query, newest_first=True)
    return Page[Token](items=[_token(row) for row in shown], next_cursor=following)


async def create_token(call: Call, body: TokenBody) -> NewToken:
    """A new API token for the caller.

    Its scopes and role are not above those of the token that asks.
    """
    for scope in body.scopes:
        area, _, access = scope.partition(":")
        call.caller.require(Area(area), api_tokens.Access(access), frozenset(Role))
    if body.role not in api_tokens.RANKS[call.caller.token.role]:
        raise api_tokens.above_ceiling()
    minted = await api_tokens.mint(
        call.database,
        call.clock,
        call.caller.membership,
        call.actor,
        name=body.name,
        scopes=body.scopes,
        role=body.role,
        lifetime_days=body.lifetime_days,
    )
    return NewToken(token=_token(minted.row), secret=minted.secret)


async def revoke_token(call: Call) -> Token:
    """Refuse a token from now on."""
    row = await api_tokens.revoke(call.database, call.clock, call.org, call.actor, call.ids["token_id"])
    return _token(row)


_ORGANISATION: Final = Feature(Area.ORGANISATION)
_STAFF: Final = Feature(Area.STAFF)
_ACTIVITY: Final = Feature(Area.ACTIVITY)
_TOKENS: Final = Feature(Area.TOKENS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _ORGANISATION.read("/organisation", get_organisation, STAFF),
    _STAFF.read("/staff", list_staff, MANAGERS),
    _STAFF.read("/customers/{customer_id}/members", list_customer_members, STAFF),
    _ACTIVITY.read("/activity", list_activity, STAFF),
    _ACTIVITY.read("/activity/check", check_activity, MANAGERS),
    _TOKENS.read("/tokens", list_tokens, MANAGERS),
    _TOKENS.add("/tokens", create_token, MANAGERS, secret=True),
    _TOKENS.delete("/tokens/{token_id}", revoke_token, MANAGERS),
)
