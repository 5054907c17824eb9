"""Requests that carried an idempotency key, and what was answered."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key counts for one actor on one route of one organisation."""

    organisation_id: str
    actor_id: str
    route: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRow:
    """`status` is None until the request is answered; `answer` is None where it must not be kept."""

    key: IdempotencyKey
    body_hash: str
    status: int | None
    answer: str | None
    created_us: int


class IdempotencyStore(Protocol):
    """Reserve, complete and forget."""

    async def get(self, key: IdempotencyKey) -> IdempotencyRow | None: ...

    async def add(self, row: IdempotencyRow) -> None: ...

    async def complete(self, key: IdempotencyKey, status: int, answer: str | None) -> None: ...

    async def drop(self, key: IdempotencyKey) -> None: ...

    async def drop_before(self, before_us: int) -> None:
        """Forget what is older, of every organisation."""
        ...
