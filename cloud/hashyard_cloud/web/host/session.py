"""Signing in and out, and the choice of light or dark."""

from aiohttp import hdrs, web

from hashyard_cloud.errors import ForbiddenError, MalformedError, RateLimitedError, UnauthenticatedError
from hashyard_cloud.services import totp, users
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys, security
from hashyard_cloud.web.pages import fields, go, host_page, local_path, viewer_of
from hashyard_cloud.web.render import html

THEMES = frozenset({"light", "dark", "auto"})


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/", start),
        web.get("/login", login_page),
        web.post("/login", login),
        web.post("/login/code", code),
        web.post("/logout", host_page(logout)),
        web.post("/theme", host_page(theme)),
    ]


async def start(request: web.Request) -> web.Response:
    """The first page: the fleet, or the door."""
    return go("/fleet" if await viewer_of(request) else "/login")


def remote_of(request: web.Request) -> str:
    """The address of the other side, as the proxy or the socket tells it."""
    return request.remote or ""


def _door(request: web.Request, form: dict[str, str], error: str = "", status: int = 200) -> web.Response:
    token = security.form_token(request)
    response = html(
        request.app,
        "auth/login.html",
        status,
        form=form,
        error=error,
        token=token,
        next=local_path(form.get("next", request.query.get("next", "/fleet"))),
        theme=request.cookies.get(security.THEME_COOKIE, "auto"),
    )
    security.set_cookie(request, response, security.FORM_COOKIE, token)
    return response


async def login_page(request: web.Request) -> web.Response:
    """The sign-in form."""
    if await viewer_of(request):
        return go("/fleet")
    return _door(request, {})


async def login(request: web.Request) -> web.Response:
    """Check e-mail and password and start a session."""
    given = await fields(request)
    await security.check_form(request, request.cookies.get(security.FORM_COOKIE))
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    form = {"email": given.get("email", ""), "next": given.get("next", "")}
    try:
        user = await users.check_password(
            database, clock, email=form["email"], password=given.get("password", ""), remote=remote_of(request)
        )
        if user.totp_secret is not None:
            return code_form(request, await totp.begin(database, clock, user), form["next"])
        secret = await users.open_session(database, clock, user, remote=remote_of(request))
    except (UnauthenticatedError, ForbiddenError, RateLimitedError, MalformedError) as error:
        response = _door(request, form, str(error), error.status)
        if isinstance(error, RateLimitedError):
            response.headers[hdrs.RETRY_AFTER] = str(int(error.retry_after_s))
        return response
    response = go(local_path(form["next"]))
    security.set_cookie(request, response, security.SESSION_COOKIE, secret)
    return response


def code_form(request: web.Request, pending: str, leads_to: str, error: str = "", **more: str) -> web.Response:
    """The form of the second step, of our own door or of a host's."""
    token = security.form_token(request)
    context = {"name": "Hashyard", "slug": "", "action": "/login/code", "brand_version": "", "invite": ""} | more
    response = html(
        request.app,
        "auth/code.html",
        401 if error else 200,
        pending=pending,
        next=local_path(leads_to),
        token=token,
        errors={"code": error} if error else {},
        theme=request.cookies.get(security.THEME_COOKIE, "auto"),
        **context,
    )
    security.set_cookie(request, response, security.FORM_COOKIE, token)
    return response


async def code(request: web.Request) -> web.Response:
    """POST /login/code: the second step. A wrong code begins anew, so that codes cannot be tried in a row."""
    form = await fields(request)
    await security.check_form(request, request.cookies.get(security.FORM_COOKIE))
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        user = await totp.finish(database, clock, form.get("pending", ""), form.get("code", ""))
        secret = await users.open_session(database, clock, user, remote=remote_of(request))
    except (UnauthenticatedError, ForbiddenError, RateLimitedError) as error:
        return _door(request, {"next": form.get("next", "")}, str(error), error.status)
    response = go(local_path(form.get("next", "")))
    security.set_cookie(request, response, security.SESSION_COOKIE, secret)
    return response


async def logout(request: web.Request, _viewer: Viewer) -> web.Response:
    """End the session."""
    await users.log_out(request.app[keys.DATABASE], request.cookies[security.SESSION_COOKIE])
    response = go("/login")
    response.del_cookie(security.SESSION_COOKIE, path="/")
    return response


async def theme(request: web.Request, _viewer: Viewer) -> web.Response:
    """Remember light, dark or the system's choice in a cookie."""
    given = await fields(request)
    response = go(local_path(given.get("next", "/fleet")))
    chosen = given.get("theme", "auto")
    if chosen in THEMES:
        security.set_cookie(request, response, security.THEME_COOKIE, chosen)
    return response
