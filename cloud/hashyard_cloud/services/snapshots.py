"""Takes sealed snapshots in from agents, and gives them out for a box that replaces a lost one."""

import json
from collections.abc import Sequence
from typing import Final

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.snapshots import SealedSnapshotRow
from hashyard_shared.clock import Clock
from hashyard_shared.events import Event, Snapshot

KEPT_PER_UNIT: Final = 4


class SnapshotEvents:
    """Implements `services.ports.events.EventSink` for snapshots."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def apply(self, tx: Transaction, agent: AgentRow, origin: tuple[int, int, int], event: Event) -> None:
        del origin
        if not isinstance(event, Snapshot):
            return
        units = await tx.equipment.some(agent.organisation_id, [event.unit_id])
        if not any(unit.site_id == agent.site_id for unit in units):
            return
        row = SealedSnapshotRow(
            organisation_id=agent.organisation_id,
            agent_id=agent.agent_id,
            snapshot_id=event.snapshot_id,
            site_id=agent.site_id,
            unit_id=event.unit_id,
            mac=event.mac,
            at_us=event.at_us,
            received_us=self._clock.now_us(),
            sealed=event.sealed,
        )
        await tx.snapshots.add(row, KEPT_PER_UNIT)


async def give_out(
    tx: Transaction, now_us: int, organisation_id: str, actor: Actor, site_id: str
) -> Sequence[SealedSnapshotRow]:
    """The newest snapshot of each unit of a site; that they were given out is recorded."""
    site = await tx.sites.get(organisation_id, site_id)
    if site is None:
        raise NotFoundError(f"There is no site {site_id}.", field="site")
    rows = await tx.snapshots.newest(organisation_id, site_id)
    text = f"{len(rows)} sealed snapshots of site {site.name} given out"
    await activity.record(
        tx, now_us, organisation_id, actor, "snapshots.given-out", text, object_kind="site", object_id=site_id
    )
    return rows


def as_file(rows: Sequence[SealedSnapshotRow]) -> str:
    """What `hashyard-agent trust recover-snapshots` reads."""
    names = ("snapshot_id", "unit_id", "mac", "at_us", "sealed")
    return json.dumps({"snapshots": [{name: getattr(row, name) for name in names} for row in rows]}, indent=1)
