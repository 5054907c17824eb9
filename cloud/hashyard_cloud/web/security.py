"""What every answer carries, and the check that a form came from one of our own pages."""

import hmac
import secrets
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from hashyard_cloud.errors import ForbiddenError
from hashyard_cloud.web import keys

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
SESSION_COOKIE: Final = "hashyard_session"
FORM_COOKIE: Final = "hashyard_form"
THEME_COOKIE: Final = "hashyard_theme"
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
COOKIE_S: Final = 14 * 86_400
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@web.middleware
async def headers_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add the security headers to every answer."""
    response = await handler(request)
    if not response.prepared:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
    return response


def is_secure(request: web.Request) -> bool:
    """Whether the service is reached over HTTPS, so that cookies may demand it."""
    return request.app[keys.BASE_URL].startswith("https://")


def set_cookie(request: web.Request, response: web.StreamResponse, name: str, value: str) -> None:
    """A cookie that scripts cannot read and other sites' forms do not send."""
    response.set_cookie(
        name, value, max_age=COOKIE_S, path="/", httponly=True, samesite="Lax", secure=is_secure(request)
    )


def form_token(request: web.Request) -> str:
    """The token for forms before login: a cookie that the form must repeat."""
    return request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)


async def check_form(request: web.Request, expected: str | None) -> None:
    """Raises `ForbiddenError` unless the request repeats the token, in a field or a header."""
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get(hdrs.ORIGIN)
    if origin and origin != "null" and origin.partition("://")[2] != request.host:
        raise ForbiddenError("This form was sent from another site.")
    given = request.headers.get(CSRF_HEADER)
    if given is None:
        given = str((await request.post()).get(CSRF_FIELD, ""))
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise ForbiddenError("The form is too old. Go back, reload the page and send it again.")
