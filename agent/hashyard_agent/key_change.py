"""The agent's own key, changed without a moment at which neither side knows which one counts.

The new key is durable, as the pending one, before the cloud hears of it. The request is signed by both keys. After
the answer the pending key is put in use by one rename. Where the answer was lost, the same request is simply made
again: the cloud answers it alike when the new key counts already. So a break at any point leaves the old key in
use, or is finished by whoever comes next: the agent, or the technician's command.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Protocol

from hashyard_agent.errors import StoreError
from hashyard_agent.identity import AgentIdentity, Credentials, IdentityStore, PendingKey
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.retry import cloud_retrying
from hashyard_shared.agent_keys import AgentKeyAnswer, AgentKeyRequest
from hashyard_shared.protocol import TASK_ROTATE_KEY, DesiredState
from hashyard_shared.signing import grouped

LOG: Final = logging.getLogger(__name__)
LOOK_S: Final = 30.0
"""How often the agent looks whether the technician's command left a change unfinished."""


class KeyLink(Protocol):
    """The calls that need no token. Errors: `CloudError`."""

    async def challenge(self, agent_id: str) -> str:
        """A nonce to sign, in base64."""
        ...

    async def change_key(self, request: AgentKeyRequest) -> AgentKeyAnswer:
        """Ask for a new key to count."""
        ...


class IdentityFiles(IdentityStore, Protocol):
    """The identity, and whether it was replaced."""

    def stamp(self) -> tuple[int, int]:
        """What changes when the identity is replaced."""
        ...


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """Both fingerprints, for people to compare."""

    old: str
    new: str


class KeyRing:
    """The key in use, and its change; implements `Keys`. Another process may change it, which is noticed."""

    def __init__(self, identities: IdentityFiles, link: KeyLink) -> None:
        self._identities = identities
        self._link = link
        self._known = identities.load()
        self._stamp = identities.stamp()

    def current(self) -> Credentials:
        """The identity with the key in use."""
        try:
            stamp = self._identities.stamp()
            if stamp != self._stamp:
                self._known = self._identities.load()
                self._stamp = stamp
        except StoreError as error:
            # What is in memory was good a moment ago; the next look may find the file again.
            LOG.warning("the identity cannot be looked up: %s", error)
        return self._known

    async def settle(self, used: str) -> bool:
        """See `Keys`."""
        async with self._identities.changing():
            if self.current().fingerprint == used:
                await self._finish(self._known, "")
        return self.current().fingerprint != used

    async def change(self, asked: str = "") -> ChangedKey:
        """Make a new key and have the cloud accept it; an unfinished change is finished instead.

        Errors: `CloudError`, `StoreError`; the change is then pending, and made again by the next try.
        """
        async with self._identities.changing():
            old = self.current()
            if asked and old.identity.key_asked == asked:
                return ChangedKey(old.identity.former_fingerprint, old.fingerprint)
            if self._identities.pending() is None:
                self._identities.prepare(asked)
            await self._finish(old, asked)
        return ChangedKey(old.fingerprint, self.current().fingerprint)

    async def tidy(self) -> None:
        """Remove what a change left behind that broke off after its last step."""
        async with self._identities.changing():
            self._identities.tidy()

    def unfinished(self) -> bool:
        """Whether a change waits for the cloud's yes."""
        return self._identities.pending() is not None

    async def _finish(self, old: Credentials, asked: str) -> None:
        pending = self._identities.pending()
        if pending is None:
            return
        agent_id = old.identity.agent_id
        nonce = await self._link.challenge(agent_id)
        await self._link.change_key(AgentKeyRequest.signed(agent_id, nonce, old.key, pending.key))
        fresh = self._identities.promote(PendingKey(pending.key, asked or pending.asked))
        LOG.warning(
            "this agent has a new key %s in place of %s", fresh.shown_fingerprint, grouped(old.fingerprint)
        )


class KeyChanges:
    """Changes the key when the cloud asks for it, and finishes what broke off."""

    def __init__(self, ring: KeyRing, monitor: LinkMonitor) -> None:
        self._ring = ring
        self._monitor = monitor
        self._asked = ""
        self._woken = asyncio.Event()

    def offer(self, document: DesiredState) -> None:
        """A new document came."""
        self._asked = next((task.task_id for task in document.tasks if task.kind == TASK_ROTATE_KEY), "")
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled. Errors: `StoreError`; the cloud's errors are retried here."""
        await self._ring.tidy()
        while True:
            self._woken.clear()
            if self._ring.unfinished() or self._asked not in {"", self._identity.key_asked}:
                async for attempt in cloud_retrying(self._monitor):
                    with attempt:
                        await self._ring.change(self._asked)
            try:
                await asyncio.wait_for(self._woken.wait(), LOOK_S)
            except TimeoutError:
                continue

    @property
    def _identity(self) -> AgentIdentity:
        return self._ring.current().identity
