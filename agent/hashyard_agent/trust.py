"""What is pinned on site: whose orders count, which pools may be ordered, and customers' recorded pools.

The trust document belongs to root and is read-only to the agent. It decides, with the site's own settings, what an
order from the cloud can do at all. Recorded pools carry customers' pool passwords and live in a file of their own.
"""

import re
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hashyard_agent.enforcement.comparison import UNIT_MARK, same_url, worker_for, worker_matches
from hashyard_agent.ports import Pool, PoolGroup
from hashyard_shared.signing import FINGERPRINT_CHARS, decode_base64, fingerprint
from hashyard_shared.trust import MAX_PASSWORD_CHARS, MAX_POOL_URL_CHARS, MAX_WORKER_CHARS, HoldingPool

KEY_SLOTS: Final = 2
MAX_POOLS: Final = 32
MAX_RETIRED_POOLS: Final = 64
MAX_REVOKED_KEYS: Final = 64
MAX_CUSTOMERS: Final = 10_000
KEY_BYTES: Final = 32
_FINGERPRINT: Final = re.compile(rf"[0-9a-f]{{{FINGERPRINT_CHARS}}}")


class _Pinned(BaseModel):
    """A field that is not understood must not be passed over: it may be a limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Trust(_Pinned):
    """The trust document.

    `signing_keys` are raw Ed25519 keys in base64, at most two, so that a rotation strands no site;
    `revoked_keys` are fingerprints. `recovery_key` (Ed25519) may sign a rotation when both slots are lost;
    `snapshot_key` (X25519) is what snapshots are sealed to. `retired_pools` were pinned before: a miner that
    shows one is at a pool of the host's all the same. `inexact_units` names units whose host accepted in
    writing that the way back may not be exact, and who.
    """

    version: Literal[1] = 1
    organisation_id: str = Field(max_length=64)
    site_id: str = Field(max_length=64)
    signing_keys: tuple[str, ...] = Field(min_length=1, max_length=KEY_SLOTS)
    revoked_keys: tuple[str, ...] = Field(default=(), max_length=MAX_REVOKED_KEYS)
    recovery_key: str | None = None
    snapshot_key: str | None = None
    holding_pools: tuple[HoldingPool, ...] = Field(default=(), max_length=MAX_POOLS)
    retired_pools: tuple[HoldingPool, ...] = Field(default=(), max_length=MAX_RETIRED_POOLS)
    inexact_units: dict[str, str] = Field(default_factory=dict, max_length=20_000)

    @field_validator("signing_keys", "recovery_key", "snapshot_key")
    @classmethod
    def _keys(cls, value: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        for key in (value,) if isinstance(value, str) else value or ():
            if len(decode_base64(key)) != KEY_BYTES:
                raise ValueError("a key is 32 bytes in base64")
        return value

    @field_validator("revoked_keys")
    @classmethod
    def _fingerprints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _FINGERPRINT.fullmatch(text) for text in value):
            raise ValueError(f"a revoked key is named by its fingerprint, {FINGERPRINT_CHARS} hex digits")
        return value

    @model_validator(mode="after")
    def _pools(self) -> Self:
        references = [pool.reference for pool in self.holding_pools]
        if len(set(references)) != len(references):
            raise ValueError("two holding pools have the same reference")
        for pool in self.holding_pools:
            # The label comes from the cloud. A worker that begins with it could name a stranger's account.
            if UNIT_MARK in pool.worker and not pool.worker.split(UNIT_MARK)[0].strip("."):
                raise ValueError(f"holding pool {pool.reference}: write the worker as account.{UNIT_MARK}")
        return self

    def key_of(self, key_fingerprint: str) -> bytes | None:
        """The pinned signing key with this fingerprint; None when it is not pinned."""
        keys = (decode_base64(text) for text in self.signing_keys)
        return next((key for key in keys if fingerprint(key) == key_fingerprint), None)

    def is_revoked(self, key_fingerprint: str) -> bool:
        """Whether the key was revoked on site."""
        return key_fingerprint in self.revoked_keys

    def pool(self, reference: str) -> HoldingPool | None:
        """The pinned pool of this name."""
        return next((pool for pool in self.holding_pools if pool.reference == reference), None)

    def is_holding(self, url: str, worker: str) -> bool:
        """Whether a pool in a miner is one of the host's, now or formerly pinned."""
        return any(
            same_url(pool.url, url) and worker_matches(pool.worker, worker)
            for pool in (*self.holding_pools, *self.retired_pools)
        )


class RecordedPool(_Pinned):
    """A customer's pool with its password. In `worker`, `{unit}` stands for the unit's label."""

    url: str = Field(min_length=1, max_length=MAX_POOL_URL_CHARS)
    worker: str = Field(min_length=1, max_length=MAX_WORKER_CHARS)
    password: str = Field(max_length=MAX_PASSWORD_CHARS)


class RecordedCustomer(_Pinned):
    """A customer's normal pools. `assigned_at_us` is set when they were ordered to replace what miners have."""

    customer_id: str = Field(max_length=64)
    name: str = Field(default="", max_length=200)
    pools: tuple[RecordedPool, ...] = Field(min_length=1, max_length=8)
    recorded_at_us: int
    recorded_by: str = Field(max_length=128)
    assigned_at_us: int | None = None


class RecordedPools(_Pinned):
    """The pools recorded on site, for all customers."""

    version: Literal[1] = 1
    customers: tuple[RecordedCustomer, ...] = Field(default=(), max_length=MAX_CUSTOMERS)

    def customer(self, customer_id: str) -> RecordedCustomer | None:
        """What is recorded for this customer."""
        return next((entry for entry in self.customers if entry.customer_id == customer_id), None)

    def password(self, customer_id: str, pool: Pool) -> str | None:
        """The recorded password of a pool whose password the miner does not give back; None when unknown.

        With no customer ("", a unit that the cloud never told of) anybody's record of the same pool and worker
        serves.
        """
        entries = [entry for entry in self.customers if entry.customer_id == customer_id or not customer_id]
        for known in (pool for entry in entries for pool in entry.pools):
            if same_url(known.url, pool.url) and worker_matches(known.worker, pool.worker):
                return known.password
        return None

    def groups(self, customer_id: str, label: str) -> tuple[PoolGroup, ...] | None:
        """The customer's recorded pools as they are written to this unit; None when none are recorded."""
        entry = self.customer(customer_id)
        if entry is None:
            return None
        pools = tuple(Pool(pool.url, worker_for(pool.worker, label), pool.password) for pool in entry.pools)
        return (PoolGroup(pools),)
