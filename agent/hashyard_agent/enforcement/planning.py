"""What a visit is to write, from the order, the site's trust and record, and what the miner shows."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hashyard_agent.enforcement.book import Book
from hashyard_agent.enforcement.comparison import shown
from hashyard_agent.enforcement.model import JournalEntry, SnapshotRow, UnitRow
from hashyard_agent.enforcement.ports import TrustSource
from hashyard_agent.enforcement.sealing import sealed
from hashyard_agent.enforcement.targets import (
    Blocked,
    Groups,
    assigned,
    holding_target,
    in_group_of,
    restore_groups,
    shows_holding,
    way_back,
)
from hashyard_agent.ports import Identity, MinerConfig, PoolWriter
from hashyard_agent.trust import Trust
from hashyard_shared.clock import Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import Event, Snapshot
from hashyard_shared.ids import new_id
from hashyard_shared.orders import OrderKind


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write. `target` None: nothing, for it was never away. `snapshot` is kept before the write."""

    row: UnitRow
    target: Groups | None
    snapshot: SnapshotRow | None = None
    entries: tuple[JournalEntry, ...] = ()
    events: tuple[Event, ...] = ()


class Planner:
    """Decides targets; asks for trust document and record each time, for a person may have changed them."""

    def __init__(self, book: Book, source: TrustSource, clock: Clock) -> None:
        self._book = book
        self._source = source
        self._clock = clock

    def trust(self) -> Trust:
        """The trust document as it is now."""
        return self._source.trust()

    async def plan(
        self, row: UnitRow, current: MinerConfig, identity: Identity, writer: PoolWriter
    ) -> Plan | Blocked:
        """The plan for a unit that is to be written, or why it cannot be."""
        row = replace(row, family=identity.family, model=identity.model, firmware=identity.firmware)
        if row.goal is OrderKind.REDIRECT:
            return await self._redirect(row, current, writer)
        return await self._restore(row, current, writer)

    async def _redirect(self, row: UnitRow, current: MinerConfig, writer: PoolWriter) -> Plan | Blocked:
        target = holding_target(row, self.trust(), writer, current)
        if isinstance(target, Blocked) or row.episode:
            return target if isinstance(target, Blocked) else Plan(row, target)
        recovered, row = await self._recovered(row, current), replace(row, recovered=False)
        if recovered:
            return Plan(row, target)
        snapshot = self._take_snapshot(row, current, writer)
        return snapshot if isinstance(snapshot, Blocked) else self._with_snapshot(row, target, snapshot)

    async def _recovered(self, row: UnitRow, current: MinerConfig) -> bool:
        """Whether a lost box had moved the unit here, and its snapshot was recovered: that is the way back."""
        if not row.recovered or row.snapshot_id is None or not shows_holding(current.groups, self.trust()):
            return False
        snapshot = await self._book.snapshot(row.snapshot_id)
        return snapshot is not None and snapshot.customer_id == row.customer_id

    def _with_snapshot(self, row: UnitRow, target: Groups, snapshot: SnapshotRow) -> Plan:
        entry = JournalEntry(
            "snapshot",
            {
                "unit_id": row.unit_id,
                "mac": row.mac,
                "snapshot_id": snapshot.snapshot_id,
                "pools": shown(snapshot.groups),
                "settings": sorted(snapshot.settings),
                "settings_sha256": _digest(snapshot.settings),
            },
        )
        row = replace(row, snapshot_id=snapshot.snapshot_id)
        return Plan(row, target, snapshot, (entry,), self._sealed(snapshot))

    def _sealed(self, row: SnapshotRow) -> tuple[Event, ...]:
        """The snapshot for the cloud, so that a dead box does not take the way back with it."""
        key = self.trust().snapshot_key
        text = sealed(row, key) if key else None
        if text is None:
            return ()
        return (
            Snapshot(at_us=row.at_us, unit_id=row.unit_id, mac=row.mac, snapshot_id=row.snapshot_id, sealed=text),
        )

    def _take_snapshot(self, row: UnitRow, current: MinerConfig, writer: PoolWriter) -> SnapshotRow | Blocked:
        recorded, trust = self._source.recorded(), self.trust()
        before: Groups = current.groups
        if row.to_recorded:
            # Assigned and not written yet: that is where it belongs, whatever it shows.
            known = assigned(row, recorded, 0)
            if known is None:
                detail = f"no pools are recorded on this site for customer {row.customer_id}"
                return Blocked(ErrorCode.POOLS_NOT_RECORDED, detail)
            before = known
        elif shows_holding(current.groups, trust):
            # What it shows is the host's own pool: no way back can be read from it.
            known = recorded.groups(row.customer_id, row.label)
            if known is None:
                detail = "already at a holding pool, and the customer's pools are not recorded"
                return Blocked(ErrorCode.NO_SNAPSHOT, detail)
            before = known
        back = way_back(row, in_group_of(before, current), writer, recorded, trust)
        if isinstance(back, Blocked):
            return back
        now_us = self._clock.now_us()
        return SnapshotRow(
            snapshot_id=new_id(now_us),
            at_us=now_us,
            unit_id=row.unit_id,
            mac=row.mac,
            customer_id=row.customer_id,
            family=row.family,
            model=row.model,
            firmware=row.firmware,
            groups=back,
            settings=current.settings,
            raw=current.raw,
        )

    async def _restore(self, row: UnitRow, current: MinerConfig, writer: PoolWriter) -> Plan | Blocked:
        if not row.episode and row.to_recorded:
            fresh = self._take_snapshot(row, current, writer)
            return fresh if isinstance(fresh, Blocked) else self._with_snapshot(row, fresh.groups, fresh)
        if not row.episode and not shows_holding(current.groups, self.trust()):
            return Plan(row, None)
        recorded = self._source.recorded()
        snapshot = await self._book.snapshot(row.snapshot_id) if row.snapshot_id else None
        groups = restore_groups(row, snapshot, recorded)
        if isinstance(groups, Blocked):
            return groups
        back = way_back(row, in_group_of(groups, current), writer, recorded, self.trust())
        return back if isinstance(back, Blocked) else Plan(row, back)


def _digest(settings: Mapping[str, Any]) -> str:
    """Enough to prove later what they were; the values stay here, for some firmwares keep secrets among them."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
