"""How an organisation's signing keys change under agents that pinned them: one signed document for each change.

An agent pins two keys: the one that signs now, and the next. A rotation names the two keys from then on and is
signed by the one that was the next, which stays as the first of them: the key in daily use alone can change
nothing. The recovery key, which is kept offline, may name any two keys. Documents form a chain by their sequence,
so an agent that was away for several rotations follows them one by one.
"""

from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hashyard_shared.errors import ErrorCode, SharedError
from hashyard_shared.signing import DocumentType, Envelope, decode_base64, fingerprint, sign, verify

KEY_SLOTS: Final = 2
KEY_BYTES: Final = 32
MAX_REVOKED: Final = 16
MAX_ROTATIONS: Final = 64
"""So many documents are kept and sent; whoever missed more pins the keys on site."""


class RotationFormError(SharedError):
    """The rotation has a field that this agent does not know, or lacks one that it needs."""

    code = ErrorCode.ROTATION_UNKNOWN_FIELD


class KeyRotation(BaseModel):
    """`signing_keys` are raw Ed25519 keys in base64, current and next; `revoked_keys` are fingerprints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organisation_id: str = Field(max_length=64)
    sequence: int = Field(ge=1)
    signing_keys: tuple[str, ...] = Field(min_length=KEY_SLOTS, max_length=KEY_SLOTS)
    revoked_keys: tuple[str, ...] = Field(default=(), max_length=MAX_REVOKED)
    issued_at_us: int

    @model_validator(mode="after")
    def _two_keys(self) -> Self:
        keys = [decode_base64(text) for text in self.signing_keys]
        if any(len(key) != KEY_BYTES for key in keys) or len(set(keys)) != KEY_SLOTS:
            raise ValueError(f"a rotation names {KEY_SLOTS} different keys of {KEY_BYTES} bytes")
        return self

    def fingerprints(self) -> tuple[str, ...]:
        """Of the two keys, current and next."""
        return tuple(fingerprint(decode_base64(text)) for text in self.signing_keys)

    def signed(self, key: Ed25519PrivateKey) -> Envelope:
        """The document under this signature."""
        return sign(key, DocumentType.KEY_ROTATION, self.model_dump_json().encode())

    @classmethod
    def opened(cls, public: bytes, envelope: Envelope) -> "KeyRotation":
        """Verify, then read. Raises `SignatureError` or `RotationFormError`."""
        payload = verify(public, DocumentType.KEY_ROTATION, envelope)
        try:
            return cls.model_validate_json(payload)
        except (ValidationError, SharedError) as error:
            raise RotationFormError(f"the rotation cannot be read: {_first_field(error)}") from error


def _first_field(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors(include_input=False, include_url=False)[0]
    return ".".join(map(str, problem["loc"])) or problem["msg"]
