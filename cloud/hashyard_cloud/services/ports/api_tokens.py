"""API tokens: what programs show instead of a session."""

from dataclasses import dataclass
from typing import Protocol

from hashyard_cloud.services.ports.users import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiTokenRow:
    """A token of a staff member. `token_hash` is the SHA-256 of what was shown once.

    `scopes` are words such as `customers:read`, separated by spaces. `role` is a ceiling: a call needs this role
    and the member's own one to allow it.
    """

    token_id: str
    organisation_id: str
    user_id: str
    name: str
    scopes: str
    role: Role
    token_hash: str
    created_us: int
    expires_us: int | None
    last_used_us: int | None
    revoked_us: int | None


class ApiTokensStore(Protocol):
    """Tokens of an organisation. `by_hash` finds one before its organisation is known."""

    async def add(self, row: ApiTokenRow) -> None: ...

    async def by_hash(self, token_hash: str) -> ApiTokenRow | None: ...

    async def get(self, organisation_id: str, token_id: str) -> ApiTokenRow | None: ...

    async def all(self, organisation_id: str) -> list[ApiTokenRow]:
        """Newest first, revoked and expired ones too."""
        ...

    async def touch(self, organisation_id: str, token_id: str, at_us: int) -> None: ...

    async def revoke(self, organisation_id: str, token_id: str, at_us: int) -> bool:
        """False when it was revoked already."""
        ...
