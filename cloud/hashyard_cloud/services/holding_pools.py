"""The host's holding pools, as a technician may pin them."""

import re
from dataclasses import replace
from typing import Final

from pydantic import ValidationError

from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.holding_pools import HoldingPoolRow
from hashyard_cloud.services.ports.secrets import SecretBox
from hashyard_shared.clock import Clock
from hashyard_shared.ids import new_id
from hashyard_shared.trust import HoldingPool, pool_hash

MAX_POOLS: Final = 32
_STRATUM: Final = re.compile(r"(stratum\+(tcp|ssl|tls)|stratum2\+tcp)://[^\s/]+:\d{1,5}(/\S*)?")


class HoldingPoolBook:
    """Adds, retires and lists holding pools; implements `services.ports.agent_trust.HoldingPools`."""

    def __init__(self, box: SecretBox, clock: Clock) -> None:
        self._box = box
        self._clock = clock

    async def holding_pools(self, tx: Transaction, organisation_id: str) -> list[HoldingPool]:
        """The pools in use, oldest first."""
        rows = await tx.holding_pools.all(organisation_id)
        return [self.opened(row) for row in rows if row.retired_us is None]

    def opened(self, row: HoldingPoolRow) -> HoldingPool:
        """The pool with its password."""
        password = self._box.open(row.sealed_password, _context(row.organisation_id, row.reference)).decode()
        return HoldingPool(reference=row.reference, url=row.url, worker=row.worker, password=password)

    async def add(
        self,
        tx: Transaction,
        organisation_id: str,
        actor: Actor,
        *,
        reference: str,
        url: str,
        worker: str,
        password: str,
    ) -> HoldingPoolRow:
        """Add a pool. It is used on a site only after a technician pinned it there."""
        pool = _checked(reference, url, worker, password)
        if await tx.holding_pools.by_reference(organisation_id, pool.reference):
            raise ConflictError(f"holding pool {pool.reference!r} exists; choose another name", field="reference")
        if len(await tx.holding_pools.all(organisation_id)) >= MAX_POOLS:
            raise ConflictError(f"there are {MAX_POOLS} holding pools already")
        now_us = self._clock.now_us()
        row = HoldingPoolRow(
            pool_id=new_id(now_us),
            organisation_id=organisation_id,
            reference=pool.reference,
            url=pool.url,
            worker=pool.worker,
            sealed_password=self._box.seal(pool.password.encode(), _context(organisation_id, pool.reference)),
            pool_hash=pool_hash(pool),
            created_us=now_us,
            created_by=actor.name,
            retired_us=None,
        )
        await tx.holding_pools.add(row)
        text = f"Holding pool {row.reference} added: {row.url}, worker {row.worker}"
        await activity.record(tx, now_us, organisation_id, actor, "holding-pool.added", text)
        return row

    async def retire(self, tx: Transaction, organisation_id: str, actor: Actor, reference: str) -> None:
        """No new order names this pool; those that run keep it."""
        row = await tx.holding_pools.by_reference(organisation_id, reference)
        if row is None:
            raise NotFoundError
        now_us = self._clock.now_us()
        await tx.holding_pools.update(replace(row, retired_us=now_us))
        text = f"Holding pool {reference} retired"
        await activity.record(tx, now_us, organisation_id, actor, "holding-pool.retired", text)


def _checked(reference: str, url: str, worker: str, password: str) -> HoldingPool:
    url = url.strip()
    if not _STRATUM.fullmatch(url):
        raise MalformedError("Write the pool as stratum+tcp://host:port.", field="url")
    try:
        return HoldingPool(reference=reference.strip(), url=url, worker=worker.strip(), password=password)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        raise MalformedError(f"{field}: {first['msg']}", field=field) from error


def _context(organisation_id: str, reference: str) -> str:
    return f"holding-pool:{organisation_id}:{reference}"
