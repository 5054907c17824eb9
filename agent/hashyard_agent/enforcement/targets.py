"""What is to be written to a unit: the holding pool, or the exact way back. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hashyard_agent.enforcement.comparison import is_blank, worker_for
from hashyard_agent.enforcement.model import SnapshotRow, UnitRow
from hashyard_agent.ports import MinerConfig, Pool, PoolGroup, PoolWriter
from hashyard_agent.trust import RecordedPools, Trust
from hashyard_shared.errors import ErrorCode

UNKNOWN_PASSWORD: Final = "x"  # noqa: S105 - what pools take when they ask for none

Groups = tuple[PoolGroup, ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why nothing can be written to this unit as things stand."""

    code: ErrorCode
    detail: str


def holding_target(row: UnitRow, trust: Trust, writer: PoolWriter, current: MinerConfig) -> Groups | Blocked:
    """The pinned holding pool, alone, in the miner's first group."""
    pool = trust.pool(row.holding_pool or "")
    if pool is None:
        return Blocked(ErrorCode.ORDER_POOL_NOT_PINNED, f"holding pool {row.holding_pool!r} is no longer pinned")
    only = Pool(pool.url, worker_for(pool.worker, row.label), pool.password)
    groups = (replace(current.groups[0], pools=(only,)),)
    reason = writer.unwritable(groups)
    return Blocked(ErrorCode.UNSUPPORTED, f"the holding pool cannot be written: {reason}") if reason else groups


def shows_holding(groups: Sequence[PoolGroup], trust: Trust) -> bool:
    """Whether the miner has a pool of the host's: what it shows is then not the customer's configuration."""
    return any(
        trust.is_holding(pool.url, pool.worker) for group in groups for pool in group.pools if not is_blank(pool)
    )


def way_back(
    row: UnitRow, groups: Groups, writer: PoolWriter, recorded: RecordedPools, trust: Trust
) -> Groups | Blocked:
    """The groups to restore, with passwords that the miner did not give back filled in from the site's record.

    Refuses what would not come back exactly, unless the host accepted that for this unit in writing.
    """
    inexact = row.unit_id in trust.inexact_units
    unknown = [pool for group in groups for pool in group.pools if _password(row, pool, recorded) is None]
    if unknown and not inexact:
        pool = unknown[0]
        detail = f"the password of {pool.url} for {pool.worker} cannot be read; record it on site"
        return Blocked(ErrorCode.PASSWORD_UNKNOWN, detail)
    filled = tuple(
        replace(group, pools=tuple(_filled(row, pool, recorded) for pool in group.pools)) for group in groups
    )
    reason = writer.unwritable(filled)
    if reason is None:
        return filled
    if not inexact:
        return Blocked(ErrorCode.NOT_RESTORABLE, reason)
    return _nearest(filled, writer, reason)


def _password(row: UnitRow, pool: Pool, recorded: RecordedPools) -> str | None:
    if pool.password is not None or is_blank(pool):
        return pool.password or ""
    return recorded.password(row.customer_id, pool)


def _filled(row: UnitRow, pool: Pool, recorded: RecordedPools) -> Pool:
    password = _password(row, pool, recorded)
    return replace(pool, password=UNKNOWN_PASSWORD if password is None else password)


def _nearest(groups: Groups, writer: PoolWriter, reason: str) -> Groups | Blocked:
    """The most of it that the firmware takes: one group, its first pools."""
    pools = tuple(pool for group in groups for pool in group.pools if not is_blank(pool))
    nearest = (replace(groups[0], pools=pools[: writer.traits.max_slots]),)
    return nearest if writer.unwritable(nearest) is None else Blocked(ErrorCode.NOT_RESTORABLE, reason)


def in_group_of(groups: Groups, current: MinerConfig) -> Groups:
    """Recorded pools know nothing of groups: they take the place, name and share of the miner's first group."""
    if groups != (PoolGroup(groups[0].pools),):
        return groups
    return (replace(current.groups[0], pools=groups[0].pools),)


def assigned(row: UnitRow, recorded: RecordedPools, since_us: int) -> Groups | None:
    """The customer's recorded pools, when they were assigned after `since_us`: they replace what the miner had."""
    entry = recorded.customer(row.customer_id)
    at_us = 0 if entry is None else max(entry.assigned_at_us or 0, row.assigned_us)
    if at_us <= since_us:
        return None
    return recorded.groups(row.customer_id, row.label)


def restore_groups(row: UnitRow, snapshot: SnapshotRow | None, recorded: RecordedPools) -> Groups | Blocked:
    """Where a unit goes back to: assigned pools that are newer than the snapshot, the snapshot, recorded pools."""
    if snapshot is not None and snapshot.customer_id != row.customer_id:
        return Blocked(ErrorCode.REASSIGNED, "the snapshot is another customer's; a person decides where it goes")
    groups = assigned(row, recorded, snapshot.at_us if snapshot else 0)
    if groups is not None:
        return groups
    if snapshot is not None:
        return snapshot.groups
    return recorded.groups(row.customer_id, row.label) or Blocked(
        ErrorCode.NO_SNAPSHOT, "no snapshot and no recorded pools show where this unit came from"
    )
