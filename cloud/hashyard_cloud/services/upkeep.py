"""Keeping the stores in order: what the telemetry store lost is projected anew, what is old is dropped."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from hashyard_cloud.errors import StoreCorruptError
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.ingest import BlockRow
from hashyard_cloud.services.ports.telemetry import TelemetryStore
from hashyard_cloud.services.projector import Projector
from hashyard_shared.clock import US_PER_S, Clock

LOG: Final = logging.getLogger(__name__)
RECENT_BLOCKS: Final = 200
BLOCKS_PER_LOOK: Final = 1_000
BODIES_PER_TRANSACTION: Final = 500
INTERVAL_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Repaired:
    """Blocks looked at, projected anew, and beyond repair because their bodies are not kept any more."""

    checked: int
    rebuilt: int
    lost: int


@dataclass(frozen=True, slots=True)
class Retention:
    """How long bodies and samples are kept."""

    bodies_s: int
    samples_s: int


class Upkeep:
    """`run` in the service; `repair` from the command line too."""

    def __init__(
        self, database: Database, telemetry: TelemetryStore, clock: Clock, projector: Projector, keep: Retention
    ) -> None:
        self._database = database
        self._telemetry = telemetry
        self._clock = clock
        self._projector = projector
        self._keep = keep

    async def run(self) -> None:
        """Look at the newest blocks once (power may have failed since), then drop what is old every hour."""
        repaired = await self.repair(RECENT_BLOCKS)
        if repaired.rebuilt or repaired.lost:
            LOG.warning("telemetry: %s", repaired)
        while True:
            await self.drop_old()
            await asyncio.sleep(INTERVAL_S)

    async def repair(self, most_blocks: int | None = None, *, everything: bool = False) -> Repaired:
        """Project blocks anew that the telemetry store does not hold whole; with `everything` all of them."""
        checked = rebuilt = lost = 0
        below: int | None = None
        while most_blocks is None or checked < most_blocks:
            async with self._database.reading() as tx:
                blocks = await tx.ingest.done_blocks(below, min(BLOCKS_PER_LOOK, most_blocks or BLOCKS_PER_LOOK))
            if not blocks:
                break
            below = blocks[-1].block_no
            stored = await self._telemetry.count_blocks(below, blocks[0].block_no)
            for block in blocks:
                if everything or stored.get(block.block_no, 0) != block.samples:
                    done = await self._reproject(block)
                    rebuilt += done
                    lost += not done
            checked += len(blocks)
        return Repaired(checked, rebuilt, lost)

    async def drop_old(self) -> None:
        """Forget bodies and samples whose time is over."""
        now_us = self._clock.now_us()
        bodies_before_us = now_us - self._keep.bodies_s * US_PER_S
        dropped = BODIES_PER_TRANSACTION
        while dropped == BODIES_PER_TRANSACTION:
            async with self._database.transaction() as tx:
                dropped = await tx.ingest.drop_bodies(bodies_before_us, BODIES_PER_TRANSACTION)
        await self._telemetry.drop_before(now_us - self._keep.samples_s * US_PER_S)

    async def _reproject(self, block: BlockRow) -> bool:
        try:
            await self._projector.reproject(block)
        except StoreCorruptError as error:
            LOG.warning("block %s cannot be projected anew: %s", block.block_no, error)
            return False
        return True
