"""Enrolment, challenge, token, change of key."""

from aiohttp import web

from hashyard_cloud.web import keys
from hashyard_cloud.web.api.agent import calls
from hashyard_shared.agent_keys import AgentKeyRequest
from hashyard_shared.protocol import ChallengeRequest, EnrolRequest, TokenRequest


@calls.anonymous
async def enrol(request: web.Request) -> web.StreamResponse:
    """One-time code and public key -> who the agent is, and what may be pinned."""
    request.app[keys.ENROL_LIMIT].take(request.remote or "")
    asked = await calls.body_as(request, EnrolRequest)
    return calls.json_response(await request.app[keys.ENROLMENT].enrol(asked, calls.protocol(request)))


@calls.anonymous
async def challenge(request: web.Request) -> web.StreamResponse:
    """Agent id -> a nonce to sign."""
    asked = await calls.body_as(request, ChallengeRequest)
    request.app[keys.IDENTITY_LIMIT].take(asked.agent_id)
    return calls.json_response(await request.app[keys.AGENTS].challenge(asked.agent_id))


@calls.anonymous
async def token(request: web.Request) -> web.StreamResponse:
    """Signed nonce -> bearer token and signed time."""
    asked = await calls.body_as(request, TokenRequest)
    request.app[keys.IDENTITY_LIMIT].take(asked.agent_id)
    return calls.json_response(await request.app[keys.AGENTS].token(asked))


@calls.anonymous
async def change_key(request: web.Request) -> web.StreamResponse:
    """A new key under the signatures of both -> the fingerprint that counts."""
    asked = await calls.body_as(request, AgentKeyRequest)
    request.app[keys.IDENTITY_LIMIT].take(asked.agent_id)
    return calls.json_response(await request.app[keys.AGENT_KEYS].change(asked))
