"""Takes in what the holding pools themselves say was mined there: confirmation level 5."""

from typing import Final

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.pool_figures import PoolFigureRow, PoolFiguresSource

CTHS_PER_THS: Final = 100


async def take_in(
    tx: Transaction, now_us: int, organisation_id: str, actor: Actor, pool: str, source: PoolFiguresSource
) -> int:
    """Read all of a source or, with the first bad line named, nothing; how many worker days."""
    if await tx.holding_pools.by_reference(organisation_id, pool) is None:
        raise NotFoundError(f"There is no holding pool {pool!r}.")
    rows = [
        PoolFigureRow(
            organisation_id=organisation_id,
            pool=pool,
            worker=figure.worker,
            day=figure.day,
            hashrate_cths=round(figure.hashrate_ths * CTHS_PER_THS),
            shares_accepted=figure.shares_accepted,
            source=source.name,
            source_sha256=source.sha256,
            imported_us=now_us,
        )
        for figure in source.read()
    ]
    await tx.pool_figures.put(rows)
    text = f"{len(rows)} worker days of holding pool {pool} from {source.name}, SHA-256 {source.sha256}"
    await activity.record(tx, now_us, organisation_id, actor, "pool-figures.imported", text)
    return len(rows)
