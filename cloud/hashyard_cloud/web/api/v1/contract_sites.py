"""O&M contracts: the sites they are about and the services billed for them."""

from typing import Annotated, Final

from pydantic import Field

from hashyard_cloud.services import contract_sites, contracts
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.contract_sites import MAX_SERVICES, MAX_SITES, Scope, ServiceInput
from hashyard_cloud.services.inputs import read
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import Amount, Answer, Body, Id, Name
from hashyard_cloud.web.pages import MANAGERS, STAFF


class ContractSite(Answer):
    """A site under the contract, `to_at` null while it is."""

    site_id: str
    from_at: str
    to_at: str | None


class ContractService(Answer):
    """A service billed monthly; without a site it is for all of them."""

    service_id: str
    site_id: str | None
    name: str
    monthly: str
    from_at: str
    to_at: str | None


class ContractScope(Answer):
    """What an O&M contract is about, past rows too, oldest first."""

    sites: list[ContractSite]
    services: list[ContractService]


class ServiceBody(Body):
    """A service and its price a month, more than zero."""

    name: Name
    monthly: Amount
    site_id: Id | None = None


class ScopeBody(Body):
    """All sites and services from now on; what is left out is closed."""

    site_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_SITES)]
    services: Annotated[list[ServiceBody], Field(max_length=MAX_SERVICES)] = Field(default_factory=list)


def _told(found: Scope) -> ContractScope:
    return ContractScope(
        sites=[ContractSite.of(row) for row in found.sites],
        services=[ContractService.of(row) for row in found.services],
    )


async def get_contract_sites(call: Call) -> ContractScope:
    """Sites and services of a contract; empty for contracts about equipment."""
    async with call.database.reading() as tx:
        row = await contracts.get(tx, call.org, call.ids["contract_id"])
        return _told(await contract_sites.scope(tx, row))


async def put_contract_sites(call: Call, body: ScopeBody) -> ContractScope:
    """Set sites and services from now on; what held before stays on record."""
    services = [read(ServiceInput, one.model_dump()) for one in body.services]
    found = await contract_sites.save(
        call.database, call.clock, call.org, call.actor, call.ids["contract_id"], body.site_ids, services
    )
    return _told(found)


_CONTRACTS: Final = Feature(Area.CONTRACTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _CONTRACTS.read("/contracts/{contract_id}/sites", get_contract_sites, STAFF),
    _CONTRACTS.put("/contracts/{contract_id}/sites", put_contract_sites, MANAGERS),
)
