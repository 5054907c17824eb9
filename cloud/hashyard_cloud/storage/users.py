"""Users, memberships, sessions and invitations in the relational store."""

from typing import Any, Final

from sqlalchemy import BindParameter, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.errors import ConflictError
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_cloud.services.ports.users import (
    InviteRow,
    MembershipRow,
    PresentRow,
    ResetRow,
    Role,
    SessionRow,
    UserRow,
)
from hashyard_cloud.storage.rows import values
from hashyard_cloud.storage.tables.organisations import ORGANISATIONS
from hashyard_cloud.storage.tables.users import ATTEMPTS, INVITES, MEMBERSHIPS, RESETS, SESSIONS, USERS

_LAST_SEEN = (
    select(func.max(SESSIONS.c.last_seen_us))
    .where(SESSIONS.c.user_id == MEMBERSHIPS.c.user_id)
    .where(SESSIONS.c.organisation_id == MEMBERSHIPS.c.organisation_id)
    .scalar_subquery()
)
_MEMBERS = select(
    MEMBERSHIPS.c.organisation_id,
    MEMBERSHIPS.c.user_id,
    USERS.c.email,
    USERS.c.name,
    MEMBERSHIPS.c.role,
    MEMBERSHIPS.c.customer_id,
    MEMBERSHIPS.c.created_us,
    _LAST_SEEN.label("last_seen_us"),
    USERS.c.totp_secret.is_not(None).label("has_totp"),
).select_from(MEMBERSHIPS.join(USERS, USERS.c.user_id == MEMBERSHIPS.c.user_id))


_SESSION_ID: Final[BindParameter[str]] = bindparam("session_id")
_PRESENT = (
    select(
        *SESSIONS.c,
        *USERS.c,
        *ORGANISATIONS.c,
        MEMBERSHIPS.c.role,
        MEMBERSHIPS.c.customer_id,
        MEMBERSHIPS.c.created_us,
    )
    .select_from(
        SESSIONS.join(USERS, USERS.c.user_id == SESSIONS.c.user_id)
        .join(ORGANISATIONS, ORGANISATIONS.c.organisation_id == SESSIONS.c.organisation_id)
        .join(
            MEMBERSHIPS,
            (MEMBERSHIPS.c.user_id == SESSIONS.c.user_id)
            & (MEMBERSHIPS.c.organisation_id == SESSIONS.c.organisation_id),
        )
    )
    .where(SESSIONS.c.session_id == _SESSION_ID)
    .order_by(MEMBERSHIPS.c.created_us)
    .limit(1)
)
_SESSION_NAMES: Final = [column.name for column in SESSIONS.c]
_USER_NAMES: Final = [column.name for column in USERS.c]
_ORGANISATION_NAMES: Final = [column.name for column in ORGANISATIONS.c]


