"""API tokens: the list, a new one whose secret is shown once, and revoking."""

from aiohttp import web

from hashyard_cloud.errors import MalformedError
from hashyard_cloud.services import api_tokens
from hashyard_cloud.services.api_tokens import RANKS, SCOPES
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import MANAGERS, actor_of, go, host_page, show

HERE = "/api-tokens"
NO_EXPIRY = ""


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get(HERE, host_page(page, MANAGERS)),
        web.post(HERE, host_page(create, MANAGERS)),
        web.post(f"{HERE}/{{token_id}}/revoke", host_page(revoke, MANAGERS)),
    ]


async def _page(
    request: web.Request,
    viewer: Viewer,
    form: dict[str, str],
    errors: dict[str, str] | None = None,
    chosen: tuple[str, ...] = (),
    secret: str = "",
) -> web.Response:
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        rows = await tx.api_tokens.all(viewer.organisation_id)
        names = {row.user_id: row.name or row.email for row in await tx.users.members(viewer.organisation_id)}
    return show(
        request,
        viewer,
        "host/api_tokens/page.html",
        422 if errors else 200,
        rows=[(row, api_tokens.is_live(row, now_us)) for row in rows],
        names=names,
        scopes=SCOPES,
        chosen=chosen,
        roles=[(role.value, role.value.capitalize()) for role in Role if role in RANKS[viewer.role]],
        form=form,
        errors=errors or {},
        secret=secret,
    )


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /api-tokens."""
    return await _page(request, viewer, {"role": Role.VIEWER.value, "lifetime_days": "365"})


async def create(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /api-tokens: answers the page with the secret, which is not shown again."""
    given = await request.post()
    form = {name: str(value) for name, value in given.items() if name != "scope"}
    chosen = tuple(str(value) for value in given.getall("scope", []))
    try:
        minted = await api_tokens.mint(
            request.app[keys.DATABASE],
            request.app[keys.CLOCK],
            viewer.membership,
            actor_of(viewer),
            name=form.get("name", ""),
            scopes=chosen,
            role=_role(form.get("role", "")),
            lifetime_days=_days(form.get("lifetime_days", NO_EXPIRY)),
        )
    except MalformedError as error:
        return await _page(request, viewer, form, {error.field or "name": str(error)}, chosen)
    return await _page(request, viewer, {"role": Role.VIEWER.value, "lifetime_days": "365"}, secret=minted.secret)


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError as error:
        raise MalformedError("Choose one of the roles offered.", field="role") from error


def _days(text: str) -> int | None:
    if not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdigit()) or len(text.strip()) > 6:
        raise MalformedError("Give a whole number of days, or nothing.", field="lifetime_days")
    return int(text)


async def revoke(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /api-tokens/{token_id}/revoke."""
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    token_id = request.match_info["token_id"]
    row = await api_tokens.revoke(database, clock, viewer.organisation_id, actor_of(viewer), token_id)
    return go(HERE, f"Token {row.name} is refused from now on.")
