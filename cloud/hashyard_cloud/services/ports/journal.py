"""The cloud's copy of the agents' journals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hashyard_shared.journal import JournalLine


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalHeadRow:
    """How far an agent's journal is known here, and where its chain broke, if it did."""

    organisation_id: str
    agent_id: str
    lines: int
    hash: str
    updated_us: int
    broken_at: int | None
    broken_us: int | None
    published_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRow:
    """The head of a journal as a customer was told it that day: nobody can rewrite what is before it."""

    organisation_id: str
    customer_id: str
    agent_id: str
    day: str
    lines: int
    hash: str
    published_us: int
    notice_id: str | None


class JournalStore(Protocol):
    """Append and read."""

    async def head(self, organisation_id: str, agent_id: str) -> JournalHeadRow | None: ...

    async def heads(self, organisation_id: str) -> list[JournalHeadRow]: ...

    async def put_head(self, row: JournalHeadRow) -> None: ...

    async def append(
        self, organisation_id: str, agent_id: str, lines: Sequence[JournalLine], received_us: int
    ) -> None: ...

    async def line(self, organisation_id: str, agent_id: str, index: int) -> JournalLine | None: ...

    async def add_publication(self, row: PublicationRow) -> None: ...

    async def publications(self, organisation_id: str, customer_id: str | None = None) -> list[PublicationRow]:
        """Newest first."""
        ...

    async def lines(self, organisation_id: str, agent_id: str, start: int, limit: int) -> list[JournalLine]:
        """From index `start` on."""
        ...
