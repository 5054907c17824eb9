"""Organisations: the hosts. Everything else belongs to one."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationRow:
    """A host with its defaults, its redirect controls and its brand.

    `redirect_enabled` is the organisation-wide switch; `approvals_required` is how many people must agree to a
    redirect, 0 meaning automatic. Colours are `#rrggbb`. `slug` is None until the host chose one.
    """

    organisation_id: str
    name: str
    slug: str | None
    currency: str
    timezone: str
    redirect_enabled: bool
    approvals_required: int
    slogan: str
    colour_primary: str
    colour_accent: str
    contact_email: str
    contact_phone: str
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoRow:
    """A host's logo as uploaded and checked; `media_type` is image/png, image/jpeg or image/webp."""

    media_type: str
    sha256: str
    body: bytes


class OrganisationsStore(Protocol):
    """Read and write organisations. `get` answers None for what is not there."""

    async def add(self, row: OrganisationRow) -> None: ...

    async def get(self, organisation_id: str) -> OrganisationRow | None: ...

    async def by_slug(self, slug: str) -> tuple[OrganisationRow, bool] | None:
        """The host with this slug, and whether the slug is its present one (old slugs redirect)."""
        ...

    async def all(self) -> list[OrganisationRow]:
        """Every organisation, for scheduled work."""
        ...

    async def update(self, row: OrganisationRow) -> None:
        """Replace the row; a slug that it gives up stays reserved for it."""
        ...

    async def logo(self, organisation_id: str) -> LogoRow | None: ...

    async def has_logo(self, organisation_id: str) -> bool: ...

    async def set_logo(self, organisation_id: str, logo: LogoRow | None) -> None: ...
