"""The desired state by long-poll."""

from aiohttp import web

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.web import keys
from hashyard_cloud.web.api.agent import calls


@calls.authenticated
async def current(request: web.Request, agent: AgentRow) -> web.StreamResponse:
    """The whole document with its ETag, or 304 when it stayed the same for `wait_s`."""
    wait_s = calls.seconds(request.query.get("wait_s"), "wait_s")
    known = request.headers.get("If-None-Match")
    found = await request.app[keys.DESIRED].current(agent, known, wait_s)
    if found is None:
        return web.Response(status=304, headers={"ETag": known or ""})
    document, etag = found
    return calls.json_response(document, {"ETag": etag})
