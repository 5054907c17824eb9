"""The agent's identity and key as files in its own folder: `identity.json`, and the key (0600) that it names.

A key is written under its own fingerprint before it is enrolled, so that replacing `identity.json` is the one step
that switches both: an enrolment that breaks off leaves the old identity working.
"""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from hashyard_agent.adapters.files import write_durably
from hashyard_agent.adapters.store import explained
from hashyard_agent.errors import StoreError
from hashyard_agent.identity import AgentIdentity, Credentials, NotEnrolledError
from hashyard_shared.signing import fingerprint, new_private_key, public_bytes

MAX_FILE_BYTES: Final = 64 * 1024
_OTHERS: Final = 0o077


class FileIdentityStore:
    """`IdentityStore` over files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._identity_file = folder / "identity.json"

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
        in_use = self._key_file(identity.key_fingerprint)
        with explained(self._folder):
            for file in self._folder.glob("agent-*.key"):
                if file != in_use:
                    file.unlink()

    def _key_file(self, key_fingerprint: str) -> Path:
        return self._folder / f"agent-{key_fingerprint}.key"


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
