"""The agent's identity and key as files in its own folder: `identity.json`, and the key (0600) that it names.

A key is written under its own fingerprint before it is enrolled, so that replacing `identity.json` is the one step
that switches both: an enrolment that breaks off leaves the old identity working. A change of key goes the
same way; `new-key.json` names the key that waits for the cloud's yes.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ValidationError

from hashyard_agent.adapters.files import write_durably
from hashyard_agent.adapters.store import explained
from hashyard_agent.errors import StoreError
from hashyard_agent.identity import AgentIdentity, Credentials, NotEnrolledError, PendingKey
from hashyard_shared.signing import fingerprint, new_private_key, public_bytes

MAX_FILE_BYTES: Final = 64 * 1024
CHANGE_TIMEOUT_S: Final = 120.0
CHANGE_LOOK_S: Final = 0.05
_OTHERS: Final = 0o077


class _PendingFile(BaseModel):
    key_fingerprint: str
    asked: str = ""


class FileIdentityStore:
    """`IdentityStore` over files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._identity_file = folder / "identity.json"
        self._pending_file = folder / "new-key.json"

    def load(self) -> Credentials:
        """The identity with its key; refuses a key that others may read."""
        identity = self.enrolled()
        if identity is None:
            raise NotEnrolledError
        return Credentials(identity, _load_key(self._key_file(identity.key_fingerprint)))

    def enrolled(self) -> AgentIdentity | None:
        """The identity alone, or None."""
        if not self._identity_file.exists():
            return None
        try:
            return AgentIdentity.model_validate_json(_read(self._identity_file))
        except ValidationError as error:
            raise StoreError(
                f"{self._identity_file} cannot be read as an identity; enrol this agent again with a new code"
            ) from error

    def new_key(self) -> Ed25519PrivateKey:
        """A fresh key in a file of its own."""
        key = new_private_key()
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_durably(self._key_file(fingerprint(public_bytes(key))), text, 0o600)
        return key

    def adopt(self, identity: AgentIdentity) -> None:
        """Switch to this identity, then remove keys that nobody needs any more."""
        write_durably(self._identity_file, identity.model_dump_json(indent=2).encode(), 0o644)
        self._forget_all_but(identity.key_fingerprint)

    def pending(self) -> PendingKey | None:
        """The key that `new-key.json` names; one in use already (a break after the switch) is not pending."""
        if not self._pending_file.exists():
            return None
        try:
            named = _PendingFile.model_validate_json(_read(self._pending_file))
        except ValidationError as error:
            raise StoreError(
                f"{self._pending_file} cannot be read; remove it, and change the key again"
            ) from error
        identity = self.enrolled()
        if identity is None or identity.key_fingerprint == named.key_fingerprint:
            return None
        return PendingKey(_load_key(self._key_file(named.key_fingerprint)), named.asked)

    def tidy(self) -> None:
        """Remove what a break right after the switch left behind: the old key is of no use to us or to a thief."""
        if self._pending_file.exists() and self.pending() is None:
            self._forget_all_but(self.load().identity.key_fingerprint)

    def prepare(self, asked: str) -> PendingKey:
        """First the key, then the file that names it: a break in between leaves a key that nobody asks for."""
        key = self.new_key()
        named = _PendingFile(key_fingerprint=fingerprint(public_bytes(key)), asked=asked)
        write_durably(self._pending_file, named.model_dump_json().encode(), 0o600)
        return PendingKey(key, asked)

    def promote(self, pending: PendingKey) -> Credentials:
        """Replacing `identity.json` is the switch; what is removed after it is not needed by either side."""
        old = self.load().identity
        fields = {
            "key_fingerprint": fingerprint(public_bytes(pending.key)),
            "former_fingerprint": old.key_fingerprint,
            "key_asked": pending.asked or old.key_asked,
        }
        identity = old.model_copy(update=fields)
        write_durably(self._identity_file, identity.model_dump_json(indent=2).encode(), 0o644)
        self._forget_all_but(identity.key_fingerprint)
        return Credentials(identity, pending.key)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """A lock on a file, which the kernel gives back when its holder ends, however it ends."""
        with explained(self._folder):
            handle = os.open(self._folder / "key.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await _lock(handle)
            yield
        finally:
            os.close(handle)

    def stamp(self) -> tuple[int, int]:
        """What changes when the identity is replaced."""
        with explained(self._identity_file):
            found = self._identity_file.stat()
        return found.st_mtime_ns, found.st_ino

    def _forget_all_but(self, key_fingerprint: str) -> None:
        in_use = self._key_file(key_fingerprint)
        with explained(self._folder):
            self._pending_file.unlink(missing_ok=True)
            for file in self._folder.glob("agent-*.key"):
                if file != in_use:
                    file.unlink(missing_ok=True)

    def _key_file(self, key_fingerprint: str) -> Path:
        return self._folder / f"agent-{key_fingerprint}.key"


async def _lock(handle: int) -> None:
    looks = int(CHANGE_TIMEOUT_S / CHANGE_LOOK_S)
    for _ in range(looks):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(CHANGE_LOOK_S)
        else:
            return
    raise StoreError("another process is changing the agent's key; try again later")


def _load_key(path: Path) -> Ed25519PrivateKey:
    data = _read(path)
    mode = path.stat().st_mode
    if mode & _OTHERS:
        raise StoreError(
            f"{path} can be read by others (mode {mode & 0o777:o}); "
            "run chmod 600 on it, and enrol again if somebody may have copied it"
        )
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except ValueError as error:
        raise StoreError(f"{path} is damaged; enrol this agent again with a new code") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{path} is not an Ed25519 key; enrol this agent again with a new code")
    return key


def _read(path: Path) -> bytes:
    try:
        with explained(path), path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except StoreError:
        if not path.exists():
            raise StoreError(f"{path} is missing; enrol this agent again with a new code") from None
        raise
