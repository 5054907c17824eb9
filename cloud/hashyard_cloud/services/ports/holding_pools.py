"""The host's holding pools. What is pinned on site never changes: another pool is another reference."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingPoolRow:
    """A holding pool; `pool_hash` is `hashyard_shared.trust.pool_hash`, the password is sealed."""

    pool_id: str
    organisation_id: str
    reference: str
    url: str
    worker: str
    sealed_password: str
    pool_hash: str
    created_us: int
    created_by: str
    retired_us: int | None


class HoldingPoolsStore(Protocol):
    """Read and write holding pools."""

    async def add(self, row: HoldingPoolRow) -> None: ...

    async def all(self, organisation_id: str) -> list[HoldingPoolRow]:
        """Oldest first, retired ones too."""
        ...

    async def by_reference(self, organisation_id: str, reference: str) -> HoldingPoolRow | None: ...

    async def update(self, row: HoldingPoolRow) -> None: ...