def _fields(record: Row[tuple[Any, ...]]) -> dict[str, Any]:
    return dict(record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so


def _member(record: Row[tuple[Any, ...]]) -> MembershipRow:
    found = _fields(record)
    found["role"] = Role(found["role"])
    found["has_totp"] = bool(found["has_totp"])
    return MembershipRow(**found)


def _invite(record: Row[tuple[Any, ...]]) -> InviteRow:
    found = _fields(record)
    found["role"] = Role(found["role"])
    return InviteRow(**found)


class UsersStore:
    """SQL for people; implements `services.ports.users.UsersStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: UserRow) -> None:
        try:
            await self._connection.execute(insert(USERS).values(values(row)))
        except IntegrityError as error:
            raise ConflictError("There is already an account for this address.", field="email") from error

    async def get(self, user_id: str) -> UserRow | None:
        record = (await self._connection.execute(select(USERS).where(USERS.c.user_id == user_id))).one_or_none()
        return UserRow(**_fields(record)) if record else None

    async def by_email(self, email: str) -> UserRow | None:
        record = (await self._connection.execute(select(USERS).where(USERS.c.email == email))).one_or_none()
        return UserRow(**_fields(record)) if record else None

    async def update(self, row: UserRow) -> None:
        await self._connection.execute(update(USERS).where(USERS.c.user_id == row.user_id).values(values(row)))

    async def add_membership(
        self, organisation_id: str, user_id: str, role: Role, customer_id: str | None, now_us: int
    ) -> None:
        row = {
            "organisation_id": organisation_id,
            "user_id": user_id,
            "role": role.value,
            "customer_id": customer_id,
            "created_us": now_us,
        }
        try:
            await self._connection.execute(insert(MEMBERSHIPS).values(row))
        except IntegrityError as error:
            raise ConflictError("This person is a member already.", field="email") from error

    async def memberships(self, user_id: str) -> list[MembershipRow]:
        query = _MEMBERS.where(MEMBERSHIPS.c.user_id == user_id).order_by(MEMBERSHIPS.c.created_us)
        return [_member(record) for record in (await self._connection.execute(query)).all()]

    async def members(self, organisation_id: str, customer_id: str | None = None) -> list[MembershipRow]:
        query = _MEMBERS.where(
            MEMBERSHIPS.c.organisation_id == organisation_id,
            MEMBERSHIPS.c.customer_id.is_not_distinct_from(customer_id),
        ).order_by(USERS.c.name)
        return [_member(record) for record in (await self._connection.execute(query)).all()]

    async def set_role(self, organisation_id: str, user_id: str, role: Role) -> None:
        query = update(MEMBERSHIPS).where(
            MEMBERSHIPS.c.organisation_id == organisation_id,
            MEMBERSHIPS.c.user_id == user_id,
            MEMBERSHIPS.c.customer_id.is_(None),
        )
        await self._connection.execute(query.values(role=role.value))

    async def remove_membership(self, organisation_id: str, user_id: str, customer_id: str | None) -> None:
        await self._connection.execute(
            delete(MEMBERSHIPS).where(
                MEMBERSHIPS.c.organisation_id == organisation_id,
                MEMBERSHIPS.c.user_id == user_id,
                MEMBERSHIPS.c.customer_id.is_not_distinct_from(customer_id),
            )
        )
        await self._connection.execute(
            delete(SESSIONS).where(SESSIONS.c.user_id == user_id, SESSIONS.c.organisation_id == organisation_id)
        )

    async def add_session(self, row: SessionRow) -> None:
        await self._connection.execute(insert(SESSIONS).values(values(row)))

    async def session(self, session_id: str) -> SessionRow | None:
        query = select(SESSIONS).where(SESSIONS.c.session_id == session_id)
        record = (await self._connection.execute(query)).one_or_none()
        return SessionRow(**_fields(record)) if record else None

    async def present(self, session_id: str) -> PresentRow | None:
        record = (await self._connection.execute(_PRESENT, {"session_id": session_id})).first()
        if record is None:
            return None
        after_session = len(_SESSION_NAMES)
        after_user = after_session + len(_USER_NAMES)
        session = SessionRow(**dict(zip(_SESSION_NAMES, record[:after_session], strict=True)))
        user = UserRow(**dict(zip(_USER_NAMES, record[after_session:after_user], strict=True)))
        organisation = OrganisationRow(**dict(zip(_ORGANISATION_NAMES, record[after_user:-3], strict=True)))
        role, customer_id, created_us = record[-3:]
        membership = MembershipRow(
            organisation_id=session.organisation_id,
            user_id=user.user_id,
            email=user.email,
            name=user.name,
            role=Role(role),
            customer_id=customer_id,
            created_us=created_us,
            last_seen_us=session.last_seen_us,
            has_totp=user.totp_secret is not None,
        )
        return PresentRow(session, user, organisation, membership)

    async def touch_session(self, session_id: str, last_seen_us: int) -> None:
        query = update(SESSIONS).where(SESSIONS.c.session_id == session_id)
        await self._connection.execute(query.values(last_seen_us=last_seen_us))

    async def set_view(self, session_id: str, customer_id: str | None) -> None:
        query = update(SESSIONS).where(SESSIONS.c.session_id == session_id)
        await self._connection.execute(query.values(view_customer_id=customer_id))

    async def set_organisation(self, session_id: str, organisation_id: str) -> None:
        query = update(SESSIONS).where(SESSIONS.c.session_id == session_id)
        await self._connection.execute(query.values(organisation_id=organisation_id, view_customer_id=None))

    async def end_session(self, session_id: str) -> None:
        await self._connection.execute(delete(SESSIONS).where(SESSIONS.c.session_id == session_id))

    async def end_sessions(self, user_id: str) -> None:
        await self._connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user_id))

    async def end_customer_sessions(self, organisation_id: str, customer_id: str) -> None:
        members = select(MEMBERSHIPS.c.user_id).where(
            MEMBERSHIPS.c.organisation_id == organisation_id, MEMBERSHIPS.c.customer_id == customer_id
        )
        await self._connection.execute(
            delete(SESSIONS).where(SESSIONS.c.organisation_id == organisation_id, SESSIONS.c.user_id.in_(members))
        )

    async def count_attempt(self, key: str, now_us: int, window_us: int) -> int:
        record = (await self._connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.key == key))).one_or_none()
        if record is None:
            await self._connection.execute(insert(ATTEMPTS).values(key=key, window_us=now_us, attempts=1))
            return 1
        fresh = record.window_us + window_us <= now_us
        count = 1 if fresh else int(record.attempts) + 1
        window = now_us if fresh else record.window_us
        query = update(ATTEMPTS).where(ATTEMPTS.c.key == key)
        await self._connection.execute(query.values(window_us=window, attempts=count))
        return count

    async def clear_attempts(self, key: str) -> None:
        await self._connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.key == key))

    async def add_invite(self, row: InviteRow) -> None:
        await self._connection.execute(insert(INVITES).values(values(row)))

    async def invite_by_hash(self, token_hash: str) -> InviteRow | None:
        query = select(INVITES).where(INVITES.c.token_hash == token_hash)
        record = (await self._connection.execute(query)).one_or_none()
        return _invite(record) if record else None

    async def invite(self, organisation_id: str, invite_id: str) -> InviteRow | None:
        query = select(INVITES).where(
            INVITES.c.organisation_id == organisation_id, INVITES.c.invite_id == invite_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return _invite(record) if record else None

    async def invites(self, organisation_id: str, customer_id: str | None = None) -> list[InviteRow]:
        query = (
            select(INVITES)
            .where(
                INVITES.c.organisation_id == organisation_id,
                INVITES.c.customer_id.is_not_distinct_from(customer_id),
            )
            .order_by(INVITES.c.created_us.desc())
        )
        return [_invite(record) for record in (await self._connection.execute(query)).all()]

    async def update_invite(self, row: InviteRow) -> None:
        query = update(INVITES).where(INVITES.c.invite_id == row.invite_id)
        await self._connection.execute(query.values(values(row)))

    async def add_reset(self, row: ResetRow) -> None:
        await self._connection.execute(insert(RESETS).values(values(row)))

    async def take_reset(self, token_hash: str, now_us: int) -> ResetRow | None:
        query = update(RESETS).where(
            RESETS.c.token_hash == token_hash, RESETS.c.used_us.is_(None), RESETS.c.expires_us > now_us
        )
        taken = await self._connection.execute(query.values(used_us=now_us).returning(*RESETS.c))
        record = taken.one_or_none()
        return ResetRow(**_fields(record)) if record else None
