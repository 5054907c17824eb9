"""Who this agent is towards the cloud."""

from contextlib import AbstractAsyncContextManager
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
    """What the cloud answered at enrolment, as kept on disk. `epoch` is the one at enrolment.

    `former_fingerprint` is the key before this one, `key_asked` the cloud's last request for a new key that was
    met.
    """

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
    former_fingerprint: str = Field(default="", max_length=FINGERPRINT_CHARS)
    key_asked: str = Field(default="", max_length=64)


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

    def current(self) -> "Credentials":
        """These: a key that nobody changes (see `Keys`)."""
        return self

    async def settle(self, used: str) -> bool:
        """There is no other key than this one."""
        del used
        return False


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A durable new key that waits for the cloud to accept it. `asked` names the request it answers, or ""."""

    key: Ed25519PrivateKey
    asked: str


class Keys(Protocol):
    """The agent's key as it is now. Whoever signs asks here each time: the key may be changed meanwhile."""

    def current(self) -> Credentials:
        """The identity with the key in use."""
        ...

    async def settle(self, used: str) -> bool:
        """The cloud refused the key with this fingerprint: finish a change under way; True when another is in use.

        Errors: `CloudError`, `StoreError`.
        """
        ...


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

    def pending(self) -> PendingKey | None:
        """The new key that waits for the cloud's yes."""
        ...

    def prepare(self, asked: str) -> PendingKey:
        """A fresh key as the pending one, durable before anybody is told of it."""
        ...

    def promote(self, pending: PendingKey) -> Credentials:
        """Put the pending key in use, in one step."""
        ...

    def tidy(self) -> None:
        """Remove what a change that broke off right after its last step left behind; only while `changing`."""
        ...

    def changing(self) -> AbstractAsyncContextManager[None]:
        """Only one process changes the key at a time. Errors: `StoreError` when another one does for too long."""
        ...
