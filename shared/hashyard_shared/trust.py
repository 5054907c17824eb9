"""Holding pools: what the cloud names and the agent pins on site."""

import hashlib
from enum import StrEnum
from typing import Final

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


class PoolPart(StrEnum):
    """The pinned parts of a pool, in the order in which they are compared."""

    URL = "URL"
    WORKER = "worker"
    PASSWORD = "password"  # noqa: S105 - the name of a part, not a password


_PART_CHARS: Final = {PoolPart.URL: 24, PoolPart.WORKER: 20, PoolPart.PASSWORD: 20}


def pool_hash(pool: HoldingPool) -> str:
    """64 hex characters over the pinned parts, so built that one can tell which part is another one.

    Three digests of SHA-256, cut short, each over its part and all before it. It is a check that both sides mean
    the same pool; what is written is always the pool pinned on site, so the cut costs nothing.
    """
    digest = hashlib.sha256(b"hashyard:pool")
    _add(digest, pool.reference)
    text = ""
    for part, value in zip(PoolPart, (pool.url, pool.worker, pool.password), strict=True):
        _add(digest, value)
        text += digest.hexdigest()[: _PART_CHARS[part]]
    return text


def first_difference(wanted_hash: str, pool: HoldingPool) -> PoolPart | None:
    """The first part in which a pool is not the one that the hash stands for; None when it is."""
    at = 0
    own = pool_hash(pool)
    for part, chars in _PART_CHARS.items():
        if wanted_hash[at : at + chars] != own[at : at + chars]:
            return part
        at += chars
    return None if wanted_hash == own else PoolPart.URL


def _add(digest: "hashlib._Hash", text: str) -> None:
    """With its length before it, so that no part runs into the next."""
    encoded = text.encode()
    digest.update(len(encoded).to_bytes(4, "big") + encoded)
