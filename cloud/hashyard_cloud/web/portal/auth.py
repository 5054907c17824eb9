"""The host's own sign-in page: sign up by invitation, sign in, set a new password."""

from typing import Any

from aiohttp import hdrs, web

from hashyard_cloud.errors import (
    CloudError,
    ConflictError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
)
from hashyard_cloud.services import invites, totp, users
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_cloud.services.ports.users import Role, UserRow
from hashyard_cloud.web import brand, keys, security
from hashyard_cloud.web.host.session import code_form
from hashyard_cloud.web.pages import fields, go
from hashyard_cloud.web.render import html

RESETS_PER_WINDOW = 5


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    base = "/host/{slug}"
    return [
        web.get(f"{base}/auth", page),
        web.post(f"{base}/auth/login", login),
        web.post(f"{base}/auth/code", code),
        web.post(f"{base}/auth/signup", sign_up),
        web.post(f"{base}/auth/forgot", forgot),
        web.get(f"{base}/auth/reset", reset_page),
        web.post(f"{base}/auth/reset", reset),
        web.get(f"{base}/logo", logo),
        web.get(f"{base}/brand.css", style),
    ]


async def _organisation(request: web.Request) -> OrganisationRow:
    """The host of this slug; an old slug leads to the present one."""
    slug = request.match_info["slug"]
    async with request.app[keys.DATABASE].reading() as tx:
        found = await tx.organisations.by_slug(slug)
    if found is None:
        raise NotFoundError
    row, present = found
    if not present and row.slug is not None and request.method in security.SAFE_METHODS:
        # Not for ever: a host may take an old slug back, and browsers would go round in a circle.
        present_path = request.path_qs.replace(f"/host/{slug}", f"/host/{row.slug}", 1)
        raise web.HTTPFound(present_path, headers={hdrs.CACHE_CONTROL: "no-store"})
    return row


async def _door(
    request: web.Request, row: OrganisationRow, template: str = "portal/auth.html", status: int = 200, **more: Any
) -> web.Response:
    token = security.form_token(request)
    async with request.app[keys.DATABASE].reading() as tx:
        has_logo = await tx.organisations.has_logo(row.organisation_id)
    context: dict[str, Any] = {
        "form": {},
        "errors": {},
        "error": "",
        "notice": "",
        "invite": None,
        "secret": "",
        "mode": "login",
    }
    response = html(
        request.app,
        template,
        status,
        organisation=row,
        has_logo=has_logo,
        brand_version=brand.version(row),
        token=token,
        theme=request.cookies.get(security.THEME_COOKIE, "auto"),
        **(context | more),
    )
    security.set_cookie(request, response, security.FORM_COOKIE, token)
    return response


async def page(request: web.Request) -> web.Response:
    """GET /host/{slug}/auth: sign in, or sign up with an invitation."""
    row = await _organisation(request)
    secret = request.query.get("invite", "")
    if not secret:
        mode = "forgot" if request.query.get("mode") == "forgot" else "login"
        return await _door(request, row, mode=mode)
    invite = await invites.find(request.app[keys.DATABASE], request.app[keys.CLOCK], row.organisation_id, secret)
    if invite is None:
        return await _door(request, row, status=403, error=invites.GONE)
    async with request.app[keys.DATABASE].reading() as tx:
        known = await tx.users.by_email(invite.email)
    return await _door(request, row, invite=invite, secret=secret, mode="login" if known else "signup")


def _remote(request: web.Request) -> str:
    return request.remote or ""


async def _enter(request: web.Request, row: OrganisationRow, user: UserRow) -> web.Response:
    secret = await users.open_session(
        request.app[keys.DATABASE],
        request.app[keys.CLOCK],
        user,
        remote=_remote(request),
        organisation_id=row.organisation_id,
    )
    async with request.app[keys.DATABASE].reading() as tx:
        memberships = await tx.users.memberships(user.user_id)
    here = next(one for one in memberships if one.organisation_id == row.organisation_id)
    response = go("/portal" if here.role is Role.CUSTOMER else "/fleet")
    security.set_cookie(request, response, security.SESSION_COOKIE, secret)
    return response


async def _again(
    request: web.Request, row: OrganisationRow, error: CloudError, form: dict[str, str], mode: str
) -> web.Response:
    secret = form.get("invite", "")
    invite = (
        await invites.find(request.app[keys.DATABASE], request.app[keys.CLOCK], row.organisation_id, secret)
        if secret
        else None
    )
    errors = {error.field: str(error)} if error.field else {}
    response = await _door(
        request,
        row,
        status=error.status,
        form={name: form.get(name, "") for name in ("email", "name")},
        errors=errors,
        error="" if errors else str(error),
        invite=invite,
        secret=secret,
        mode=mode,
    )
    if isinstance(error, RateLimitedError):
        response.headers[hdrs.RETRY_AFTER] = str(int(error.retry_after_s))
    return response


