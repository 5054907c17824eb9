"""Frames of outbox rows in, a verdict for each out."""

from aiohttp import web

from hashyard_cloud.services.ingest import Contact
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.web import keys
from hashyard_cloud.web.api.agent import calls
from hashyard_shared.protocol import SENT_AT_HEADER, SYNC_NONCE_HEADER


@calls.authenticated
async def receive(request: web.Request, agent: AgentRow) -> web.StreamResponse:
    """Answers 200 only when everything accepted is durable."""
    sent_at = request.headers.get(SENT_AT_HEADER, "")
    contact = Contact(
        sync_nonce=request.headers.get(SYNC_NONCE_HEADER),
        sent_at_us=int(sent_at) if sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 18 else None,
        protocol=calls.protocol(request),
    )
    answer = await request.app[keys.INGEST].receive(agent, await request.read(), contact)
    return calls.json_response(answer)
