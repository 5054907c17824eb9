"""The table of due work."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One kind of work. `lease_until_us` keeps other processes off while one does it."""

    name: str
    due_us: int
    lease_owner: str
    lease_until_us: int
    last_start_us: int | None
    last_end_us: int | None
    last_error: str
    runs: int


class JobsStore(Protocol):
    """Claim and finish."""

    async def ensure(self, name: str, due_us: int) -> None:
        """Make the row if it is not there."""
        ...

    async def claim(self, name: str, owner: str, now_us: int, lease_until_us: int) -> bool:
        """Take the work if it is due and nobody holds it."""
        ...

    async def renew(self, name: str, owner: str, lease_until_us: int) -> None:
        """Hold on to work that takes long."""
        ...

    async def finish(self, name: str, owner: str, now_us: int, due_us: int, error: str) -> None: ...

    async def hurry(self, name: str, now_us: int) -> None:
        """Make it due now."""
        ...

    async def all(self) -> list[JobRow]: ...
