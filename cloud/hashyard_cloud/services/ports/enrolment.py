"""One-time enrolment codes."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRow:
    """A code as stored: its hash, what it is bound to, and what became of it."""

    code_hash: str
    organisation_id: str
    site_id: str
    created_at_us: int
    created_by: str
    expires_at_us: int
    used_at_us: int | None
    used_by_agent_id: str | None


class EnrolmentStore(Protocol):
    """Codes; `by_hash` and `use` find one before its organisation is known."""

    async def add(self, row: CodeRow) -> None: ...

    async def by_hash(self, code_hash: str) -> CodeRow | None: ...

    async def use(self, code_hash: str, at_us: int, agent_id: str) -> bool:
        """Mark as used; False when another was first."""
        ...

    async def open_codes(self, organisation_id: str, site_id: str, now_us: int) -> list[CodeRow]:
        """Codes of a site that can still be used."""
        ...
