"""An agent's identity from request to request: challenge, token, revocation."""

import hashlib
import os
import secrets
from typing import Final

from hashyard_cloud.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from hashyard_cloud.services.ports.agent_trust import Signer
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import ChallengeAnswer, CloudTime, TokenAnswer, TokenRequest
from hashyard_shared.signing import (
    DocumentType,
    Envelope,
    SignatureError,
    decode_base64,
    encode_base64,
    verify,
)

TOKEN_LIFETIME_S: Final = 3_600
CHALLENGE_LIFETIME_S: Final = 120
CHALLENGE_BYTES: Final = 32
TOKEN_BYTES: Final = 32
MAX_OPEN_CHALLENGES: Final = 8
_BEARER: Final = "Bearer "


class Agents:
    """Who an agent is. Errors carry `agent-revoked` for a revoked one, so that it can say so on site."""

    def __init__(self, database: Database, clock: Clock, signer: Signer) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer

    async def challenge(self, agent_id: str) -> ChallengeAnswer:
        """A nonce to sign. An unknown agent gets one too, and fails at the token."""
        nonce = encode_base64(os.urandom(CHALLENGE_BYTES))
        async with self._database.transaction() as tx:
            agent = await tx.agents.by_id(agent_id)
            if agent is not None:
                refuse_revoked(agent)
                expires_at_us = self._clock.now_us() + CHALLENGE_LIFETIME_S * US_PER_S
                await tx.agents.add_challenge(agent_id, nonce, expires_at_us, MAX_OPEN_CHALLENGES)
        return ChallengeAnswer(nonce=nonce)

    async def token(self, request: TokenRequest) -> TokenAnswer:
        """A bearer token for a signed nonce; its hash is kept, the nonce is spent."""
        now_us = self._clock.now_us()
        token = secrets.token_urlsafe(TOKEN_BYTES)
        async with self._database.transaction() as tx:
            agent = await tx.agents.by_id(request.agent_id)
            if agent is None:
                raise UnauthenticatedError("This agent is not enrolled here; enrol it with a new code.")
            refuse_revoked(agent)
            nonce = _signed_nonce(agent, request.signed)
            if not await tx.agents.take_challenge(agent.agent_id, nonce, now_us):
                raise UnauthenticatedError("The challenge has expired or was used; ask for a new one.")
            await tx.agents.add_token(agent, token_hash(token), now_us + TOKEN_LIFETIME_S * US_PER_S, now_us)
            return TokenAnswer(
                token=token,
                expires_in_s=TOKEN_LIFETIME_S,
                epoch=agent.epoch,
                time=await signed_time(tx, self._signer, agent, now_us),
            )

    async def authenticate(self, authorization: str | None) -> AgentRow:
        """The agent whose unexpired token this header carries."""
        if authorization is None or not authorization.startswith(_BEARER):
            raise UnauthenticatedError("A bearer token is needed.")
        hashed = token_hash(authorization.removeprefix(_BEARER))
        async with self._database.reading() as tx:
            agent = await tx.agents.by_token(hashed, self._clock.now_us())
        if agent is None:
            raise UnauthenticatedError("The token has expired or is not known; sign a new challenge.")
        refuse_revoked(agent)
        return agent

    async def revoke(self, organisation_id: str, agent_id: str, reason: str) -> None:
        """Refuse this agent from now on; a connected one is woken, so that it hears of it at once."""
        async with self._database.transaction() as tx:
            agent = await tx.agents.get(organisation_id, agent_id)
            if agent is None:
                raise NotFoundError
            await tx.agents.revoke(organisation_id, agent_id, self._clock.now_us(), reason)
            await tx.desired.bump(organisation_id, agent.site_id)

    async def clear_clone(self, organisation_id: str, agent_id: str) -> None:
        """A person has looked: orders flow again."""
        async with self._database.transaction() as tx:
            agent = await tx.agents.get(organisation_id, agent_id)
            if agent is None:
                raise NotFoundError
            await tx.agents.clear_clone(organisation_id, agent_id)
            await tx.desired.bump(organisation_id, agent.site_id)


def token_hash(token: str) -> str:
    """What is stored instead of a token (256 random bits need no slow hash)."""
    return hashlib.sha256(b"hashyard:token:" + token.encode("utf-8", "replace")).hexdigest()


async def signed_time(tx: Transaction, signer: Signer, agent: AgentRow, now_us: int) -> Envelope:
    """Our wall time for this agent, signed with the organisation's key."""
    time = CloudTime(agent_id=agent.agent_id, at_us=now_us)
    return await signer.sign(tx, agent.organisation_id, DocumentType.TIME, time.model_dump_json().encode())


def refuse_revoked(agent: AgentRow) -> None:
    """Raise `ForbiddenError` for a revoked agent."""
    if agent.revoked_at_us is not None:
        reason = f": {agent.revoked_reason}" if agent.revoked_reason else ""
        raise ForbiddenError(f"This agent was revoked by the host{reason}.", code=ErrorCode.AGENT_REVOKED)


def _signed_nonce(agent: AgentRow, signed: Envelope) -> str:
    try:
        return encode_base64(verify(decode_base64(agent.public_key), DocumentType.CHALLENGE, signed))
    except SignatureError as error:
        message = "The challenge is not signed with this agent's key; the site's agent may have been replaced."
        raise UnauthenticatedError(message, code=ErrorCode.KEY_MISMATCH) from error
