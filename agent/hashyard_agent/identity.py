"""Who this agent is towards the cloud."""

from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field

from hashyard_agent.errors import AgentError
from hashyard_shared.errors import ErrorCode
from hashyard_shared.signing import FINGERPRINT_CHARS, fingerprint, grouped, public_bytes


class NotEnrolledError(AgentError):
    """No identity yet: get a code from the site's page in the cloud and run `hashyard-agent enroll --code ...`."""

    code = ErrorCode.UNAUTHENTICATED


class AgentIdentity(BaseModel):
    """What the cloud answered at enrolment, as kept on disk. `epoch` is the one at enrolment."""

    model_config = ConfigDict(frozen=True)

    agent_id: str = Field(min_length=1, max_length=64)
    name: str = Field(max_length=64)
    organisation_id: str = Field(max_length=64)
    organisation_name: str = Field(max_length=200)
    site_id: str = Field(max_length=64)
    site_name: str = Field(max_length=200)
    timezone: str = Field(max_length=64)
    epoch: int = Field(ge=0)
    key_fingerprint: str = Field(min_length=FINGERPRINT_CHARS, max_length=FINGERPRINT_CHARS, pattern="^[0-9a-f]+$")
    cloud_url: str = Field(max_length=2_000)
    enrolled_at_us: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """The identity with its private key."""

    identity: AgentIdentity
    key: Ed25519PrivateKey

    @property
    def fingerprint(self) -> str:
        """What the cloud shows of this agent, and orders name."""
        return fingerprint(public_bytes(self.key))

    @property
    def shown_fingerprint(self) -> str:
        """The fingerprint in groups of four."""
        return grouped(self.fingerprint)


class IdentityStore(Protocol):
    """Where the identity and the key live. Errors: `StoreError`, `NotEnrolledError`."""

    def load(self) -> Credentials:
        """The identity with its key."""
        ...

    def enrolled(self) -> AgentIdentity | None:
        """The identity alone, or None when this agent is not enrolled."""
        ...

    def new_key(self) -> Ed25519PrivateKey:
        """A fresh key, durable but not in use until `adopt`."""
        ...

    def adopt(self, identity: AgentIdentity) -> None:
        """Make this identity, and the fresh key it names, the ones in use; older keys are removed."""
        ...
