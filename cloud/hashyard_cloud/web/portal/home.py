"""The portal: home, invoices, contracts, disputes, and the way out of a host's look at it."""

from typing import Any, Final

from aiohttp import web

from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services import contract_sites
from hashyard_cloud.services.case_money import case_invoices
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.contracts import ContractKind, ContractState
from hashyard_cloud.services.ports.fleet import Totals, TotalsBy, UnitFilter, UnitSort
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.services.standing import standing
from hashyard_cloud.web import brand, keys, security
from hashyard_cloud.web.host.customer_tabs import contract_totals
from hashyard_cloud.web.pages import fields, go
from hashyard_cloud.web.portal.access import Guest, guest_of, portal_page, show_portal

UNITS_SHOWN: Final = 6
INVOICES_SHOWN: Final = 5
NOTICES_SHOWN: Final = 6


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/portal", portal_page(home)),
        web.get("/portal/live", portal_page(live)),
        web.get("/portal/brand.css", portal_page(style)),
        web.get("/portal/logo", portal_page(logo)),
        web.get("/portal/invoices", portal_page(invoices)),
        web.get("/portal/invoices/{invoice_id}", portal_page(invoice)),
        web.get("/portal/contracts", portal_page(contracts)),
        web.get("/portal/notices/{notice_id}", portal_page(notice)),
        web.get("/portal/dispute", portal_page(dispute_form)),
        web.post("/portal/dispute", portal_page(dispute)),
        web.post("/portal/leave", leave),
        web.post("/portal/logout", leave),
    ]


def portal_actor(guest: Guest) -> Actor:
    """The guest as the activity log names them."""
    return Actor(guest.viewer.user.user_id, guest.viewer.actor, guest.viewer.session.remote)


def _visible(rows: list[InvoiceRow]) -> list[InvoiceRow]:
    """What a customer sees of invoices: not the drafts."""
    return [row for row in rows if row.state is not InvoiceState.DRAFT]


async def _home(request: web.Request, guest: Guest) -> dict[str, Any]:
    now_us = request.app[keys.CLOCK].now_us()
    customer_id, organisation_id = guest.customer.customer_id, guest.organisation_id
    async with request.app[keys.DATABASE].reading() as tx:
        found = await standing(tx, guest.customer)
        wanted = UnitFilter(customer_id=customer_id, sort=UnitSort.ATTENTION, limit=UNITS_SHOWN)
        units, _ = await tx.fleet.units(organisation_id, wanted, now_us)
        sums = await tx.fleet.totals(organisation_id, TotalsBy.CUSTOMER, now_us, customer_id)
        totals = sums.get(customer_id, Totals())
        rows = _visible(await tx.invoices.all(organisation_id, customer_id=customer_id))
        opened = await tx.ledger.open_by_invoice(organisation_id, [row.invoice_id for row in rows])
        notices = (await tx.notices.all(organisation_id, customer_id=customer_id))[::-1]
        case = found.case
        contract = await tx.contracts.get(organisation_id, case.contract_id) if case else None
        version = await tx.contracts.version_at(organisation_id, case.contract_id, now_us) if case else None
        owed = await case_invoices(tx, case) if case else []
    return {
        "standing": found,
        "units": units,
        "totals": totals,
        "invoices": rows[:INVOICES_SHOWN],
        "opened": opened,
        "notices": notices[:NOTICES_SHOWN],
        "contract": contract,
        "version": version,
        "owed": owed,
        "section": "home",
    }


