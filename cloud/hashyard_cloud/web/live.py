"""Live pages: one stream of server-sent events for a browser, which says that there is something new, never what.

The page then asks for its own pieces again, so that rights are checked where they always are. The stream ends with
the session, with its rights, and with the service; it survives proxies because it is never silent for long.
"""

import asyncio
from typing import Final

from aiohttp import hdrs, web

from hashyard_cloud.errors import UnavailableError
from hashyard_cloud.services import users
from hashyard_cloud.services.live import Listener
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys, security
from hashyard_cloud.web.pages import host_page
from hashyard_cloud.web.portal.access import Guest, portal_page

PORTAL_PATH: Final = "/portal/events"
HEARTBEAT_S: Final = 15.0
PAUSE_S: Final = 1.0
"""At least so long between two pieces of news: a page need not follow every single reading."""
SEND_TIMEOUT_S: Final = 10.0
RETRY_MS: Final = 3_000
FULL_RETRY_S: Final = 60
_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",
}


def routes() -> list[web.RouteDef]:
    """The routes of the streams."""
    return [
        web.get("/live", host_page(host_stream)),
        web.get(PORTAL_PATH, portal_page(portal_stream)),
    ]


async def host_stream(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /live: for the host's pages."""
    return await _stream(request, viewer)


async def portal_stream(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/events: for the portal."""
    return await _stream(request, guest.viewer)


async def _stream(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    live = request.app[keys.LIVE]
    listener = live.listen(viewer.organisation_id, viewer.session.session_id, lambda: _gone(request))
    if listener is None:
        raise UnavailableError("Too many pages are open at once.", retry_after_s=FULL_RETRY_S)
    try:
        response = web.StreamResponse(headers=_HEADERS | security.HEADERS)
        await response.prepare(request)
        await _tell(request, viewer, listener, response)
    except (ConnectionResetError, TimeoutError):
        # The browser went away, or does not read: it comes back by itself.
        pass
    finally:
        live.leave(listener)
    return response


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _tell(request: web.Request, viewer: Viewer, listener: Listener, response: web.StreamResponse) -> None:
    # Whoever comes back may have missed something; a page that was just loaded has not.
    back = "Last-Event-ID" in request.headers
    await _send(response, f"retry: {RETRY_MS}\n{_event('news' if back else 'hello')}")
    while True:
        news = await listener.wait(HEARTBEAT_S)
        if request.app[keys.LIVE].closed:
            return
        if not await _may_listen(request, viewer):
            await _send(response, _event("end"))
            return
        await _send(response, _event("news" if news else "beat"))
        if news:
            await asyncio.sleep(PAUSE_S)


def _event(name: str) -> str:
    return f"id: 1\nevent: {name}\ndata: 1\n\n"


async def _send(response: web.StreamResponse, text: str) -> None:
    await asyncio.wait_for(response.write(text.encode()), SEND_TIMEOUT_S)


async def _may_listen(request: web.Request, viewer: Viewer) -> bool:
    """Whether the session still is what it was when the stream began. An open page does not keep it alive."""
    secret = request.cookies.get(security.SESSION_COOKIE, "")
    now = await users.resolve(request.app[keys.DATABASE], request.app[keys.CLOCK], secret, touch=False)
    if now is None or now.membership.role is not viewer.membership.role:
        return False
    if now.membership.customer_id != viewer.membership.customer_id:
        return False
    if request.path == PORTAL_PATH and now.session.view_customer_id != viewer.session.view_customer_id:
        return False
    if now.role is not Role.CUSTOMER or now.membership.customer_id is None:
        return True
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await tx.customers.get(now.organisation_id, now.membership.customer_id)
    return customer is not None and customer.active and customer.portal_access


async def stop(app: web.Application) -> None:
    """Let the streams go before connections are closed; otherwise a stop would wait for them."""
    app[keys.LIVE].close()
