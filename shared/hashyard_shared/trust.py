"""Holding pools: what the cloud names and the agent pins on site."""

import hashlib

from pydantic import BaseModel, ConfigDict, Field

MAX_POOL_URL_CHARS = 512
MAX_WORKER_CHARS = 256
MAX_PASSWORD_CHARS = 256


class HoldingPool(BaseModel):
    """A pool of the host: URL *and* worker *and* password are pinned, not the URL alone.

    In `worker`, the text `{unit}` stands for the unit's label, so that the pool's own figures can be told apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$")
    url: str = Field(min_length=1, max_length=MAX_POOL_URL_CHARS)
    worker: str = Field(min_length=1, max_length=MAX_WORKER_CHARS)
    password: str = Field(max_length=MAX_PASSWORD_CHARS)


def pool_hash(pool: HoldingPool) -> str:
    """SHA-256 over the pinned parts, each with its length before it so that none runs into the next."""
    digest = hashlib.sha256(b"hashyard:pool")
    for part in (pool.reference, pool.url, pool.worker, pool.password):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()
