"""An agent's key: changed by the agent with the signatures of both keys, and asked for by a person."""

from hashyard_cloud.errors import ConflictError, NotFoundError, UnauthenticatedError
from hashyard_cloud.services import activity
from hashyard_cloud.services.agents import refuse_revoked
from hashyard_cloud.services.orders import OrderDesk
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_shared.agent_keys import AgentKeyAnswer, AgentKeyChange, AgentKeyRequest
from hashyard_shared.clock import Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.orders import OrderKind
from hashyard_shared.signing import SignatureError, decode_base64, fingerprint, grouped


class AgentKeys:
    """Changes of agents' keys. What was ordered for the old key is ordered anew for the new one."""

    def __init__(self, database: Database, clock: Clock, desk: OrderDesk) -> None:
        self._database = database
        self._clock = clock
        self._desk = desk

    async def change(self, request: AgentKeyRequest) -> AgentKeyAnswer:
        """Take the agent's new key. Asking again after a lost answer gets the same one."""
        async with self._database.transaction() as tx:
            agent = await tx.agents.by_id(request.agent_id)
            if agent is None:
                raise UnauthenticatedError("This agent is not enrolled here; enrol it with a new code.")
            refuse_revoked(agent)
            change = self._checked(agent, request)
            if not await tx.agents.take_challenge(agent.agent_id, change.nonce, self._clock.now_us()):
                raise UnauthenticatedError("The challenge has expired or was used; ask for a new one.")
            if change.new_public_key != agent.public_key:
                await self._take(tx, agent, change)
        return AgentKeyAnswer(fingerprint=fingerprint(change.new_bytes()))

    async def ask(self, organisation_id: str, actor: Actor, agent_id: str) -> AgentRow:
        """Ask an agent for a new key, because its old one may be in other hands."""
        now_us = self._clock.now_us()
        async with self._database.transaction() as tx:
            agent = await tx.agents.get(organisation_id, agent_id)
            if agent is None:
                raise NotFoundError
            if agent.revoked_at_us is not None:
                raise ConflictError("This agent is revoked; enrol one anew instead.")
            await tx.agents.ask_key(organisation_id, agent_id, now_us)
            text = f"Asked the agent {agent.name} for a new key in place of {grouped(agent.fingerprint)}"
            await activity.record(
                tx,
                now_us,
                organisation_id,
                actor,
                "agent.key-asked",
                text,
                object_kind="agent",
                object_id=agent_id,
            )
            await tx.desired.bump(organisation_id, agent.site_id)
            return await tx.agents.get(organisation_id, agent_id) or agent

    def _checked(self, agent: AgentRow, request: AgentKeyRequest) -> AgentKeyChange:
        try:
            change = request.opened()
            if change.new_public_key != agent.public_key:
                request.check_old(decode_base64(agent.public_key))
        except SignatureError as error:
            message = f"The change of key is refused: {error}."
            raise UnauthenticatedError(message, code=ErrorCode.KEY_MISMATCH) from error
        return change

    async def _take(self, tx: Transaction, agent: AgentRow, change: AgentKeyChange) -> None:
        now_us = self._clock.now_us()
        fresh = fingerprint(change.new_bytes())
        await tx.agents.set_key(agent, change.new_public_key, fresh, now_us)
        text = f"The agent {agent.name} has a new key {grouped(fresh)} in place of {grouped(agent.fingerprint)}"
        await activity.record(
            tx,
            now_us,
            agent.organisation_id,
            Actor(f"site:{agent.agent_id}", agent.name),
            "agent.key-changed",
            text,
            object_kind="agent",
            object_id=agent.agent_id,
        )
        # A restore must not wait; redirects are repeated by the next look at their gate.
        rows = await self._desk.outdated(tx, agent.organisation_id)
        await self._desk.repeat(tx, [row for row in rows if row.wanted is OrderKind.RESTORE])
        await tx.desired.bump(agent.organisation_id, agent.site_id)
