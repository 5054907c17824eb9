"""Everything that happened, who did it, from where: append-only and hash-chained for each organisation."""

from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a user with the address they came from, or the service itself."""

    user_id: str
    name: str
    ip: str = ""


SYSTEM: Final = Actor("system", "Hashyard")
"""Scheduled work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityRow:
    """One line. `hash` covers `prev_hash` and every other field."""

    organisation_id: str
    position: int
    at_us: int
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


class ActivityStore(Protocol):
    """Append and read."""

    async def last(self, organisation_id: str) -> ActivityRow | None: ...

    async def append(self, row: ActivityRow) -> None: ...

    async def all(
        self,
        organisation_id: str,
        *,
        customer_id: str | None = None,
        action: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[ActivityRow]:
        """Newest first; `before` is a position, for paging; `action` matches its beginning."""
        ...

    async def actions(self, organisation_id: str, customer_id: str) -> list[str]:
        """Every action that is recorded of this customer, once each."""
        ...

    async def chain(self, organisation_id: str, start: int, limit: int) -> list[ActivityRow]:
        """From position `start` on, oldest first, for verification."""
        ...
