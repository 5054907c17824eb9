"""A customer's normal pools as the portal words them, and how far each site has them.

The cloud never writes them to a miner and never holds a password: a technician records them on site, with the
password, and assigns them there; the site reports that it did. During a redirect they are kept for the restore.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.customer_pools import CustomerPoolRow, CustomerPoolSiteRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.sites import SiteRow
from hashyard_shared.events import SiteControl
from hashyard_shared.trust import MAX_POOL_URL_CHARS, MAX_WORKER_CHARS

MAX_POOLS: Final = 8
RECORDED: Final = "pools-recorded"
ASSIGNED: Final = "pools-assigned"
FORGOTTEN: Final = "pools-forgotten"
CONTROLS: Final = frozenset({RECORDED, ASSIGNED, FORGOTTEN})
_URL: Final = re.compile(r"(stratum\+(tcp|ssl|tls)|stratum2\+tcp)://[^\s/@]+:\d{1,5}(/\S*)?")


class OnSite(StrEnum):
    """How far a site has the pools that are wanted now."""

    NOT_RECORDED = "not-recorded"
    OUTDATED = "outdated"
    RECORDED = "recorded"
    ASSIGNED = "assigned"

    @property
    def label(self) -> str:
        """As people read it."""
        return _LABELS[self]


_LABELS: Final = {
    OnSite.NOT_RECORDED: "Not recorded on site",
    OnSite.OUTDATED: "Recorded before the last change",
    OnSite.RECORDED: "Recorded, kept for restores",
    OnSite.ASSIGNED: "Recorded and assigned",
}


@dataclass(frozen=True, slots=True)
class SitePools:
    """One site where the customer has machines."""

    site: SiteRow
    state: OnSite
    at_us: int | None
    actor: str


@dataclass(frozen=True, slots=True)
class CustomerPools:
    """What is wanted, and how far each site is."""

    pools: Sequence[CustomerPoolRow]
    sites: Sequence[SitePools]


async def set_pools(
    tx: Transaction,
    now_us: int,
    organisation_id: str,
    actor: Actor,
    customer_id: str,
    wanted: Sequence[tuple[str, str]],
) -> list[CustomerPoolRow]:
    """Say which pools (URL, worker) the customer's machines mine to normally; the whole list, in order."""
    if await tx.customers.get(organisation_id, customer_id) is None:
        raise NotFoundError
    if not 1 <= len(wanted) <= MAX_POOLS:
        raise MalformedError(f"Give 1 to {MAX_POOLS} pools.", field="pools")
    rows = [
        CustomerPoolRow(
            organisation_id=organisation_id,
            customer_id=customer_id,
            position=position,
            url=_checked_url(url),
            worker=_checked_worker(worker),
            set_us=now_us,
            set_by=actor.name,
        )
        for position, (url, worker) in enumerate(wanted)
    ]
    await tx.customer_pools.replace(organisation_id, customer_id, rows)
    text = "Normal pools set: " + ", ".join(f"{row.url} as {row.worker}" for row in rows)
    await activity.record(tx, now_us, organisation_id, actor, "customer-pools.set", text, customer_id=customer_id)
    return rows


async def view(tx: Transaction, organisation_id: str, customer_id: str) -> CustomerPools:
    """The pools and the state of each site where the customer has machines now."""
    pools = await tx.customer_pools.all(organisation_id, customer_id)
    told = {row.site_id: row for row in await tx.customer_pools.sites(organisation_id, customer_id)}
    bound = await tx.equipment.bound(organisation_id, customer_id=customer_id)
    site_ids = {one.unit.site_id for one in bound}
    sites = [site for site in await tx.sites.all(organisation_id) if site.site_id in site_ids]
    set_us = max((row.set_us for row in pools), default=0)
    return CustomerPools(pools, [_site_pools(site, told.get(site.site_id), set_us) for site in sites])


def _site_pools(site: SiteRow, told: CustomerPoolSiteRow | None, set_us: int) -> SitePools:
    if told is None or told.recorded_us is None:
        return SitePools(site, OnSite.NOT_RECORDED, None, "")
    if told.recorded_us < set_us:
        return SitePools(site, OnSite.OUTDATED, told.recorded_us, told.actor)
    if told.assigned_us is not None and told.assigned_us >= told.recorded_us:
        return SitePools(site, OnSite.ASSIGNED, told.assigned_us, told.actor)
    return SitePools(site, OnSite.RECORDED, told.recorded_us, told.actor)


async def site_told(tx: Transaction, organisation_id: str, site_id: str, event: SiteControl) -> None:
    """A site reports that it recorded, assigned or forgot a customer's pools; an unknown customer is ignored."""
    customer = await tx.customers.get(organisation_id, event.value)
    if customer is None:
        return
    known = {row.site_id: row for row in await tx.customer_pools.sites(organisation_id, customer.customer_id)}
    row = known.get(site_id) or CustomerPoolSiteRow(
        organisation_id=organisation_id,
        customer_id=customer.customer_id,
        site_id=site_id,
        recorded_us=None,
        assigned_us=None,
        actor="",
    )
    if event.control == FORGOTTEN:
        changed = replace(row, recorded_us=None, assigned_us=None, actor=event.actor)
    elif event.control == RECORDED:
        changed = replace(row, recorded_us=event.at_us, actor=event.actor)
    else:
        changed = replace(row, assigned_us=event.at_us, actor=event.actor)
    await tx.customer_pools.put_site(changed)


def _checked_url(text: str) -> str:
    url = text.strip()
    if not _URL.fullmatch(url) or len(url) > MAX_POOL_URL_CHARS:
        raise MalformedError("Write a pool as stratum+tcp://host:port, without a password.", field="url")
    return url


def _checked_worker(text: str) -> str:
    worker = text.strip()
    if not 1 <= len(worker) <= MAX_WORKER_CHARS or any(char.isspace() for char in worker):
        raise MalformedError("Give a worker such as account.{unit}.", field="worker")
    return worker
