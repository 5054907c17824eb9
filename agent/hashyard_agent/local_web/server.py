"""Serve the technician's page: server-rendered, one small style sheet, no script, nothing from elsewhere."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from importlib import resources
from ipaddress import ip_address
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jinja2
from aiohttp import web

from hashyard_agent.errors import AgentError, MinerError, SettingsError
from hashyard_agent.local_web.state import LocalSite, PageState
from hashyard_agent.text import duration, size
from hashyard_shared.clock import US_PER_S, utc

LOG = logging.getLogger(__name__)
MAX_FORM_BYTES: Final = 8 * 1024
MAX_LISTED: Final = 5
MAX_REASON_CHARS: Final = 200
SHUTDOWN_TIMEOUT_S: Final = 2.0
REFRESH_S: Final = 15
_COOKIE: Final = "hashyard-local"
_CSP: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_SITE: Final = web.AppKey("site", LocalSite)
_PAGES: Final = web.AppKey("pages", jinja2.Environment)
_SECRET: Final = web.AppKey("secret", bytes)
_NAMES: Final = web.AppKey("names", frozenset[str])


class LocalWeb:
    """The page as a part of the agent."""

    def __init__(self, site: LocalSite, host: str, port: int) -> None:
        self._runner = web.AppRunner(build_app(site, host), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        self._host = host
        self._port = port

    async def start(self) -> None:
        """Start serving. Errors: `SettingsError` when the address is taken or is not this machine's."""
        await self._runner.setup()
        tcp = web.TCPSite(self._runner, self._host, self._port)
        try:
            await tcp.start()
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsError(
                f"local_web.listen: {self._host}:{self._port} cannot be used ({error.strerror or error}); "
                "is a second agent running? Choose another port, or set local_web.enabled = false"
            ) from error
        LOG.info("the technician's page is at http://%s:%d/", *self.address)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._runner.addresses[0][:2]
        return str(host), int(port)

    async def close(self) -> None:
        """Stop serving."""
        await self._runner.cleanup()


def build_app(site: LocalSite, host: str) -> web.Application:
    """The page's application."""
    app = web.Application(client_max_size=MAX_FORM_BYTES, middlewares=[_guard])
    app[_SITE] = site
    app[_PAGES] = _environment()
    app[_SECRET] = secrets.token_bytes(32)
    app[_NAMES] = frozenset({host.lower(), "localhost"})
    app.add_routes(
        [
            web.get("/", _home),
            web.get("/failing", _failing),
            web.get("/stop", _ask_stop),
            web.post("/stop", _stop),
            web.post("/led", _led),
            web.get("/page.css", _css),
        ]
    )
    return app


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    # A name that a stranger's DNS points here must not reach the page (DNS rebinding).
    if not _is_own_name(request.host, request.app[_NAMES]):
        raise web.HTTPMisdirectedRequest(text="Open this page by the machine's address.")
    response = await handler(request)
    response.headers.update(
        {
            "Content-Security-Policy": _CSP,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
    )
    return response


def _is_own_name(host: str, names: frozenset[str]) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name.lower() in names:
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


async def _home(request: web.Request) -> web.Response:
    state = request.app[_SITE].state()
    return _page(request, "home.html", state, told=request.query.get("told", "")[:MAX_REASON_CHARS])


async def _failing(request: web.Request) -> web.Response:
    return _page(request, "failing.html", request.app[_SITE].state())


async def _ask_stop(request: web.Request) -> web.Response:
    return _page(request, "stop.html", request.app[_SITE].state())


async def _stop(request: web.Request) -> web.Response:
    form = await _checked_form(request)
    reason = str(form.get("reason", "")).strip()[:MAX_REASON_CHARS]
    if not reason:
        return _page(request, "stop.html", request.app[_SITE].state(), problem="Say why in a few words.")
    try:
        request.app[_SITE].emergency_stop(reason)
    except AgentError as error:
        LOG.error("the emergency stop could not be kept: %s", error)  # noqa: TRY400 - the message says all
        state = request.app[_SITE].state()
        return _page(request, "stop.html", state, problem=f"Not stopped: {error}", status=500)
    LOG.warning("emergency stop from the local page: %s", reason)
    raise web.HTTPSeeOther("/")


async def _led(request: web.Request) -> web.Response:
    form = await _checked_form(request)
    miner_id = str(form.get("miner_id", ""))[:128]
    try:
        told = await request.app[_SITE].led(miner_id, on=form.get("on") == "1")
    except MinerError as error:
        told = f"The light was not switched: {error}"
    state = request.app[_SITE].state()
    return _page(request, "home.html", state, told=told)


async def _css(request: web.Request) -> web.Response:
    del request
    text = resources.files("hashyard_agent.local_web").joinpath("static/page.css").read_text(encoding="utf-8")
    return web.Response(text=text, content_type="text/css")


def _page(
    request: web.Request, template: str, state: PageState, *, status: int = 200, **values: object
) -> web.Response:
    session = request.cookies.get(_COOKIE, "") or secrets.token_urlsafe(24)
    token = _token(request.app[_SECRET], session)
    text = (
        request.app[_PAGES]
        .get_template(template)
        .render(state=state, token=token, listed=MAX_LISTED, refresh_s=REFRESH_S, clock=_Clock(state), **values)
    )
    response = web.Response(text=text, content_type="text/html", status=status)
    response.set_cookie(_COOKIE, session, httponly=True, samesite="Strict", path="/")
    return response


async def _checked_form(request: web.Request) -> dict[str, str]:
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    session = request.cookies.get(_COOKIE, "")
    wanted = _token(request.app[_SECRET], session)
    if not session or not hmac.compare_digest(wanted, form.get("token", "")):
        raise web.HTTPForbidden(text="This form is too old. Go back, reload the page, and try again.")
    return form


def _token(secret: bytes, session: str) -> str:
    return hmac.new(secret, session.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


class _Clock:
    """Times in the site's zone, relative to the moment of the page."""

    def __init__(self, state: PageState) -> None:
        self._now_us = state.now_us
        self._zone = _zone(state.timezone)

    def since(self, at_us: int) -> str:
        return duration(self._now_us - at_us)

    def until(self, at_us: int) -> str:
        return duration(at_us - self._now_us)

    def at(self, at_us: int) -> str:
        return utc(at_us).astimezone(self._zone).strftime("%-d %b %H:%M")

    def zoned(self) -> str:
        return utc(self._now_us).astimezone(self._zone).strftime("%-d %b %H:%M %Z")


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hashyard_agent.local_web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = size
    environment.filters["thousands"] = lambda value: f"{value:,}"
    environment.filters["days"] = lambda value: duration(int(value * 86_400 * US_PER_S))
    return environment
