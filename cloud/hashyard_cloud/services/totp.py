"""The second step of signing in: time-based codes (RFC 6238), each usable once."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from hashyard_cloud.errors import ForbiddenError, MalformedError, UnauthenticatedError
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.users import ResetRow, UserRow
from hashyard_cloud.services.users import TOKEN_BYTES, limit_attempts, secret_hash
from hashyard_shared.clock import US_PER_S, Clock

STEP_S: Final = 30
DIGITS: Final = 6
DRIFT_STEPS: Final = 1
SECRET_BYTES: Final = 20
PENDING_S: Final = 300
MAX_CODES_PER_WINDOW: Final = 8
_PENDING: Final = "totp:"
WRONG_CODE: Final = "This code is not right, or was used already. Wait for the next one."


def new_secret() -> str:
    """A fresh secret in base32, as authenticator apps take it."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def code_at(secret: str, step: int) -> str:
    """The code of a 30-second step (RFC 4226, dynamic truncation of HMAC-SHA-1)."""
    digest = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1).digest()
    at = digest[-1] & 0x0F
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(secret: str, code: str, now_us: int, last_step: int) -> int | None:
    """The step whose code this is, a step of drift allowed; None for a wrong code or one that was used."""
    given = "".join(code.split())
    now_step = now_us // US_PER_S // STEP_S
    for step in range(now_step - DRIFT_STEPS, now_step + DRIFT_STEPS + 1):
        if step > last_step and hmac.compare_digest(code_at(secret, step).encode(), given.encode()):
            return step
    return None


def address(secret: str, issuer: str, email: str) -> str:
    """What an authenticator app opens."""
    return f"otpauth://totp/{quote(issuer)}:{quote(email)}?secret={secret}&issuer={quote(issuer)}"


async def enable(database: Database, clock: Clock, user_id: str, secret: str, code: str) -> None:
    """Turn the second step on, once the app has shown a right code."""
    try:
        step = step_of(secret, code, clock.now_us(), 0)
    except ValueError as error:
        raise MalformedError("Start again: the secret is not readable.", field="code") from error
    if step is None:
        raise MalformedError("This code is not right. Check the clock of your phone.", field="code")
    async with database.transaction() as tx:
        user = await tx.users.get(user_id)
        if user is None or user.totp_secret is not None:
            raise ForbiddenError("The second step is on already.")
        await tx.users.update(replace(user, totp_secret=secret, totp_last_step=step))


async def disable(database: Database, clock: Clock, user_id: str, code: str) -> None:
    """Turn it off; needs a right code."""
    async with database.reading() as tx:
        user = await tx.users.get(user_id)
    if user is None or user.totp_secret is None:
        return
    await use(database, clock, user, code)
    async with database.transaction() as tx:
        fresh = await tx.users.get(user_id)
        if fresh is not None:
            await tx.users.update(replace(fresh, totp_secret=None))


async def use(database: Database, clock: Clock, user: UserRow, code: str) -> None:
    """Take a code; raises `UnauthenticatedError` for a wrong or used one, `RateLimitedError` for too many."""
    await limit_attempts(database, clock, {f"totp:{user.user_id}": MAX_CODES_PER_WINDOW})
    async with database.transaction() as tx:
        fresh = await tx.users.get(user.user_id)
        if fresh is None or fresh.totp_secret is None:
            raise UnauthenticatedError(WRONG_CODE)
        step = step_of(fresh.totp_secret, code, clock.now_us(), fresh.totp_last_step)
        if step is None:
            raise UnauthenticatedError(WRONG_CODE)
        await tx.users.update(replace(fresh, totp_last_step=step))
        await tx.users.clear_attempts(f"totp:{user.user_id}")


async def begin(database: Database, clock: Clock, user: UserRow) -> str:
    """The password was right: what the form of the second step carries, for five minutes."""
    secret = secrets.token_urlsafe(TOKEN_BYTES)
    expires_us = clock.now_us() + PENDING_S * US_PER_S
    async with database.transaction() as tx:
        await tx.users.add_reset(ResetRow(secret_hash(_PENDING + secret), user.user_id, expires_us, None))
    return secret


async def finish(database: Database, clock: Clock, pending: str, code: str) -> UserRow:
    """The user of a begun sign-in, if the code is right; raises `UnauthenticatedError` with nothing else said."""
    async with database.transaction() as tx:
        taken = await tx.users.take_reset(secret_hash(_PENDING + pending), clock.now_us())
        user = await tx.users.get(taken.user_id) if taken else None
    if user is None:
        raise UnauthenticatedError("This took too long. Sign in again.")
    await use(database, clock, user, code)
    return user
