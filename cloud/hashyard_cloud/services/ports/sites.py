"""Sites: where miners stand."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """A site. `timezone` is an IANA name; `energy_price_micro` is per kWh in `currency`.

    `shadow_mode`, `poll_interval_s` and `discovery_interval_s` are what the cloud sets for its agents.
    """

    site_id: str
    organisation_id: str
    name: str
    code: str
    region: str
    timezone: str
    capacity_w: int | None
    currency: str
    energy_price_micro: int | None
    tax_bp: int
    shadow_mode: bool
    poll_interval_s: float
    discovery_interval_s: float
    created_us: int


class SitesStore(Protocol):
    """Read and write sites."""

    async def add(self, row: SiteRow) -> None: ...

    async def get(self, organisation_id: str, site_id: str) -> SiteRow | None: ...

    async def all(self, organisation_id: str) -> list[SiteRow]:
        """By name."""
        ...

    async def update(self, row: SiteRow) -> None: ...
