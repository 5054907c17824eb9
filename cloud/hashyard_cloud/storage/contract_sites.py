"""Sites and services of O&M contracts in the relational store."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.contract_sites import ContractServiceRow, ContractSiteRow
from hashyard_cloud.services.ports.contracts import ContractState
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.contract_sites import CONTRACT_SERVICES, CONTRACT_SITES
from hashyard_cloud.storage.tables.contracts import CONTRACTS


class ContractSitesStore:
    """SQL for O&M contracts; implements `services.ports.contract_sites.ContractSitesStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, sites: Sequence[ContractSiteRow], services: Sequence[ContractServiceRow]) -> None:
        if sites:
            await self._connection.execute(insert(CONTRACT_SITES), [values(row) for row in sites])
        if services:
            await self._connection.execute(insert(CONTRACT_SERVICES), [values(row) for row in services])

    async def end(self, organisation_id: str, ids: Sequence[str], to_us: int) -> None:
        for table, column in (
            (CONTRACT_SITES, CONTRACT_SITES.c.contract_site_id),
            (CONTRACT_SERVICES, CONTRACT_SERVICES.c.service_id),
        ):
            query = update(table).where(
                table.c.organisation_id == organisation_id, column.in_(ids), table.c.to_us.is_(None)
            )
            await self._connection.execute(query.values(to_us=to_us))

    async def forget(self, organisation_id: str, contract_id: str) -> None:
        draft = select(CONTRACTS.c.contract_id).where(
            CONTRACTS.c.organisation_id == organisation_id,
            CONTRACTS.c.contract_id == contract_id,
            CONTRACTS.c.state == ContractState.DRAFT.value,
        )
        for table in (CONTRACT_SITES, CONTRACT_SERVICES):
            await self._connection.execute(delete(table).where(table.c.contract_id.in_(draft)))

    async def sites(self, organisation_id: str, contract_id: str) -> list[ContractSiteRow]:
        query = select(CONTRACT_SITES).where(
            CONTRACT_SITES.c.organisation_id == organisation_id, CONTRACT_SITES.c.contract_id == contract_id
        )
        query = query.order_by(CONTRACT_SITES.c.from_us, CONTRACT_SITES.c.contract_site_id)
        return [loaded(ContractSiteRow, record) for record in (await self._connection.execute(query)).all()]

    async def services(self, organisation_id: str, contract_id: str) -> list[ContractServiceRow]:
        query = select(CONTRACT_SERVICES).where(
            CONTRACT_SERVICES.c.organisation_id == organisation_id, CONTRACT_SERVICES.c.contract_id == contract_id
        )
        query = query.order_by(CONTRACT_SERVICES.c.from_us, CONTRACT_SERVICES.c.service_id)
        return [loaded(ContractServiceRow, record) for record in (await self._connection.execute(query)).all()]

    async def of_customer(self, organisation_id: str, customer_id: str) -> list[str]:
        query = (
            select(CONTRACT_SITES.c.site_id)
            .distinct()
            .join(CONTRACTS, CONTRACTS.c.contract_id == CONTRACT_SITES.c.contract_id)
            .where(
                CONTRACTS.c.organisation_id == organisation_id,
                CONTRACTS.c.customer_id == customer_id,
                CONTRACTS.c.state == ContractState.ACTIVE.value,
                CONTRACT_SITES.c.to_us.is_(None),
            )
            .order_by(CONTRACT_SITES.c.site_id)
        )
        return [record[0] for record in (await self._connection.execute(query)).all()]
