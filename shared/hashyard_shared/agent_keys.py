"""An agent's change of its own key: one statement, signed by the old key and by the new one.

The old key proves that it is this agent who asks, the new one that the agent has it. Both sign the same bytes,
which hold a fresh nonce of the cloud, so neither signature can be used for another change.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hashyard_shared.errors import ErrorCode
from hashyard_shared.signing import (
    DocumentType,
    Envelope,
    SignatureError,
    decode_base64,
    encode_base64,
    fingerprint,
    public_bytes,
    sign,
    verify,
)

KEY_BYTES = 32


class KeyChangeError(SignatureError):
    """The change of the agent's key is not signed by the keys that it names."""

    code = ErrorCode.KEY_MISMATCH


class AgentKeyChange(BaseModel):
    """The statement. `old_key` is a fingerprint, `new_public_key` the raw key in base64, `nonce` the cloud's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent_id: str = Field(max_length=64)
    nonce: str = Field(max_length=64)
    old_key: str = Field(max_length=64)
    new_public_key: str = Field(max_length=64)

    def new_bytes(self) -> bytes:
        """The new raw public key. Errors: `KeyChangeError`."""
        public = decode_base64(self.new_public_key)
        if len(public) != KEY_BYTES:
            raise KeyChangeError(f"a public key has {KEY_BYTES} bytes")
        return public


class AgentKeyRequest(BaseModel):
    """`POST /agent/v1/key`: the statement under both signatures."""

    agent_id: str = Field(max_length=64)
    by_old: Envelope
    by_new: Envelope

    @classmethod
    def signed(
        cls, agent_id: str, nonce: str, old: Ed25519PrivateKey, new: Ed25519PrivateKey
    ) -> "AgentKeyRequest":
        """Ask for the change from `old` to `new`."""
        change = AgentKeyChange(
            agent_id=agent_id,
            nonce=nonce,
            old_key=fingerprint(public_bytes(old)),
            new_public_key=encode_base64(public_bytes(new)),
        )
        payload = change.model_dump_json().encode()
        return cls(
            agent_id=agent_id,
            by_old=sign(old, DocumentType.AGENT_KEY, payload),
            by_new=sign(new, DocumentType.AGENT_KEY, payload),
        )

    def opened(self) -> AgentKeyChange:
        """The statement, signed by the new key that it names. The old one is checked by `check_old`."""
        payload = self.by_new.payload_bytes()
        if self.by_old.payload_bytes() != payload:
            raise KeyChangeError("the two signatures are over different statements")
        try:
            change = AgentKeyChange.model_validate_json(payload)
        except ValidationError as error:
            raise KeyChangeError("the statement cannot be read") from error
        if change.agent_id != self.agent_id:
            raise KeyChangeError("the statement is of another agent")
        _verified(change.new_bytes(), self.by_new, "new")
        return change

    def check_old(self, known_public: bytes) -> None:
        """The key known so far signed it. Errors: `KeyChangeError`."""
        if self.opened().old_key != fingerprint(known_public):
            raise KeyChangeError("the statement names another old key")
        _verified(known_public, self.by_old, "old")


class AgentKeyAnswer(BaseModel):
    """The fingerprint of the key that counts from now on."""

    fingerprint: str


def _verified(public: bytes, envelope: Envelope, which: str) -> None:
    try:
        verify(public, DocumentType.AGENT_KEY, envelope)
    except SignatureError as error:
        raise KeyChangeError(f"the change is not signed by the {which} key") from error
