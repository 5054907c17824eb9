"""A host's own settings: name, slug, brand, logo."""

import hashlib
from dataclasses import replace
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

from hashyard_cloud.domain.brand import is_colour
from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.images import check_logo
from hashyard_cloud.services.inputs import Currency, Input, Name, OptionalEmail, ShortText, Slogan, Timezone
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.organisations import LogoRow, OrganisationRow
from hashyard_shared.clock import Clock

RESERVED_SLUGS: Final = frozenset({"admin", "api", "auth", "hashyard", "host", "login", "portal", "static", "www"})


def _colour(text: str) -> str:
    colour = text.strip().lower()
    if not is_colour(colour):
        raise ValueError("Write the colour as #1d5c4d.")
    return colour


def _slug(text: str) -> str:
    if text in RESERVED_SLUGS:
        raise ValueError("This slug is reserved; choose another.")
    return text


Colour = Annotated[str, AfterValidator(_colour)]
Slug = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=40, pattern=r"^$|^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$"),
    AfterValidator(_slug),
]


class BrandInput(Input):
    """What customers see of the host. The slug is in the address of the sign-in page."""

    name: Name
    slug: Slug = ""
    slogan: Slogan = ""
    colour_primary: Colour
    colour_accent: Colour
    contact_email: OptionalEmail = ""
    contact_phone: ShortText = ""
    currency: Currency = "USD"
    timezone: Timezone = "UTC"


async def edit(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, given: BrandInput
) -> OrganisationRow:
    """Change the settings; raises `ConflictError` for a slug that another host has or had."""
    async with database.transaction() as tx:
        before = await tx.organisations.get(organisation_id)
        if before is None:
            raise NotFoundError
        row = replace(before, **{**given.model_dump(), "slug": given.slug or None})
        await tx.organisations.update(row)
        changed = [name for name in BrandInput.model_fields if getattr(before, name) != getattr(row, name)]
        if changed:
            text = f"Settings changed: {', '.join(name.replace('_', ' ') for name in changed)}"
            await activity.record(tx, clock.now_us(), organisation_id, actor, "organisation.edited", text)
    return row


async def set_logo(database: Database, clock: Clock, organisation_id: str, actor: Actor, body: bytes) -> LogoRow:
    """Keep a checked logo."""
    measured = check_logo(body)
    logo = LogoRow(media_type=measured.media_type, sha256=hashlib.sha256(body).hexdigest(), body=body)
    async with database.transaction() as tx:
        await tx.organisations.set_logo(organisation_id, logo)
        text = f"Logo uploaded, {measured.width} x {measured.height}"
        await activity.record(tx, clock.now_us(), organisation_id, actor, "organisation.logo", text)
    return logo


async def remove_logo(database: Database, clock: Clock, organisation_id: str, actor: Actor) -> None:
    """Show the name alone again."""
    async with database.transaction() as tx:
        await tx.organisations.set_logo(organisation_id, None)
        await activity.record(tx, clock.now_us(), organisation_id, actor, "organisation.logo", "Logo removed")
