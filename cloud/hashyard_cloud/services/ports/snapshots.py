"""Sealed snapshots: the way back of redirected units, for a site whose rack host is lost."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSnapshotRow:
    """A snapshot as the agent sealed it (base64). Nobody can read it here."""

    organisation_id: str
    agent_id: str
    snapshot_id: str
    site_id: str
    unit_id: str
    mac: str
    at_us: int
    received_us: int
    sealed: str


class SnapshotsStore(Protocol):
    """Read and write sealed snapshots."""

    async def add(self, row: SealedSnapshotRow, keep: int) -> None:
        """Idempotent; of this unit's only the newest `keep` stay."""
        ...

    async def newest(self, organisation_id: str, site_id: str) -> list[SealedSnapshotRow]:
        """The newest of each unit of a site, by unit."""
        ...
