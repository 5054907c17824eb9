"""Who may see a customer's portal: its own members, and staff who look, read-only."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from hashyard_cloud.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import brand, keys, security
from hashyard_cloud.web.pages import show, viewer_of


@dataclass(frozen=True, slots=True)
class Guest:
    """Who looks at which customer's portal. `looking` is a host's member who sees what the customer sees."""

    viewer: Viewer
    customer: CustomerRow
    looking: bool
    has_logo: bool

    @property
    def organisation_id(self) -> str:
        """The host."""
        return self.viewer.organisation_id


PortalHandler = Callable[[web.Request, Guest], Awaitable[web.StreamResponse]]


async def guest_of(request: web.Request) -> Guest:
    """The guest; raises `UnauthenticatedError`, or `NotFoundError` where there is no portal to see."""
    viewer = await viewer_of(request)
    if viewer is None:
        raise UnauthenticatedError
    looking = viewer.role is not Role.CUSTOMER
    customer_id = viewer.session.view_customer_id if looking else viewer.membership.customer_id
    if customer_id is None:
        raise NotFoundError
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await tx.customers.get(viewer.organisation_id, customer_id)
        has_logo = await tx.organisations.has_logo(viewer.organisation_id)
    if customer is None:
        raise NotFoundError
    if not looking and not (customer.active and customer.portal_access):
        raise ForbiddenError("Portal access is switched off for this account. Ask your host.")
    return Guest(viewer, customer, looking, has_logo)


def portal_page(handler: PortalHandler) -> Handler:
    """A handler for the portal; a host's member who looks can change nothing."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        guest = await guest_of(request)
        await security.check_form(request, guest.viewer.session.csrf)
        if guest.looking and request.method not in security.SAFE_METHODS:
            raise ForbiddenError("You are viewing this portal read-only; nothing was changed.")
        if request.method in security.SAFE_METHODS:
            return await handler(request, guest)
        try:
            return await handler(request, guest)
        finally:
            request.app[keys.LIVE].changed(guest.organisation_id)

    guarded.__name__ = getattr(handler, "__name__", "portal_page")
    return guarded


def show_portal(
    request: web.Request, guest: Guest, template: str, status: int = 200, /, **context: Any
) -> web.Response:
    """Render a portal page in the host's brand."""
    return show(
        request,
        guest.viewer,
        template,
        status,
        guest=guest,
        customer=guest.customer,
        brand_version=brand.version(guest.viewer.organisation),
        **context,
    )
