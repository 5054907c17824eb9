"""`/agent/v1`: what agents call. See `hashyard_shared.protocol`."""

from aiohttp import web

from hashyard_cloud.web.api.agent import batches, desired, identity


def routes() -> list[web.RouteDef]:
    """All calls of the agent protocol."""
    return [
        web.post("/agent/v1/enrol", identity.enrol),
        web.post("/agent/v1/challenge", identity.challenge),
        web.post("/agent/v1/token", identity.token),
        web.post("/agent/v1/key", identity.change_key),
        web.post("/agent/v1/batches", batches.receive),
        web.get("/agent/v1/desired", desired.current),
    ]
