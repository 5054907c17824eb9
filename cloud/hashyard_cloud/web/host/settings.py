"""Settings of the host: name, slug, brand with preview, logo; the staff; RevenueGuard."""

from typing import Any

from aiohttp import web

from hashyard_cloud.errors import CloudError, ConflictError, MalformedError, NotFoundError, TooLargeError
from hashyard_cloud.services import activity, invites, organisations
from hashyard_cloud.services.images import MAX_LOGO_BYTES
from hashyard_cloud.services.inputs import CURRENCIES, InputError, read
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import brand, keys
from hashyard_cloud.web.pages import MANAGERS, actor_of, fields, go, host_page, show

STAFF_ROLES = (Role.ADMIN, Role.BILLING, Role.TECHNICIAN, Role.VIEWER)


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/settings", host_page(page, MANAGERS)),
        web.post("/settings", host_page(save, MANAGERS)),
        web.get("/settings/logo", host_page(logo)),
        web.post("/settings/logo", host_page(upload_logo, MANAGERS)),
        web.post("/settings/logo/remove", host_page(remove_logo, MANAGERS)),
        web.get("/staff", host_page(staff, MANAGERS)),
        web.post("/staff/invite", host_page(invite_staff, MANAGERS)),
        web.post("/staff/invites/{invite_id}/resend", host_page(resend, MANAGERS)),
        web.post("/staff/invites/{invite_id}/revoke", host_page(revoke, MANAGERS)),
        web.post("/staff/members/{user_id}/remove", host_page(remove, MANAGERS)),
    ]


async def _settings(
    request: web.Request, viewer: Viewer, form: dict[str, str], errors: dict[str, str] | None = None
) -> web.Response:
    async with request.app[keys.DATABASE].reading() as tx:
        has_logo = await tx.organisations.has_logo(viewer.organisation_id)
    return show(
        request,
        viewer,
        "host/settings/page.html",
        422 if errors else 200,
        form=form,
        errors=errors or {},
        has_logo=has_logo,
        adjusted=brand.adjusted(viewer.organisation),
        base_url=request.app[keys.BASE_URL],
        currencies=[(code, code) for code in CURRENCIES],
    )


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /settings."""
    row = viewer.organisation
    form = {name: str(getattr(row, name) or "") for name in organisations.BrandInput.model_fields}
    return await _settings(request, viewer, form)


async def save(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /settings."""
    given = await fields(request)
    form = {name: value for name, value in given.items() if name in organisations.BrandInput.model_fields}
    try:
        wanted = read(organisations.BrandInput, form)
        await organisations.edit(
            request.app[keys.DATABASE],
            request.app[keys.CLOCK],
            viewer.organisation_id,
            actor_of(viewer),
            wanted,
        )
    except InputError as error:
        return await _settings(request, viewer, form, error.errors)
    except ConflictError as error:
        return await _settings(request, viewer, form, {error.field or "slug": str(error)})
    return go("/settings", "Settings saved.")


async def logo(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /settings/logo."""
    async with request.app[keys.DATABASE].reading() as tx:
        return brand.logo_response(await tx.organisations.logo(viewer.organisation_id))


async def upload_logo(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /settings/logo: checked by content."""
    given = (await request.post()).get("logo")
    row = viewer.organisation
    form = {name: str(getattr(row, name) or "") for name in organisations.BrandInput.model_fields}
    if not isinstance(given, web.FileField):
        return await _settings(request, viewer, form, {"logo": "Choose an image."})
    body = given.file.read(MAX_LOGO_BYTES + 1)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        await organisations.set_logo(database, clock, viewer.organisation_id, actor_of(viewer), body)
    except (MalformedError, TooLargeError) as error:
        return await _settings(request, viewer, form, {"logo": str(error)})
    return go("/settings", "Logo saved.")


async def remove_logo(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /settings/logo/remove."""
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await organisations.remove_logo(database, clock, viewer.organisation_id, actor_of(viewer))
    return go("/settings", "Logo removed.")


async def _staff(request: web.Request, viewer: Viewer, status: int = 200, **more: Any) -> web.Response:
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        members = await tx.users.members(viewer.organisation_id)
        rows = await tx.users.invites(viewer.organisation_id)
    context = {
        "members": members,
        "invites": [row for row in rows if invites.is_open(row, now_us)],
        "link": "",
        "roles": [(role.value, role.value.capitalize()) for role in STAFF_ROLES],
    }
    return show(request, viewer, "host/settings/staff.html", status, **(context | more))


async def staff(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /staff."""
    return await _staff(request, viewer)


async def invite_staff(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /staff/invite."""
    form = await fields(request)
    role = form.get("role", "")
    try:
        if role not in {one.value for one in STAFF_ROLES}:
            raise MalformedError("Choose one of the roles offered.", field="role")
        sent = await invites.invite(
            request.app[keys.DATABASE],
            request.app[keys.CLOCK],
            viewer.organisation,
            actor_of(viewer),
            request.app[keys.BASE_URL],
            form.get("email", ""),
            Role(role),
        )
    except CloudError as error:
        if error.status >= 500:
            raise
        errors = {("email" if error.field in {None, "slug"} else str(error.field)): str(error)}
        return await _staff(request, viewer, error.status, form=form, errors=errors)
    return await _staff(request, viewer, link=sent.link)


async def resend(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /staff/invites/{invite_id}/resend."""
    invite_id = request.match_info["invite_id"]
    await _own_invite(request, viewer, invite_id)
    sent = await invites.resend(
        request.app[keys.DATABASE],
        request.app[keys.CLOCK],
        viewer.organisation,
        actor_of(viewer),
        request.app[keys.BASE_URL],
        invite_id,
    )
    return await _staff(request, viewer, link=sent.link)


async def _own_invite(request: web.Request, viewer: Viewer, invite_id: str) -> None:
    async with request.app[keys.DATABASE].reading() as tx:
        row = await tx.users.invite(viewer.organisation_id, invite_id)
    if row is None or row.customer_id is not None:
        raise NotFoundError


async def revoke(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /staff/invites/{invite_id}/revoke."""
    invite_id = request.match_info["invite_id"]
    await _own_invite(request, viewer, invite_id)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await invites.revoke(database, clock, viewer.organisation_id, actor_of(viewer), invite_id)
    return go("/staff", "The invitation was revoked.")


async def remove(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /staff/members/{user_id}/remove: at once, sessions included; an owner stays while there is one only."""
    user_id = request.match_info["user_id"]
    async with request.app[keys.DATABASE].transaction() as tx:
        members = {row.user_id: row for row in await tx.users.members(viewer.organisation_id)}
        if user_id not in members:
            raise NotFoundError
        if members[user_id].role is Role.OWNER:
            raise ConflictError("An owner cannot be removed here.")
        await tx.users.remove_membership(viewer.organisation_id, user_id, None)
        await activity.record(
            tx,
            request.app[keys.CLOCK].now_us(),
            viewer.organisation_id,
            actor_of(viewer),
            "staff.removed",
            f"Access of {members[user_id].email} removed",
        )
    return go("/staff", "Access was removed.")
