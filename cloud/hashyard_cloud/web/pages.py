"""From request to page: who asks, may they, what every page of the host shows, and errors people can read."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from hashyard_cloud.errors import (
    CloudError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from hashyard_cloud.services import users
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys, security
from hashyard_cloud.web.render import html

LOG: Final = logging.getLogger(__name__)
VIEWER: Final = web.RequestKey("VIEWER", Viewer)
FLASH_COOKIE: Final = "hashyard_flash"
MAX_FLASH_CHARS: Final = 300
STAFF: Final = frozenset({Role.OWNER, Role.ADMIN, Role.BILLING, Role.TECHNICIAN, Role.VIEWER})
MANAGERS: Final = frozenset({Role.OWNER, Role.ADMIN})
MONEY: Final = frozenset({Role.OWNER, Role.ADMIN, Role.BILLING})
FLOOR: Final = frozenset({Role.OWNER, Role.ADMIN, Role.TECHNICIAN})

PageHandler = Callable[[web.Request, Viewer], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of the breadcrumb."""

    label: str
    href: str = ""


async def viewer_of(request: web.Request) -> Viewer | None:
    """Who holds the session cookie of this request; asked once for each request."""
    known = request.get(VIEWER)
    secret = request.cookies.get(security.SESSION_COOKIE)
    if known is not None or not secret:
        return known
    found = await users.resolve(request.app[keys.DATABASE], request.app[keys.CLOCK], secret)
    if found is not None:
        request[VIEWER] = found
    return found


def actor_of(viewer: Viewer) -> Actor:
    """The viewer as the activity log names them."""
    return Actor(viewer.user.user_id, viewer.actor, viewer.session.remote)


def host_page(handler: PageHandler, allowed: frozenset[Role] = STAFF) -> Handler:
    """A handler for signed-in staff in one of these roles, its forms checked."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        viewer = await viewer_of(request)
        if viewer is None:
            raise UnauthenticatedError
        if viewer.role not in STAFF:
            raise NotFoundError
        await security.check_form(request, viewer.session.csrf)
        if viewer.role not in allowed:
            raise ForbiddenError
        if request.method in security.SAFE_METHODS:
            return await handler(request, viewer)
        try:
            return await handler(request, viewer)
        finally:
            # Open pages look again, and streams whether they still may: this may have ended a session.
            request.app[keys.LIVE].changed(viewer.organisation_id)

    guarded.__name__ = getattr(handler, "__name__", "page")
    guarded.allowed = allowed  # type: ignore[attr-defined]  # read by the test that walks every route
    return guarded


def show(
    request: web.Request, viewer: Viewer, template: str, status: int = 200, /, **context: Any
) -> web.Response:
    """Render a host page or a piece of one."""
    app = request.app
    context.setdefault("timezone", viewer.organisation.timezone)
    context.setdefault("errors", {})
    context.setdefault("form", {})
    response = html(
        app,
        template,
        status,
        viewer=viewer,
        organisation=viewer.organisation,
        csrf=viewer.session.csrf,
        now_us=app[keys.CLOCK].now_us(),
        path=request.path,
        query=request.query,
        theme=request.cookies.get(security.THEME_COOKIE, "auto"),
        flash=_flash(request),
        can_manage=viewer.role in MANAGERS,
        can_bill=viewer.role in MONEY,
        can_floor=viewer.role in FLOOR,
        **context,
    )
    if _flash(request):
        response.del_cookie(FLASH_COOKIE, path="/")
    return response


def _flash(request: web.Request) -> str:
    return unquote(request.cookies.get(FLASH_COOKIE, ""))[:MAX_FLASH_CHARS]


def go(location: str, flash: str = "") -> web.Response:
    """See another page, with a line about what was done."""
    response = web.Response(status=303, headers={hdrs.LOCATION: location})
    if flash:
        response.set_cookie(FLASH_COOKIE, quote(flash[:MAX_FLASH_CHARS]), path="/", httponly=True, samesite="Lax")
    return response


def local_path(text: str, default: str = "/fleet") -> str:
    """A path on this service to go on to; anything that could lead elsewhere is the default."""
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or not text.startswith("/") or text.startswith("//") or "\\" in text:
        return default
    return text


async def fields(request: web.Request) -> dict[str, str]:
    """The text fields of a form."""
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def wants_html(request: web.Request) -> bool:
    """Whether errors are for people: everything but the interfaces for programs."""
    return not request.path.startswith(("/agent/", "/api/"))


@web.middleware
async def errors_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Render errors as pages where people look; programs get theirs from their own edge."""
    if not wants_html(request):
        return await handler(request)
    try:
        return await handler(request)
    except UnauthenticatedError as error:
        return _sign_in(request, error)
    except CloudError as error:
        return _cloud_error(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        text = str(NotFoundError()) if error.status == 404 else error.reason
        return error_page(request, error.status, text)
    except Exception:
        # The edge: whatever a page did not foresee is logged whole and told without detail.
        LOG.exception("page %s failed", request.path)
        return error_page(request, 500, "Something went wrong on our side. It has been logged.")


def _sign_in(request: web.Request, error: UnauthenticatedError) -> web.Response:
    if request.headers.get("HX-Request"):
        return web.Response(status=401, headers={"HX-Redirect": "/login"})
    if request.method in security.SAFE_METHODS:
        return web.Response(status=303, headers={hdrs.LOCATION: f"/login?next={quote(request.path_qs)}"})
    return error_page(request, error.status, str(error))


def _cloud_error(request: web.Request, error: CloudError) -> web.Response:
    if error.status >= 500:
        LOG.error("page %s failed: %s", request.path, error, exc_info=error)
    headers = {}
    if isinstance(error, RateLimitedError | UnavailableError):
        headers["Retry-After"] = str(int(error.retry_after_s))
    # One page for what is not there: not even an id comes back that would tell elsewhere from nowhere.
    text = str(NotFoundError()) if isinstance(error, NotFoundError) else str(error)
    return error_page(request, error.status, text, headers)


TITLES: Final[Mapping[int, str]] = {
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Already there",
    413: "Too large",
    422: "Not quite",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Not available",
}


def error_page(
    request: web.Request, status: int, text: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The page of an error: what happened and where to go on."""
    response = html(
        request.app,
        "error.html",
        status,
        title=TITLES.get(status, "Error"),
        text=text,
        theme=request.cookies.get(security.THEME_COOKIE, "auto"),
    )
    response.headers.update(headers or {})
    return response