async def home(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal."""
    return show_portal(request, guest, "portal/home.html", **await _home(request, guest))


async def live(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/live: what refreshes itself on the home page."""
    return show_portal(request, guest, "portal/live.html", **await _home(request, guest))


async def style(_request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/brand.css."""
    return brand.style_response(guest.viewer.organisation)


async def logo(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/logo."""
    async with request.app[keys.DATABASE].reading() as tx:
        return brand.logo_response(await tx.organisations.logo(guest.organisation_id))


async def invoices(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/invoices."""
    async with request.app[keys.DATABASE].reading() as tx:
        rows = _visible(await tx.invoices.all(guest.organisation_id, customer_id=guest.customer.customer_id))
        opened = await tx.ledger.open_by_invoice(guest.organisation_id, [row.invoice_id for row in rows])
        payments = await tx.payments.all(guest.organisation_id, guest.customer.customer_id)
        found = await standing(tx, guest.customer)
    return show_portal(
        request,
        guest,
        "portal/invoices.html",
        section="invoices",
        invoices=rows,
        opened=opened,
        payments=payments,
        standing=found,
    )


async def invoice(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/invoices/{invoice_id}."""
    async with request.app[keys.DATABASE].reading() as tx:
        row = await tx.invoices.get(guest.organisation_id, request.match_info["invoice_id"])
        if row is None or row.customer_id != guest.customer.customer_id or row not in _visible([row]):
            raise NotFoundError
        lines = await tx.invoices.lines(guest.organisation_id, row.invoice_id)
        opened = await tx.ledger.open_by_invoice(guest.organisation_id, [row.invoice_id])
    return show_portal(
        request,
        guest,
        "portal/invoice.html",
        section="invoices",
        row=row,
        lines=lines,
        open_micro=opened.get(row.invoice_id, 0),
    )


async def contracts(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/contracts."""
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        rows = await tx.contracts.all(guest.organisation_id, guest.customer.customer_id)
        ids = [row.contract_id for row in rows]
        versions = await tx.contracts.versions_at(guest.organisation_id, now_us, ids)
        totals = await contract_totals(tx, rows, now_us)
        scopes = {
            row.contract_id: await contract_sites.scope(tx, row)
            for row in rows
            if row.kind is ContractKind.OPERATIONS
        }
        sites = {site.site_id: site.name for site in await tx.sites.all(guest.organisation_id)} if scopes else {}
    shown = [row for row in rows if row.state in {ContractState.ACTIVE, ContractState.ENDED}]
    return show_portal(
        request,
        guest,
        "portal/contracts.html",
        section="contracts",
        contracts=shown,
        versions=versions,
        totals=totals,
        scopes=scopes,
        sites=sites,
    )


async def notice(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/notices/{notice_id}."""
    async with request.app[keys.DATABASE].reading() as tx:
        row = await tx.notices.get(guest.organisation_id, request.match_info["notice_id"])
    if row is None or row.customer_id != guest.customer.customer_id:
        raise NotFoundError
    return show_portal(request, guest, "portal/notice.html", section="home", row=row)


async def dispute_form(request: web.Request, guest: Guest) -> web.StreamResponse:
    """GET /portal/dispute."""
    return show_portal(request, guest, "portal/dispute.html", section="home")


async def dispute(request: web.Request, guest: Guest) -> web.StreamResponse:
    """POST /portal/dispute: it stops new redirects at once and goes to a person."""
    form = await fields(request)
    try:
        async with request.app[keys.DATABASE].transaction() as tx:
            await request.app[keys.ENFORCEMENT].freezes.raise_dispute(
                tx, guest.organisation_id, portal_actor(guest), guest.customer.customer_id, form.get("text", "")
            )
    except MalformedError as error:
        return show_portal(
            request, guest, "portal/dispute.html", 422, section="home", form=form, errors={"text": str(error)}
        )
    return go("/portal", "Your dispute is recorded. A person looks at it.")


async def leave(request: web.Request) -> web.StreamResponse:
    """POST /portal/leave and /portal/logout: back to the host's pages, or sign out."""
    guest = await guest_of(request)
    await security.check_form(request, guest.viewer.session.csrf)
    async with request.app[keys.DATABASE].transaction() as tx:
        if guest.looking:
            await tx.users.set_view(guest.viewer.session.session_id, None)
            return go(f"/customers/{guest.customer.customer_id}")
        await tx.users.end_session(guest.viewer.session.session_id)
    request.app[keys.LIVE].changed(guest.organisation_id)
    slug = guest.viewer.organisation.slug
    response = go(f"/host/{slug}/auth" if slug else "/login")
    response.del_cookie(security.SESSION_COOKIE, path="/")
    return response
