"""Sealed snapshots in the relational store."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.snapshots import SealedSnapshotRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.snapshots import SNAPSHOTS
from hashyard_cloud.storage.upserts import insert_or_ignore


class SnapshotsStore:
    """SQL for snapshots; implements `services.ports.snapshots.SnapshotsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: SealedSnapshotRow, keep: int) -> None:
        await self._connection.execute(insert_or_ignore(self._connection, SNAPSHOTS).values(values(row)))
        table = SNAPSHOTS.c
        of_unit = (
            table.organisation_id == row.organisation_id,
            table.site_id == row.site_id,
            table.unit_id == row.unit_id,
        )
        order = table.at_us.desc(), table.snapshot_id.desc()
        kept = select(table.snapshot_id).where(*of_unit).order_by(*order).limit(keep)
        await self._connection.execute(delete(SNAPSHOTS).where(*of_unit, table.snapshot_id.not_in(kept)))

    async def newest(self, organisation_id: str, site_id: str) -> list[SealedSnapshotRow]:
        table = SNAPSHOTS.c
        query = select(SNAPSHOTS).where(table.organisation_id == organisation_id, table.site_id == site_id)
        records = await self._connection.execute(query.order_by(table.unit_id, table.at_us, table.snapshot_id))
        found = {record.unit_id: loaded(SealedSnapshotRow, record) for record in records.all()}
        return list(found.values())
