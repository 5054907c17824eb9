"""Snapshots sealed to the site's recovery key: the cloud keeps them and cannot read them.

An ephemeral X25519 key and the site's public key give a shared secret; HKDF-SHA256 makes a key of it and
ChaCha20-Poly1305 seals. The fixed nonce is safe, for each key is used once. A sealed text is base64 of the
ephemeral public key and the ciphertext.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import TypeAdapter

from hashyard_agent.enforcement.model import SnapshotRow
from hashyard_agent.errors import RefusedError
from hashyard_shared.errors import ErrorCode
from hashyard_shared.signing import decode_base64, encode_base64

KEY_BYTES: Final = 32
MAX_SEALED_CHARS: Final = 256 * 1024
_NONCE: Final = bytes(12)
_PURPOSE: Final = b"hashyard:snapshot:1"
_ROW: Final = TypeAdapter(SnapshotRow)


def sealed(row: SnapshotRow, public_key: str) -> str | None:
    """The snapshot, to be opened by the site's recovery key alone; None when it is too large to be synced."""
    ephemeral = X25519PrivateKey.generate()
    public = decode_base64(public_key)
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    own = ephemeral.public_key().public_bytes_raw()
    text = encode_base64(own + _cipher(shared, own + public).encrypt(_NONCE, _ROW.dump_json(row), own))
    return text if len(text) <= MAX_SEALED_CHARS else None


def opened(text: str, private_key: str) -> SnapshotRow:
    """What was sealed. Errors: `RefusedError` when the key is another one or the text was changed."""
    private = X25519PrivateKey.from_private_bytes(decode_base64(private_key.strip()))
    data = decode_base64(text.strip())
    own, ciphertext = data[:KEY_BYTES], data[KEY_BYTES:]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(own))
        public = private.public_key().public_bytes_raw()
        return _ROW.validate_json(_cipher(shared, own + public).decrypt(_NONCE, ciphertext, own))
    except (InvalidTag, ValueError) as error:
        raise RefusedError(ErrorCode.KEY_MISMATCH, "this key does not open it, or it was changed") from error


def _cipher(shared: bytes, context: bytes) -> ChaCha20Poly1305:
    key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_PURPOSE + context).derive(shared)
    return ChaCha20Poly1305(key)
