"""The customer's own team: members and invitations."""

from aiohttp import web

from hashyard_cloud.errors import CloudError, NotFoundError
from hashyard_cloud.services import activity, invites
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import fields, go
from hashyard_cloud.web.portal.access import Guest, portal_page, show_portal
from hashyard_cloud.web.portal.home import portal_actor


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/portal/team", portal_page(page)),
        web.post("/portal/team/invite", portal_page(invite)),
        web.post("/portal/team/invites/{invite_id}/revoke", portal_page(revoke)),
        web.post("/portal/team/members/{user_id}/remove", portal_page(remove)),
    ]


async def _show(request: web.Request, guest: Guest, status: int = 200, **more: object) -> web.Response:
    customer_id, now_us = guest.customer.customer_id, request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        members = await tx.users.members(guest.organisation_id, customer_id)
        rows = await tx.users.invites(guest.organisation_id, customer_id)
    context = {
        "section": "team",
        "members": members,
        "invites": [row for row in rows if invites.is_open(row, now_us)],
        "link": "",
    }
    return show_portal(request, guest, "portal/team.html", status, **(context | more))


async def page(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/team."""
    return await _show(request, guest)


async def invite(request: web.Request, guest: Guest) -> web.StreamResponse:
    """POST /portal/team/invite: who comes in sees the same as everybody in the team."""
    form = await fields(request)
    try:
        sent = await invites.invite(
            request.app[keys.DATABASE],
            request.app[keys.CLOCK],
            guest.viewer.organisation,
            portal_actor(guest),
            request.app[keys.BASE_URL],
            form.get("email", ""),
            Role.CUSTOMER,
            guest.customer.customer_id,
        )
    except CloudError as error:
        if error.status >= 500:
            raise
        return await _show(request, guest, error.status, form=form, errors={error.field or "email": str(error)})
    return await _show(request, guest, link=sent.link)


async def revoke(request: web.Request, guest: Guest) -> web.StreamResponse:
    """POST .../revoke."""
    invite_id = request.match_info["invite_id"]
    async with request.app[keys.DATABASE].reading() as tx:
        row = await tx.users.invite(guest.organisation_id, invite_id)
    if row is None or row.customer_id != guest.customer.customer_id:
        raise NotFoundError
    await invites.revoke(
        request.app[keys.DATABASE],
        request.app[keys.CLOCK],
        guest.organisation_id,
        portal_actor(guest),
        invite_id,
    )
    return go("/portal/team", "The invitation was revoked.")


async def remove(request: web.Request, guest: Guest) -> web.StreamResponse:
    """POST .../remove: at once, sessions included."""
    user_id, customer_id = request.match_info["user_id"], guest.customer.customer_id
    async with request.app[keys.DATABASE].transaction() as tx:
        members = {row.user_id: row for row in await tx.users.members(guest.organisation_id, customer_id)}
        if user_id not in members or user_id == guest.viewer.user.user_id:
            raise NotFoundError
        await tx.users.remove_membership(guest.organisation_id, user_id, customer_id)
        await activity.record(
            tx,
            request.app[keys.CLOCK].now_us(),
            guest.organisation_id,
            portal_actor(guest),
            "member.removed",
            f"Access of {members[user_id].email} removed",
            customer_id=customer_id,
        )
    return go("/portal/team", "Access was removed.")
