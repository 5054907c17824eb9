"""O&M contracts: the sites they are about and the services billed for them, dated like ownership and terms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

from pydantic import Field

from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.inputs import Input, MicroAmount, Name
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.contract_sites import ContractServiceRow, ContractSiteRow
from hashyard_cloud.services.ports.contracts import ContractKind, ContractRow, ContractState
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_shared.clock import Clock
from hashyard_shared.ids import new_id

MAX_SITES: Final = 200
MAX_SERVICES: Final = 50


class ServiceInput(Input):
    """A service with its monthly price; without a site it is for all sites of the contract."""

    name: Name
    monthly: Annotated[MicroAmount, Field(gt=0)]
    site_id: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What an O&M contract is about; past rows too, oldest first."""

    sites: Sequence[ContractSiteRow]
    services: Sequence[ContractServiceRow]

    @property
    def open_sites(self) -> list[ContractSiteRow]:
        """The sites of now."""
        return [row for row in self.sites if row.to_us is None]

    @property
    def open_services(self) -> list[ContractServiceRow]:
        """The services of now."""
        return [row for row in self.services if row.to_us is None]

    @property
    def monthly_micro(self) -> int:
        """What the services of now cost a month."""
        return sum(row.monthly_micro for row in self.open_services)


async def scope(tx: Transaction, row: ContractRow) -> Scope:
    """The contract's sites and services."""
    return Scope(
        await tx.contract_sites.sites(row.organisation_id, row.contract_id),
        await tx.contract_sites.services(row.organisation_id, row.contract_id),
    )


async def save(
    database: Database,
    clock: Clock,
    organisation_id: str,
    actor: Actor,
    contract_id: str,
    site_ids: Sequence[str],
    services: Sequence[ServiceInput],
) -> Scope:
    """The contract's sites and services from now on. What was in force before is closed, never changed."""
    async with database.transaction() as tx:
        row = await tx.contracts.get(organisation_id, contract_id)
        if row is None:
            raise NotFoundError
        if row.kind is not ContractKind.OPERATIONS:
            raise ConflictError("Only an O&M contract is about sites; others are about equipment.")
        if row.state not in {ContractState.DRAFT, ContractState.ACTIVE}:
            raise ConflictError(f"Contract {row.number} is {row.state.value}.")
        await save_in(tx, clock, actor, row, site_ids, services)
        return await scope(tx, row)


async def _check(
    tx: Transaction, organisation_id: str, site_ids: Sequence[str], services: Sequence[ServiceInput]
) -> None:
    known = {site.site_id for site in await tx.sites.all(organisation_id)}
    if not site_ids:
        raise MalformedError("Select at least one site.", field="site_ids")
    if len(site_ids) > MAX_SITES:
        raise MalformedError(f"Select at most {MAX_SITES} sites.", field="site_ids")
    if any(site_id not in known for site_id in site_ids):
        raise MalformedError("Choose from your own sites.", field="site_ids")
    if len(services) > MAX_SERVICES:
        raise MalformedError(f"Name at most {MAX_SERVICES} services.", field="services")
    if any(one.site_id is not None and one.site_id not in site_ids for one in services):
        raise MalformedError("A service is for one of the contract's sites, or for all.", field="services")


async def save_in(
    tx: Transaction,
    clock: Clock,
    actor: Actor,
    row: ContractRow,
    site_ids: Sequence[str],
    services: Sequence[ServiceInput],
) -> None:
    """As `save`, within a transaction that has checked the contract."""
    await _check(tx, row.organisation_id, site_ids, services)
    now_us = clock.now_us()
    await tx.contract_sites.forget(row.organisation_id, row.contract_id)
    before = await scope(tx, row)
    wanted = set(site_ids)
    kept = {one.site_id for one in before.open_sites} & wanted
    same = {(one.name, one.monthly, one.site_id) for one in services}
    gone = [one.contract_site_id for one in before.open_sites if one.site_id not in wanted]
    held = [one for one in before.open_services if (one.name, one.monthly_micro, one.site_id) in same]
    gone += [one.service_id for one in before.open_services if one not in held]
    there = {(one.name, one.monthly_micro, one.site_id) for one in held}
    new = [one for one in dict.fromkeys(services) if (one.name, one.monthly, one.site_id) not in there]
    await tx.contract_sites.end(row.organisation_id, gone, now_us)
    await tx.contract_sites.add(
        [_site(row, site_id, now_us) for site_id in sorted(wanted - kept)],
        [_service(row, one, now_us) for one in new],
    )
    text = f"Contract {row.number}: {len(wanted)} sites, {len(services)} services"
    await activity.record(
        tx,
        now_us,
        row.organisation_id,
        actor,
        "contract.sites",
        text,
        customer_id=row.customer_id,
        object_kind="contract",
        object_id=row.contract_id,
    )


def _site(row: ContractRow, site_id: str, now_us: int) -> ContractSiteRow:
    return ContractSiteRow(
        contract_site_id=new_id(now_us),
        organisation_id=row.organisation_id,
        contract_id=row.contract_id,
        site_id=site_id,
        from_us=now_us,
        to_us=None,
    )


def _service(row: ContractRow, given: ServiceInput, now_us: int) -> ContractServiceRow:
    return ContractServiceRow(
        service_id=new_id(now_us),
        organisation_id=row.organisation_id,
        contract_id=row.contract_id,
        site_id=given.site_id,
        name=given.name,
        monthly_micro=given.monthly,
        from_us=now_us,
        to_us=None,
    )


async def start_in(tx: Transaction, row: ContractRow, from_us: int) -> None:
    """Date what a draft named from the contract's start on; raises `MalformedError` where it named no site."""
    named = await scope(tx, row)
    if not named.open_sites:
        raise MalformedError("Select at least one site.", field="site_ids")
    await tx.contract_sites.forget(row.organisation_id, row.contract_id)
    await tx.contract_sites.add(
        [replace(one, from_us=from_us) for one in named.open_sites],
        [replace(one, from_us=from_us) for one in named.open_services],
    )
