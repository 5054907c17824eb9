"""Leases: who owns what only one process may do."""

from typing import Protocol


class LeasesStore(Protocol):
    """Named leases with an end."""

    async def take(self, name: str, owner: str, now_us: int, ttl_us: int) -> bool:
        """Take or renew; False while another owner's lease runs."""
        ...

    async def release(self, name: str, owner: str) -> None:
        """Give it back early."""
        ...

    async def holder(self, name: str, now_us: int) -> str | None:
        """Whose it is now."""
        ...
