"""People who log in: users, what they may do in an organisation, their sessions and invitations."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hashyard_cloud.services.ports.organisations import OrganisationRow


class Role(StrEnum):
    """What a member may do. Customer members have `customer_id` set and see that customer only."""

    OWNER = "owner"
    ADMIN = "admin"
    BILLING = "billing"
    TECHNICIAN = "technician"
    VIEWER = "viewer"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """A person. `email` is lower case and unique; `password_hash` is argon2id's own text form."""

    user_id: str
    email: str
    name: str
    password_hash: str
    totp_secret: str | None
    totp_last_step: int
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipRow:
    """A person's role in an organisation; for customer members also whose portal they see."""

    organisation_id: str
    user_id: str
    email: str
    name: str
    role: Role
    customer_id: str | None
    created_us: int
    last_seen_us: int | None
    has_totp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A login. `session_id` is the SHA-256 of the cookie, which is not stored.

    `view_customer_id` is set while a host looks at a customer's portal: read-only.
    """

    session_id: str
    user_id: str
    organisation_id: str
    csrf: str
    created_us: int
    last_seen_us: int
    expires_us: int
    view_customer_id: str | None
    remote: str


@dataclass(frozen=True, slots=True)
class PresentRow:
    """A session with whom it belongs to, where, and in which role."""

    session: SessionRow
    user: UserRow
    organisation: OrganisationRow
    membership: MembershipRow


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteRow:
    """An invitation, bound to an address. `token_hash` is the SHA-256 of the link's secret."""

    invite_id: str
    organisation_id: str
    email: str
    role: Role
    customer_id: str | None
    token_hash: str
    invited_by: str
    created_us: int
    expires_us: int
    accepted_us: int | None
    revoked_us: int | None


@dataclass(frozen=True, slots=True)
class ResetRow:
    """A password reset link, single use."""

    token_hash: str
    user_id: str
    expires_us: int
    used_us: int | None


class UsersStore(Protocol):
    """Users, memberships, sessions, invitations, resets and the counters that limit guessing."""

    async def add(self, row: UserRow) -> None: ...

    async def get(self, user_id: str) -> UserRow | None: ...

    async def by_email(self, email: str) -> UserRow | None: ...

    async def update(self, row: UserRow) -> None: ...

    async def add_membership(
        self, organisation_id: str, user_id: str, role: Role, customer_id: str | None, now_us: int
    ) -> None: ...

    async def memberships(self, user_id: str) -> list[MembershipRow]: ...

    async def members(self, organisation_id: str, customer_id: str | None = None) -> list[MembershipRow]:
        """The staff (`customer_id` None), or one customer's members."""
        ...

    async def set_role(self, organisation_id: str, user_id: str, role: Role) -> None: ...

    async def remove_membership(self, organisation_id: str, user_id: str, customer_id: str | None) -> None:
        """Ends the membership and, in the same step, the person's sessions in this organisation."""
        ...

    async def add_session(self, row: SessionRow) -> None: ...

    async def session(self, session_id: str) -> SessionRow | None: ...

    async def present(self, session_id: str) -> PresentRow | None:
        """The session, its user, its organisation and the membership there, in one read: every request asks."""
        ...

    async def touch_session(self, session_id: str, last_seen_us: int) -> None: ...

    async def set_view(self, session_id: str, customer_id: str | None) -> None: ...

    async def set_organisation(self, session_id: str, organisation_id: str) -> None: ...

    async def end_session(self, session_id: str) -> None: ...

    async def end_sessions(self, user_id: str) -> None: ...

    async def end_customer_sessions(self, organisation_id: str, customer_id: str) -> None: ...

    async def count_attempt(self, key: str, now_us: int, window_us: int) -> int:
        """Count one attempt under this key and answer how many there were in the present window."""
        ...

    async def clear_attempts(self, key: str) -> None: ...

    async def add_invite(self, row: InviteRow) -> None: ...

    async def invite_by_hash(self, token_hash: str) -> InviteRow | None: ...

    async def invite(self, organisation_id: str, invite_id: str) -> InviteRow | None: ...

    async def invites(self, organisation_id: str, customer_id: str | None = None) -> list[InviteRow]: ...

    async def update_invite(self, row: InviteRow) -> None: ...

    async def add_reset(self, row: ResetRow) -> None: ...

    async def take_reset(self, token_hash: str, now_us: int) -> ResetRow | None:
        """The reset if it is unused and not expired, marked used in the same step."""
        ...
