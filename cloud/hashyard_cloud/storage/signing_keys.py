"""Signing keys in the relational store."""

from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.signing_keys import KeySlot, RotationRow, SigningKeyRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.signing_keys import KEY_ROTATIONS, SIGNING_KEYS

_ORDER: Final = {KeySlot.CURRENT: 0, KeySlot.NEXT: 1, KeySlot.RETIRED: 2, KeySlot.RECOVERY: 3}


class SigningKeysStore:
    """SQL for signing keys; implements `services.ports.signing_keys.SigningKeysStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: SigningKeyRow) -> None:
        await self._connection.execute(insert(SIGNING_KEYS).values(values(row)))

    async def all(self, organisation_id: str) -> list[SigningKeyRow]:
        query = select(SIGNING_KEYS).where(SIGNING_KEYS.c.organisation_id == organisation_id)
        records = (await self._connection.execute(query.order_by(SIGNING_KEYS.c.created_us.desc()))).all()
        return sorted((loaded(SigningKeyRow, record) for record in records), key=lambda row: _ORDER[row.slot])

    async def update(self, row: SigningKeyRow) -> None:
        query = update(SIGNING_KEYS).where(
            SIGNING_KEYS.c.organisation_id == row.organisation_id, SIGNING_KEYS.c.fingerprint == row.fingerprint
        )
        await self._connection.execute(query.values(values(row)))

    async def add_rotation(self, row: RotationRow) -> None:
        await self._connection.execute(insert(KEY_ROTATIONS).values(values(row)))

    async def rotations(self, organisation_id: str, limit: int) -> list[RotationRow]:
        table = KEY_ROTATIONS.c
        query = select(KEY_ROTATIONS).where(table.organisation_id == organisation_id)
        records = await self._connection.execute(query.order_by(table.sequence.desc()).limit(limit))
        return [loaded(RotationRow, record) for record in reversed(records.all())]
