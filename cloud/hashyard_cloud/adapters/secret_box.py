"""AES-256-GCM under the service's master key, which lies in a file that only its owner reads."""

import base64
import binascii
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hashyard_cloud.errors import CloudError, StartError
from hashyard_shared.errors import ErrorCode

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_PREFIX: Final = "v1:"


class UnsealError(CloudError):
    """A sealed value cannot be opened with this master key; restore the key file that belongs to this store."""

    code = ErrorCode.CORRUPT


class MasterKeyError(StartError):
    """The master key file cannot be used."""

    code = ErrorCode.UNAVAILABLE
    exit_code = 3


class AesSecretBox:
    """Implements `services.ports.secrets.SecretBox`."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def from_file(cls, path: Path) -> "AesSecretBox":
        """Read the key; made where there is none. Raises `MasterKeyError` when it cannot be used."""
        try:
            if not path.exists():
                _create(path)
            key = path.read_bytes()
        except OSError as error:
            raise MasterKeyError(f"master key {path}: {error.strerror}") from error
        if len(key) != KEY_BYTES:
            raise MasterKeyError(f"master key {path} must be {KEY_BYTES} bytes, not {len(key)}")
        return cls(key)

    def seal(self, secret: bytes, context: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret, context.encode())
        return _PREFIX + base64.b64encode(sealed).decode("ascii")

    def open(self, sealed: str, context: str) -> bytes:
        try:
            data = base64.b64decode(sealed.removeprefix(_PREFIX), validate=True)
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context.encode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise UnsealError from error


def _create(path: Path) -> None:
    """Write a new key so that a crash leaves either none or a whole one, and a second starter's key stays."""
    made = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, os.urandom(KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(made, path)
    except FileExistsError:
        return
    finally:
        made.unlink()
