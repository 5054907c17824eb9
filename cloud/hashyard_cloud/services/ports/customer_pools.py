"""A customer's normal pools in the portal's words: never with a password, which is recorded on site only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerPoolRow:
    """One slot. In `worker`, `{unit}` stands for the unit's label."""

    organisation_id: str
    customer_id: str
    position: int
    url: str
    worker: str
    set_us: int
    set_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerPoolSiteRow:
    """What a site's agent reported: when a technician recorded the pools there, and when they were assigned."""

    organisation_id: str
    customer_id: str
    site_id: str
    recorded_us: int | None
    assigned_us: int | None
    actor: str


class CustomerPoolsStore(Protocol):
    """Read and write customers' normal pools."""

    async def replace(self, organisation_id: str, customer_id: str, rows: Sequence[CustomerPoolRow]) -> None:
        """The whole list anew."""
        ...

    async def all(self, organisation_id: str, customer_id: str) -> list[CustomerPoolRow]:
        """By position."""
        ...

    async def put_site(self, row: CustomerPoolSiteRow) -> None:
        """Insert or replace."""
        ...

    async def sites(self, organisation_id: str, customer_id: str) -> list[CustomerPoolSiteRow]: ...
