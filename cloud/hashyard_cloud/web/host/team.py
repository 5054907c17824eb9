"""A customer's team as the host sees it, invitations, and the look into the portal."""

from typing import Any

from aiohttp import web

from hashyard_cloud.errors import CloudError, NotFoundError
from hashyard_cloud.services import activity, customers, invites, team
from hashyard_cloud.services.inputs import InputError
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.users import MAX_NAME_CHARS, Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.host.customer_tabs import load
from hashyard_cloud.web.pages import MONEY, actor_of, fields, go, host_page, show


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    base = "/customers/{customer_id}"
    return [
        web.post(f"{base}/view-portal", host_page(view_portal)),
        web.get(f"{base}/team", host_page(page)),
        web.post(f"{base}/team/invite", host_page(invite, MONEY)),
        web.post(f"{base}/team/name", host_page(rename, MONEY)),
        web.post(f"{base}/team/invites/{{invite_id}}/resend", host_page(resend, MONEY)),
        web.post(f"{base}/team/invites/{{invite_id}}/revoke", host_page(revoke, MONEY)),
        web.post(f"{base}/team/members/{{user_id}}/remove", host_page(remove, MONEY)),
    ]


async def view_portal(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../view-portal: see what the customer sees, read-only, in the activity log."""
    customer_id = request.match_info["customer_id"]
    async with request.app[keys.DATABASE].transaction() as tx:
        await customers.get(tx, viewer.organisation_id, customer_id)
        await tx.users.set_view(viewer.session.session_id, customer_id)
        await activity.record(
            tx,
            request.app[keys.CLOCK].now_us(),
            viewer.organisation_id,
            actor_of(viewer),
            "portal.viewed",
            "Portal viewed as customer, read-only",
            customer_id=customer_id,
        )
    return go("/portal")


async def _show(request: web.Request, viewer: Viewer, status: int = 200, **more: Any) -> web.Response:
    customer_id, now_us = request.match_info["customer_id"], request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        context = await load(request, viewer, tx)
        members = await tx.users.members(viewer.organisation_id, customer_id)
        rows = await tx.users.invites(viewer.organisation_id, customer_id)
    context |= {
        "tab": "team",
        "members": members,
        "invites": [row for row in rows if invites.is_open(row, now_us)],
        "link": "",
    }
    return show(request, viewer, "host/customers/team.html", status, **(context | more))


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../team."""
    return await _show(request, viewer)


async def invite(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../team/invite."""
    form = await fields(request)
    try:
        sent = await invites.invite(
            request.app[keys.DATABASE],
            request.app[keys.CLOCK],
            viewer.organisation,
            actor_of(viewer),
            request.app[keys.BASE_URL],
            form.get("email", ""),
            Role.CUSTOMER,
            request.match_info["customer_id"],
        )
    except CloudError as error:
        if error.status >= 500 or isinstance(error, NotFoundError):
            raise
        return await _show(request, viewer, error.status, form=form, errors={"email": str(error)})
    return await _show(request, viewer, link=sent.link)


async def rename(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../team/name: the team's name as the portal shows it."""
    name = (await fields(request)).get("team_name", "").strip()
    if len(name) > MAX_NAME_CHARS:
        raise InputError({"team_name": f"Use at most {MAX_NAME_CHARS} characters."})
    customer_id = request.match_info["customer_id"]
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await team.rename(database, clock, viewer.organisation_id, actor_of(viewer), customer_id, name)
    return go(f"/customers/{customer_id}/team", "Team name saved.")


async def _own_invite(request: web.Request, viewer: Viewer) -> str:
    invite_id = request.match_info["invite_id"]
    async with request.app[keys.DATABASE].reading() as tx:
        row = await tx.users.invite(viewer.organisation_id, invite_id)
    if row is None or row.customer_id != request.match_info["customer_id"]:
        raise NotFoundError
    return invite_id


async def resend(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../resend."""
    sent = await invites.resend(
        request.app[keys.DATABASE],
        request.app[keys.CLOCK],
        viewer.organisation,
        actor_of(viewer),
        request.app[keys.BASE_URL],
        await _own_invite(request, viewer),
    )
    return await _show(request, viewer, link=sent.link)


async def revoke(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../revoke."""
    invite_id = await _own_invite(request, viewer)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await invites.revoke(database, clock, viewer.organisation_id, actor_of(viewer), invite_id)
    return go(f"/customers/{request.match_info['customer_id']}/team", "The invitation was revoked.")


async def remove(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../remove: access ends at once, live sessions too."""
    customer_id, user_id = request.match_info["customer_id"], request.match_info["user_id"]
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await team.remove(database, clock, viewer.organisation_id, actor_of(viewer), customer_id, user_id)
    return go(f"/customers/{customer_id}/team", "Access was removed.")
