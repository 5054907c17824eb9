"""Sites: where miners stand, and what the cloud asks of the agents there."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.inputs import (
    BLANK_NONE,
    BLANK_ZERO,
    Currency,
    Input,
    MicroAmount,
    Name,
    ShortText,
    Timezone,
)
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.sites import SiteRow
from hashyard_shared.clock import Clock
from hashyard_shared.ids import new_id

W_PER_KW = 1_000
BP_PER_PERCENT = 100
DEFAULT_POLL_INTERVAL_S = 60.0
DEFAULT_DISCOVERY_INTERVAL_S = 900.0


class SiteInput(Input):
    """A site as people describe it: capacity in kW, energy price per kWh, taxes in per cent."""

    name: Name
    code: Annotated[ShortText, Field(max_length=8)] = ""
    region: ShortText = ""
    timezone: Timezone = "UTC"
    capacity_kw: Annotated[Annotated[float, Field(ge=0, le=10_000_000)] | None, BLANK_NONE] = None
    currency: Currency = "USD"
    energy_price: MicroAmount = 0
    tax_percent: Annotated[float, Field(ge=0, le=100), BLANK_ZERO] = 0
    poll_interval_s: Annotated[float, Field(ge=1, le=3_600)] = DEFAULT_POLL_INTERVAL_S


async def get(tx: Transaction, organisation_id: str, site_id: str) -> SiteRow:
    """The site; raises `NotFoundError`."""
    row = await tx.sites.get(organisation_id, site_id)
    if row is None:
        raise NotFoundError
    return row


async def add(database: Database, clock: Clock, organisation_id: str, actor: Actor, given: SiteInput) -> SiteRow:
    """A new site; raises `ConflictError` where the name is taken."""
    now_us = clock.now_us()
    row = SiteRow(
        site_id=new_id(now_us),
        organisation_id=organisation_id,
        shadow_mode=False,
        discovery_interval_s=DEFAULT_DISCOVERY_INTERVAL_S,
        created_us=now_us,
        **_described(given),
    )
    async with database.transaction() as tx:
        await tx.sites.add(row)
        await tx.desired.bump(organisation_id, row.site_id)
        await activity.record(
            tx,
            clock.now_us(),
            organisation_id,
            actor,
            "site.added",
            f"Site {row.name} added",
            object_kind="site",
            object_id=row.site_id,
        )
    return row


async def edit(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, site_id: str, given: SiteInput
) -> SiteRow:
    """Change what describes the site; its agents learn of the new poll interval."""
    async with database.transaction() as tx:
        row = replace(await get(tx, organisation_id, site_id), **_described(given))
        await tx.sites.update(row)
        await tx.desired.bump(organisation_id, site_id)
        await activity.record(
            tx,
            clock.now_us(),
            organisation_id,
            actor,
            "site.edited",
            f"Site {row.name} changed",
            object_kind="site",
            object_id=site_id,
        )
    return row


def _described(given: SiteInput) -> dict[str, Any]:
    return {
        "name": given.name,
        "code": given.code or "".join(word[0] for word in given.name.split())[:4].upper(),
        "region": given.region,
        "timezone": given.timezone,
        "capacity_w": None if given.capacity_kw is None else round(given.capacity_kw * W_PER_KW),
        "currency": given.currency,
        "energy_price_micro": given.energy_price,
        "tax_bp": round(given.tax_percent * BP_PER_PERCENT),
        "poll_interval_s": given.poll_interval_s,
    }
