"""The pool's own figures (confirmation level 5): what the holding pool says was mined there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigureRow:
    """One worker's day at a holding pool, in the pool's own words. `hashrate_cths` is hundredths of TH/s."""

    organisation_id: str
    pool: str
    worker: str
    day: str
    hashrate_cths: int
    shares_accepted: int | None
    source: str
    source_sha256: str
    imported_us: int


@dataclass(frozen=True, slots=True)
class PoolFigure:
    """What a pool says of one worker's UTC day: the mean hashrate over it."""

    worker: str
    day: str
    hashrate_ths: float
    shares_accepted: int | None


class PoolFiguresSource(Protocol):
    """Where a pool's own figures come from: a file the host downloaded, or the pool's interface."""

    @property
    def name(self) -> str:
        """How the bundle names it."""
        ...

    @property
    def sha256(self) -> str:
        """Of what was read, so that it can be found again."""
        ...

    def read(self) -> Sequence[PoolFigure]:
        """Raises `MalformedError` with the line that cannot be read."""
        ...


class PoolFiguresStore(Protocol):
    """Read and write pool figures."""

    async def put(self, rows: Sequence[PoolFigureRow]) -> None:
        """Insert or replace by pool, worker and day."""
        ...

    async def of_workers(self, organisation_id: str, workers: Sequence[str]) -> list[PoolFigureRow]:
        """By day and worker."""
        ...
