"""Agents: identity, tokens, health and gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hashyard_shared.events import Gap


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """An enrolled agent. `public_key` is base64; `clock_offset_us` is the agent's clock minus ours, as last seen.

    `epoch` grows with each re-enrolment and each conflict. `sync_nonce` rotates at each delivery: who presents
    neither it nor the one before is a copy. `health` is the JSON of the newest `events.Health`.
    `key_asked_at_us` is set while a person waits for the agent to make itself a new key; `former_fingerprint`
    is the key before this one.
    """

    agent_no: int
    agent_id: str
    organisation_id: str
    site_id: str
    name: str
    public_key: str
    fingerprint: str
    former_fingerprint: str | None
    key_changed_at_us: int | None
    key_asked_at_us: int | None
    version: str
    protocol: int
    epoch: int
    replaces_agent_id: str | None
    enrolled_at_us: int
    last_seen_us: int | None
    clock_offset_us: int | None
    revoked_at_us: int | None
    revoked_reason: str | None
    clone_suspected_at_us: int | None
    sync_nonce: str | None
    sync_nonce_previous: str | None
    health: str | None
    health_at_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgent:
    """What is known of an agent when it enrols."""

    agent_id: str
    site_id: str
    name: str
    public_key: str
    fingerprint: str
    version: str
    protocol: int
    epoch: int
    replaces_agent_id: str | None
    enrolled_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRow:
    """Cycles that could not be kept or taken, `[from_us, to_us)`, and why."""

    agent_id: str
    from_us: int
    to_us: int
    cycles: int
    samples: int
    reason: str


class AgentsStore(Protocol):
    """Agents of an organisation. `by_id` and `by_token` find one before its organisation is known."""

    async def add(self, organisation_id: str, new: NewAgent) -> AgentRow: ...

    async def re_enrol(self, organisation_id: str, new: NewAgent) -> AgentRow:
        """Give a known agent id to a new box: new key and epoch, no tokens, not revoked."""
        ...

    async def by_id(self, agent_id: str) -> AgentRow | None: ...

    async def by_token(self, token_hash: str, now_us: int) -> AgentRow | None:
        """Whose unexpired token this is."""
        ...

    async def get(self, organisation_id: str, agent_id: str) -> AgentRow | None: ...

    async def all(self, organisation_id: str, site_id: str | None = None) -> list[AgentRow]:
        """Newest enrolment first."""
        ...

    async def seen(
        self,
        organisation_id: str,
        agent_id: str,
        at_us: int,
        *,
        clock_offset_us: int | None = None,
        protocol: int | None = None,
    ) -> None:
        """Record a contact."""
        ...

    async def next_epoch(self, organisation_id: str, agent_id: str, above: int) -> int:
        """Hand out an epoch above the agent's own and above this one."""
        ...

    async def rotate_nonce(
        self,
        organisation_id: str,
        agent_id: str,
        nonce: str,
        previous: str | None,
        clone_suspected_at_us: int | None,
    ) -> None: ...

    async def clear_clone(self, organisation_id: str, agent_id: str) -> None: ...

    async def set_key(self, agent: AgentRow, public_key: str, fingerprint: str, at_us: int) -> None:
        """The agent's new key; tokens and challenges of the old one are forgotten."""
        ...

    async def ask_key(self, organisation_id: str, agent_id: str, at_us: int) -> None:
        """Remember that a new key is asked of the agent."""
        ...

    async def revoke(self, organisation_id: str, agent_id: str, at_us: int, reason: str) -> bool:
        """Revoke and forget its tokens; False when there is no such agent or it is revoked already."""
        ...

    async def add_challenge(self, agent_id: str, nonce: str, expires_at_us: int, keep: int) -> None:
        """Remember a nonce; of this agent's older ones only the newest `keep` stay."""
        ...

    async def take_challenge(self, agent_id: str, nonce: str, now_us: int) -> bool:
        """Whether this nonce was open; it is not any more."""
        ...

    async def add_token(self, agent: AgentRow, token_hash: str, expires_at_us: int, now_us: int) -> None:
        """Remember a token, and forget those that ran out."""
        ...

    async def set_health(self, organisation_id: str, agent_id: str, at_us: int, health: str) -> None:
        """Keep the newest health report."""
        ...

    async def add_gap(self, agent: AgentRow, epoch: int, seq: int, place: int, gap: Gap) -> None:
        """Idempotent by (agent, epoch, seq, place)."""
        ...

    async def gaps(self, organisation_id: str, agent_ids: Sequence[str], from_us: int, to_us: int) -> list[GapRow]:
        """Gaps that touch `[from_us, to_us)`, by time."""
        ...
