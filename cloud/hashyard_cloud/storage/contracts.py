"""Contracts and their versions in the relational store."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.contracts import (
    BillingBasis,
    ContractKind,
    ContractRow,
    ContractState,
    ContractVersionRow,
)
from hashyard_cloud.storage.rows import values
from hashyard_cloud.storage.tables.contracts import (
    CONTRACT_NUMBERS,
    CONTRACT_VERSIONS,
    CONTRACTS,
)


def _contract(record: Row[tuple[Any, ...]]) -> ContractRow:
    found = dict(record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so
    found["kind"] = ContractKind(found["kind"])
    found["state"] = ContractState(found["state"])
    return ContractRow(**found)


def _version(record: Row[tuple[Any, ...]]) -> ContractVersionRow:
    found = dict(record._mapping)  # noqa: SLF001 - as above
    found["billing_basis"] = BillingBasis(found["billing_basis"])
    return ContractVersionRow(**found)


class ContractsStore:
    """SQL for contracts; implements `services.ports.contracts.ContractsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: ContractRow, version: ContractVersionRow) -> None:
        await self._connection.execute(insert(CONTRACTS).values(values(row)))
        await self.add_version(version)

    async def get(self, organisation_id: str, contract_id: str) -> ContractRow | None:
        query = select(CONTRACTS).where(
            CONTRACTS.c.organisation_id == organisation_id, CONTRACTS.c.contract_id == contract_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return _contract(record) if record else None

    async def all(self, organisation_id: str, customer_id: str | None = None) -> list[ContractRow]:
        query = select(CONTRACTS).where(CONTRACTS.c.organisation_id == organisation_id)
        if customer_id is not None:
            query = query.where(CONTRACTS.c.customer_id == customer_id)
        query = query.order_by(CONTRACTS.c.created_us.desc(), CONTRACTS.c.number.desc())
        return [_contract(record) for record in (await self._connection.execute(query)).all()]

    async def update(self, row: ContractRow) -> None:
        query = update(CONTRACTS).where(
            CONTRACTS.c.organisation_id == row.organisation_id, CONTRACTS.c.contract_id == row.contract_id
        )
        await self._connection.execute(query.values(values(row)))

    async def ending(self, organisation_id: str, before_us: int) -> list[ContractRow]:
        query = (
            select(CONTRACTS)
            .where(
                CONTRACTS.c.organisation_id == organisation_id,
                CONTRACTS.c.state == ContractState.ACTIVE.value,
                CONTRACTS.c.ends_us < before_us,
            )
            .order_by(CONTRACTS.c.ends_us, CONTRACTS.c.contract_id)
        )
        return [_contract(record) for record in (await self._connection.execute(query)).all()]

    async def next_number(self, organisation_id: str, year: int) -> str:
        same = (CONTRACT_NUMBERS.c.organisation_id == organisation_id) & (CONTRACT_NUMBERS.c.year == year)
        query = select(CONTRACT_NUMBERS.c.last).where(same).with_for_update()
        last = (await self._connection.execute(query)).scalar_one_or_none()
        if last is None:
            statement = insert(CONTRACT_NUMBERS).values(organisation_id=organisation_id, year=year, last=1)
            await self._connection.execute(statement)
        else:
            await self._connection.execute(update(CONTRACT_NUMBERS).where(same).values(last=last + 1))
        return f"HC-{year}-{(last or 0) + 1:04d}"

    async def add_version(self, version: ContractVersionRow) -> None:
        await self._connection.execute(insert(CONTRACT_VERSIONS).values(values(version)))

    async def versions(self, organisation_id: str, contract_id: str) -> list[ContractVersionRow]:
        query = (
            select(CONTRACT_VERSIONS)
            .where(
                CONTRACT_VERSIONS.c.organisation_id == organisation_id,
                CONTRACT_VERSIONS.c.contract_id == contract_id,
            )
            .order_by(CONTRACT_VERSIONS.c.version)
        )
        return [_version(record) for record in (await self._connection.execute(query)).all()]

    async def replace_draft_version(self, version: ContractVersionRow) -> None:
        draft = select(CONTRACTS.c.contract_id).where(
            CONTRACTS.c.organisation_id == version.organisation_id,
            CONTRACTS.c.contract_id == version.contract_id,
            CONTRACTS.c.state == ContractState.DRAFT.value,
        )
        query = update(CONTRACT_VERSIONS).where(
            CONTRACT_VERSIONS.c.contract_id.in_(draft), CONTRACT_VERSIONS.c.version == 1
        )
        await self._connection.execute(query.values(values(version)))

    async def version_at(self, organisation_id: str, contract_id: str, at_us: int) -> ContractVersionRow | None:
        return _in_force(await self.versions(organisation_id, contract_id), at_us)

    async def versions_at(
        self, organisation_id: str, at_us: int, contract_ids: Sequence[str] | None = None
    ) -> dict[str, ContractVersionRow]:
        query = (
            select(CONTRACT_VERSIONS)
            .where(CONTRACT_VERSIONS.c.organisation_id == organisation_id)
            .order_by(CONTRACT_VERSIONS.c.contract_id, CONTRACT_VERSIONS.c.version)
        )
        if contract_ids is not None:
            query = query.where(CONTRACT_VERSIONS.c.contract_id.in_(contract_ids))
        by_contract: dict[str, list[ContractVersionRow]] = {}
        for record in (await self._connection.execute(query)).all():
            row = _version(record)
            by_contract.setdefault(row.contract_id, []).append(row)
        found = {contract_id: _in_force(rows, at_us) for contract_id, rows in by_contract.items()}
        return {contract_id: row for contract_id, row in found.items() if row}


def _in_force(versions: list[ContractVersionRow], at_us: int) -> ContractVersionRow | None:
    in_force = [row for row in versions if row.effective_us <= at_us]
    if in_force:
        return in_force[-1]
    return versions[0] if versions else None
