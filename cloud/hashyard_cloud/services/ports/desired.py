"""The version of what the cloud wants of each site."""

from typing import Protocol


class DesiredStore(Protocol):
    """A number per site that grows whenever something that its agents must know has changed."""

    async def bump(self, organisation_id: str, site_id: str) -> int:
        """Count up; agents that wait for this site are woken after the commit."""
        ...

    async def bump_all(self, organisation_id: str) -> None:
        """Count up for all sites of an organisation, as its redirect switch needs."""
        ...

    async def version(self, organisation_id: str, site_id: str) -> int:
        """0 before the first change."""
        ...

    async def versions(self, sites: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Versions by (organisation_id, site_id)."""
        ...
