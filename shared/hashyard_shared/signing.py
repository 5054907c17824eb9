"""Ed25519 signatures over exact bytes, with a prefix that keeps one kind of document from passing as another.

A signed document travels as an `Envelope`: the very bytes that were signed, never a re-serialised form.
"""

import base64
import binascii
import hashlib
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field

from hashyard_shared.errors import ErrorCode, SharedError

_PREFIX: Final = b"hashyard:1:"
MAX_PAYLOAD_BYTES: Final = 64 * 1024
FINGERPRINT_CHARS: Final = 32


class SignatureError(SharedError):
    """The signature does not belong to these bytes and this key."""

    code = ErrorCode.ORDER_SIGNATURE


class DocumentType(StrEnum):
    """What is signed; part of the signed bytes."""

    ORDER = "order"
    TIME = "time"
    CHALLENGE = "challenge"
    KEY_ROTATION = "key-rotation"
    AGENT_KEY = "agent-key"
    EVIDENCE = "evidence"


class Envelope(BaseModel):
    """A signed document: `payload` and `signature` are base64, `key` the signer's fingerprint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(max_length=FINGERPRINT_CHARS)
    payload: str = Field(max_length=MAX_PAYLOAD_BYTES * 4 // 3 + 4)
    signature: str = Field(max_length=100)

    def payload_bytes(self) -> bytes:
        """The signed bytes; raises `SignatureError` when they are not base64."""
        return decode_base64(self.payload)


def decode_base64(text: str) -> bytes:
    """Strict base64; raises `SignatureError` for anything else."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise SignatureError("not base64") from error


def encode_base64(data: bytes) -> str:
    """Base64 text of these bytes."""
    return base64.b64encode(data).decode("ascii")


def new_private_key() -> Ed25519PrivateKey:
    """A fresh Ed25519 key."""
    return Ed25519PrivateKey.generate()


def public_bytes(key: Ed25519PublicKey | Ed25519PrivateKey) -> bytes:
    """The raw 32 bytes of the public half."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes_raw()


def fingerprint(public: bytes) -> str:
    """What people compare: the first 128 bits of SHA-256 of the raw public key, in lower-case hex."""
    return hashlib.sha256(public).hexdigest()[:FINGERPRINT_CHARS]


def grouped(fingerprint_text: str) -> str:
    """A fingerprint in groups of four, as shown to people."""
    return " ".join(fingerprint_text[at : at + 4] for at in range(0, len(fingerprint_text), 4))


def _signed_bytes(document: DocumentType, payload: bytes) -> bytes:
    return _PREFIX + document.value.encode("ascii") + b"\x00" + payload


def sign(key: Ed25519PrivateKey, document: DocumentType, payload: bytes) -> Envelope:
    """Sign these exact bytes as this kind of document."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise SignatureError(f"payload of {len(payload)} bytes is over {MAX_PAYLOAD_BYTES}")
    signature = key.sign(_signed_bytes(document, payload))
    return Envelope(
        key=fingerprint(public_bytes(key)),
        payload=encode_base64(payload),
        signature=encode_base64(signature),
    )


def verify(public: bytes, document: DocumentType, envelope: Envelope) -> bytes:
    """The signed bytes, if `public` signed them as this kind of document; else `SignatureError`."""
    payload = envelope.payload_bytes()
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            decode_base64(envelope.signature), _signed_bytes(document, payload)
        )
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(f"signature by key {envelope.key} does not verify") from error
    return payload
