"""What O&M contracts are about: sites instead of equipment, and the services billed for them. Both are dated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSiteRow:
    """A site under a contract from `from_us` to `to_us`, None while it is."""

    contract_site_id: str
    organisation_id: str
    contract_id: str
    site_id: str
    from_us: int
    to_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractServiceRow:
    """A service billed monthly in the contract's currency, for one site or, without `site_id`, for all."""

    service_id: str
    organisation_id: str
    contract_id: str
    site_id: str | None
    name: str
    monthly_micro: int
    from_us: int
    to_us: int | None


class ContractSitesStore(Protocol):
    """Sites and services of O&M contracts. A second open row of a site is refused by the database."""

    async def add(self, sites: Sequence[ContractSiteRow], services: Sequence[ContractServiceRow]) -> None: ...

    async def end(self, organisation_id: str, ids: Sequence[str], to_us: int) -> None:
        """Close these open sites and services."""
        ...

    async def forget(self, organisation_id: str, contract_id: str) -> None:
        """Remove what a draft named; nothing happens to a contract that is no draft."""
        ...

    async def sites(self, organisation_id: str, contract_id: str) -> list[ContractSiteRow]:
        """Open and closed, oldest first."""
        ...

    async def services(self, organisation_id: str, contract_id: str) -> list[ContractServiceRow]:
        """Open and closed, oldest first."""
        ...

    async def of_customer(self, organisation_id: str, customer_id: str) -> list[str]:
        """The ids of the sites that are under the customer's active contracts now."""
        ...
