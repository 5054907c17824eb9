"""One's own account: name, password, the second step of signing in. For staff and for customers' people alike."""

from dataclasses import replace
from typing import Any

from aiohttp import web

from hashyard_cloud.errors import CloudError, MalformedError, UnauthenticatedError
from hashyard_cloud.services import totp, users
from hashyard_cloud.services.passwords import check_strength, hash_password, verify_password
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import brand, keys, security
from hashyard_cloud.web.pages import fields, go, show, viewer_of


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/account", page),
        web.post("/account/password", password),
        web.post("/account/second-step", enable),
        web.post("/account/second-step/off", disable),
    ]


async def _viewer(request: web.Request) -> Viewer:
    viewer = await viewer_of(request)
    if viewer is None:
        raise UnauthenticatedError
    await security.check_form(request, viewer.session.csrf)
    return viewer


def _show(request: web.Request, viewer: Viewer, status: int = 200, **more: Any) -> web.Response:
    customer = viewer.role is Role.CUSTOMER
    secret = str(more.pop("secret", "") or totp.new_secret())
    return show(
        request,
        viewer,
        "account.html",
        status,
        home="/portal" if customer else "/fleet",
        customer=customer,
        brand_version=brand.version(viewer.organisation),
        secret=secret,
        address=totp.address(secret, viewer.organisation.name, viewer.user.email),
        grouped=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        **more,
    )


async def page(request: web.Request) -> web.Response:
    """GET /account."""
    return _show(request, await _viewer(request))


async def password(request: web.Request) -> web.Response:
    """POST /account/password: needs the present one; every other session ends."""
    viewer = await _viewer(request)
    form = await fields(request)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        limits = {f"password:{viewer.user.user_id}": users.MAX_ATTEMPTS_PER_ACCOUNT}
        await users.limit_attempts(database, clock, limits)
        if not await verify_password(viewer.user.password_hash, form.get("present", "")):
            raise MalformedError("This is not your present password.", field="present")
        check_strength(form.get("password", ""))
    except CloudError as error:
        if error.status >= 500:
            raise
        return _show(request, viewer, error.status, errors={error.field or "present": str(error)})
    hashed = await hash_password(form["password"])
    async with database.transaction() as tx:
        await tx.users.update(replace(viewer.user, password_hash=hashed))
        await tx.users.end_sessions(viewer.user.user_id)
        await tx.users.add_session(viewer.session)
    return go("/account", "Your password was changed. Every other session has ended.")


async def enable(request: web.Request) -> web.Response:
    """POST /account/second-step."""
    viewer = await _viewer(request)
    form = await fields(request)
    try:
        await totp.enable(
            request.app[keys.DATABASE],
            request.app[keys.CLOCK],
            viewer.user.user_id,
            form.get("secret", "")[:64],
            form.get("code", ""),
        )
    except MalformedError as error:
        return _show(request, viewer, 422, secret=form.get("secret", "")[:64], errors={"code": str(error)})
    return go("/account", "The second step is on: from now on signing in asks for a code.")


async def disable(request: web.Request) -> web.Response:
    """POST /account/second-step/off."""
    viewer = await _viewer(request)
    form = await fields(request)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        await totp.disable(database, clock, viewer.user.user_id, form.get("code", ""))
    except CloudError as error:
        if error.status >= 500:
            raise
        return _show(request, viewer, 422, errors={"code": str(error)})
    return go("/account", "The second step is off.")
