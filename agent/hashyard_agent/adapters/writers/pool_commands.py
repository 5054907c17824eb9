"""Changing pools one by one over the cgminer API: `addpool` the new, `switchpool`, `removepool` the old.

In this order the miner is never without a pool, and nothing old goes before the new was seen in the list. A run
that was cut off leaves pools behind; the next run takes them for old ones, so repeating it is safe.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hashyard_agent.adapters.wire import cgminer
from hashyard_agent.adapters.writers.base import configured, section
from hashyard_agent.enforcement.comparison import same_pool
from hashyard_agent.errors import MinerRefusedError
from hashyard_agent.ports import Pool

FORBIDDEN: Final = ",\\|"
"""Characters that separate or escape parameters of this API."""


async def pool_rows(ip: str) -> list[dict[str, Any]]:
    """The rows of `pools`, by their number."""
    rows = section(ip, await cgminer(ip, "pools"), "POOLS")
    return sorted(rows, key=lambda row: int(row.get("POOL", 0)))


async def replace_pools(ip: str, wanted: Sequence[Pool], *, max_slots: int) -> None:
    """Leave exactly these pools, in this order. Errors: `MinerError` and its kinds; the caller reads back."""
    old = await pool_rows(ip)
    if len(old) + len(wanted) > max_slots:
        old = await _make_room(ip, old, max_slots - len(wanted))
    for pool in wanted:
        await _add(ip, pool)
    rows = await pool_rows(ip)
    added = sorted(configured([row])[0].url for row in rows[len(old) :])
    if not _ends_with(rows, wanted):
        raise MinerRefusedError(ip, f"the added pools do not show: {', '.join(added)[:200] or 'none'}")
    first = len(rows) - len(wanted)
    await cgminer(ip, "switchpool", str(first))
    for number in (first + at for at, pool in enumerate(wanted) if not pool.enabled):
        await cgminer(ip, "disablepool", str(number))
    for number in range(len(rows) - len(wanted) - 1, -1, -1):
        await cgminer(ip, "removepool", str(number))


async def _add(ip: str, pool: Pool) -> None:
    try:
        await cgminer(ip, "addpool", f"{pool.url},{pool.worker},{pool.password or ''}")
    except MinerRefusedError as error:
        # Some firmwares repeat what was sent, and the password with it; their words must not travel.
        raise MinerRefusedError(ip, f"addpool {pool.url} was refused") from error


def _ends_with(rows: Sequence[dict[str, Any]], wanted: Sequence[Pool]) -> bool:
    tail = [configured([row])[0] for row in rows[-len(wanted) :]]
    fresh = [replace(pool, enabled=True) for pool in wanted]
    return len(tail) == len(fresh) and all(same_pool(w, t) for w, t in zip(fresh, tail, strict=True))


async def _make_room(ip: str, rows: list[dict[str, Any]], keep: int) -> list[dict[str, Any]]:
    """Take out inactive pools until `keep` are left; the active one stays, for it cannot be removed."""
    spare = [int(row["POOL"]) for row in rows if not row.get("Stratum Active")]
    for number in sorted(spare, reverse=True)[: max(0, len(rows) - max(1, keep))]:
        await cgminer(ip, "removepool", str(number))
    return await pool_rows(ip)