async def login(request: web.Request) -> web.Response:
    """POST .../login: with an invitation, it connects this account to the host."""
    row = await _organisation(request)
    await security.check_form(request, request.cookies.get(security.FORM_COOKIE))
    form = await fields(request)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        user = await users.check_password(
            database,
            clock,
            email=form.get("email", ""),
            password=form.get("password", ""),
            remote=_remote(request),
        )
        if user.totp_secret is not None:
            pending = await totp.begin(database, clock, user)
            return _code_form(request, row, pending, form.get("invite", ""))
        return await _accepted(request, row, user, form.get("invite", ""))
    except (UnauthenticatedError, ForbiddenError, RateLimitedError, MalformedError, ConflictError) as error:
        return await _again(request, row, error, form, "login")


async def _accepted(request: web.Request, row: OrganisationRow, user: UserRow, secret: str) -> web.Response:
    if secret:
        database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
        await invites.accept(database, clock, row.organisation_id, secret, user)
    return await _enter(request, row, user)


def _code_form(request: web.Request, row: OrganisationRow, pending: str, secret: str) -> web.Response:
    slug = row.slug or ""
    return code_form(
        request,
        pending,
        "",
        name=row.name,
        slug=slug,
        action=f"/host/{slug}/auth/code",
        brand_version=brand.version(row),
        invite=secret,
    )


async def code(request: web.Request) -> web.Response:
    """POST .../code: the second step."""
    row = await _organisation(request)
    await security.check_form(request, request.cookies.get(security.FORM_COOKIE))
    form = await fields(request)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        user = await totp.finish(database, clock, form.get("pending", ""), form.get("code", ""))
        return await _accepted(request, row, user, form.get("invite", ""))
    except (UnauthenticatedError, ForbiddenError, RateLimitedError, ConflictError) as error:
        return await _again(request, row, error, form, "login")


async def sign_up(request: web.Request) -> web.Response:
    """POST .../signup: only with an invitation, only for its address."""
    row = await _organisation(request)
    await security.check_form(request, request.cookies.get(security.FORM_COOKIE))
    form = await fields(request)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        user = await invites.sign_up(
            database,
            clock,
            row.organisation_id,
            form.get("invite", ""),
            form.get("name", ""),
            form.get("password", ""),
        )
        return await _enter(request, row, user)
    except (ForbiddenError, MalformedError, ConflictError) as error:
        return await _again(request, row, error, form, "signup")


async def forgot(request: web.Request) -> web.Response:
    """POST .../forgot: the answer is the same whether the address is known or not."""
    row = await _organisation(request)
    await security.check_form(request, request.cookies.get(security.FORM_COOKIE))
    form = await fields(request)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        limits = {f"reset:{_remote(request)}": RESETS_PER_WINDOW}
        await users.limit_attempts(database, clock, limits)
    except RateLimitedError as error:
        return await _again(request, row, error, form, "forgot")
    link = f"{request.app[keys.BASE_URL]}/host/{row.slug}/auth/reset"
    await invites.ask_reset(database, clock, row, form.get("email", ""), link)
    notice = "If there is an account for this address, a link to set a new password is on its way."
    return await _door(request, row, notice=notice)


async def reset_page(request: web.Request) -> web.Response:
    """GET .../reset: choose a new password."""
    row = await _organisation(request)
    return await _door(request, row, mode="reset", secret=request.query.get("token", ""))


async def reset(request: web.Request) -> web.Response:
    """POST .../reset."""
    row = await _organisation(request)
    await security.check_form(request, request.cookies.get(security.FORM_COOKIE))
    form = await fields(request)
    token = form.get("token", "")
    try:
        await invites.reset(request.app[keys.DATABASE], request.app[keys.CLOCK], token, form.get("password", ""))
    except (MalformedError, ForbiddenError) as error:
        errors = {error.field: str(error)} if error.field else {}
        told = "" if errors else str(error)
        return await _door(
            request, row, status=error.status, mode="reset", secret=token, errors=errors, error=told
        )
    return await _door(request, row, notice="The new password is set. Sign in with it.")


async def logo(request: web.Request) -> web.Response:
    """GET /host/{slug}/logo."""
    row = await _organisation(request)
    async with request.app[keys.DATABASE].reading() as tx:
        return brand.logo_response(await tx.organisations.logo(row.organisation_id))


async def style(request: web.Request) -> web.Response:
    """GET /host/{slug}/brand.css."""
    return brand.style_response(await _organisation(request))
