"""The same request twice has one effect: the second one is answered with what the first one got."""

import hashlib
from typing import Final

from hashyard_cloud.errors import ConflictError, IdempotencyMismatchError, MalformedError
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.idempotency import IdempotencyKey, IdempotencyRow
from hashyard_shared.clock import US_PER_S, Clock

MAX_KEY_CHARS: Final = 128
KEPT_S: Final = 24 * 3_600
MAX_ANSWER_CHARS: Final = 256 * 1024
FIELD: Final = "Idempotency-Key"


def checked(key: str) -> str:
    """The key as given; raises `MalformedError` for one that is empty, too long or not printable ASCII."""
    if not 1 <= len(key) <= MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
        raise MalformedError(f"Give 1 to {MAX_KEY_CHARS} printable ASCII characters.", field=FIELD)
    return key


def body_hash(*parts: bytes) -> str:
    """SHA-256 over the parts of a request, each with its length before it."""
    digest = hashlib.sha256(b"hashyard:idempotency")
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


async def begin(database: Database, clock: Clock, key: IdempotencyKey, hashed: str) -> IdempotencyRow | None:
    """Reserve the key and answer None, or answer what the first request with it got.

    Raises `IdempotencyMismatchError` for another request under the same key, `ConflictError` while the first one
    is under way, or when its end is not known because the service stopped in between.
    """
    now_us = clock.now_us()
    async with database.transaction() as tx:
        await tx.idempotency.drop_before(now_us - KEPT_S * US_PER_S)
        known = await tx.idempotency.get(key)
        if known is None:
            row = IdempotencyRow(key=key, body_hash=hashed, status=None, answer=None, created_us=now_us)
            await tx.idempotency.add(row)
            return None
    if known.body_hash != hashed:
        raise IdempotencyMismatchError(field=FIELD)
    if known.status is None:
        raise ConflictError("A request with this key is under way, or ended unknown; look before repeating it.")
    if known.answer is None:
        raise ConflictError("This was done already, and its answer, which holds a secret, is told only once.")
    return known


async def finish(database: Database, key: IdempotencyKey, status: int, answer: str | None) -> None:
    """Keep the answer; a longer one than is kept, and a secret, are not."""
    kept = answer if answer is not None and len(answer) <= MAX_ANSWER_CHARS else None
    async with database.transaction() as tx:
        await tx.idempotency.complete(key, status, kept)


async def abandon(database: Database, key: IdempotencyKey) -> None:
    """The request changed nothing: the key is free again."""
    async with database.transaction() as tx:
        await tx.idempotency.drop(key)
