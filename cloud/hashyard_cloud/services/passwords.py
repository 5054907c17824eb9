"""Passwords: argon2id, hashed outside the event loop, a bounded number at a time."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hashyard_cloud.errors import MalformedError

MIN_PASSWORD_CHARS: Final = 10
MAX_PASSWORD_CHARS: Final = 200
MAX_PARALLEL_HASHES: Final = 4
"""argon2id takes 64 MiB each; a burst of logins must not take all memory."""

_HASHER: Final = PasswordHasher()
_TURNS: Final = asyncio.Semaphore(MAX_PARALLEL_HASHES)


def check_strength(password: str, field: str = "password") -> None:
    """Raises `MalformedError` for a password that is too short, too long or a single repeated character."""
    if len(password) < MIN_PASSWORD_CHARS:
        raise MalformedError(f"Use at least {MIN_PASSWORD_CHARS} characters.", field=field)
    if len(password) > MAX_PASSWORD_CHARS:
        raise MalformedError(f"Use at most {MAX_PASSWORD_CHARS} characters.", field=field)
    if len(set(password)) == 1:
        raise MalformedError("Use more than one character.", field=field)


async def hash_password(password: str) -> str:
    """The argon2id text form."""
    async with _TURNS:
        return await asyncio.to_thread(_HASHER.hash, password)


_NOBODY: Final = _HASHER.hash("a password that nobody has")


async def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether it is the password. Takes as long where there is no account, so that time tells nothing."""
    if len(password) > MAX_PASSWORD_CHARS:
        return False
    async with _TURNS:
        return await asyncio.to_thread(_verify, password_hash or _NOBODY, password) and password_hash is not None


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
