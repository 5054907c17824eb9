"""Agreements: the host's texts, a customer's Legal tab, and the PDF of what was accepted."""

from typing import Any

from aiohttp import hdrs, web

from hashyard_cloud.errors import ConflictError, NotFoundError
from hashyard_cloud.services import agreements
from hashyard_cloud.services.inputs import InputError, read
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.host.customer_tabs import load
from hashyard_cloud.web.pages import MANAGERS, actor_of, fields, go, host_page, show


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/agreements", host_page(index)),
        web.post("/agreements", host_page(create, MANAGERS)),
        web.get("/agreements/{agreement_id}", host_page(detail)),
        web.post("/agreements/{agreement_id}", host_page(revise, MANAGERS)),
        web.post("/agreements/{agreement_id}/retire", host_page(retire, MANAGERS)),
        web.get("/customers/{customer_id}/legal", host_page(legal)),
        web.get("/customers/{customer_id}/legal/{agreement_id}.pdf", host_page(pdf)),
    ]


async def _index(request: web.Request, viewer: Viewer, status: int = 200, **more: Any) -> web.Response:
    async with request.app[keys.DATABASE].reading() as tx:
        rows = await tx.agreements.all(viewer.organisation_id)
        versions = await tx.agreements.versions(viewer.organisation_id)
        accepted = await tx.agreements.acceptances(viewer.organisation_id)
    newest = {row.agreement_id: row for row in versions}
    counts = {row.version_id: 0 for row in versions}
    for one in accepted:
        counts[one.version_id] += 1
    return show(
        request, viewer, "host/agreements/index.html", status, rows=rows, newest=newest, counts=counts, **more
    )


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /agreements."""
    return await _index(request, viewer)


async def create(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /agreements."""
    given = await fields(request)
    form = {"title": given.get("title", ""), "text": given.get("text", "")}
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        wanted = read(agreements.AgreementInput, form)
        row = await agreements.add(database, clock, viewer.organisation_id, actor_of(viewer), wanted)
    except InputError as error:
        return await _index(request, viewer, 422, form=form, errors=error.errors)
    except ConflictError as error:
        return await _index(request, viewer, 409, form=form, errors={error.field or "title": str(error)})
    return go(f"/agreements/{row.agreement_id}", "Saved. Customers find it in their portal.")


async def _detail(request: web.Request, viewer: Viewer, status: int = 200, **more: Any) -> web.Response:
    agreement_id = request.match_info["agreement_id"]
    async with request.app[keys.DATABASE].reading() as tx:
        row = await tx.agreements.get(viewer.organisation_id, agreement_id)
        if row is None:
            raise NotFoundError
        versions = await tx.agreements.versions(viewer.organisation_id)
        mine = [one for one in versions if one.agreement_id == agreement_id]
        names = {one.customer_id: one.name for one in await tx.customers.all(viewer.organisation_id)}
        by_id = {one.version_id: one for one in mine}
        accepted = [
            one for one in await tx.agreements.acceptances(viewer.organisation_id) if one.version_id in by_id
        ]
    context: dict[str, Any] = {"form": {"text": mine[-1].text}}
    return show(
        request,
        viewer,
        "host/agreements/detail.html",
        status,
        row=row,
        versions=mine[::-1],
        accepted=accepted,
        by_id=by_id,
        names=names,
        **(context | more),
    )


async def detail(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /agreements/{agreement_id}."""
    return await _detail(request, viewer)


async def revise(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /agreements/{agreement_id}: a new version."""
    agreement_id = request.match_info["agreement_id"]
    text = (await fields(request)).get("text", "")
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    try:
        wanted = read(agreements.AgreementInput, {"title": "as before", "text": text})
        await agreements.revise(
            database, clock, viewer.organisation_id, actor_of(viewer), agreement_id, wanted.text
        )
    except InputError as error:
        return await _detail(request, viewer, 422, form={"text": text}, errors=error.errors)
    except ConflictError as error:
        return await _detail(request, viewer, 409, form={"text": text}, errors={"text": str(error)})
    return go(f"/agreements/{agreement_id}", "New version saved. Customers are asked to accept it.")


async def retire(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /agreements/{agreement_id}/retire."""
    agreement_id = request.match_info["agreement_id"]
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await agreements.retire(database, clock, viewer.organisation_id, actor_of(viewer), agreement_id)
    return go("/agreements", "It is offered no more. What was accepted stays on record.")


async def legal(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /customers/{customer_id}/legal."""
    async with request.app[keys.DATABASE].reading() as tx:
        context = await load(request, viewer, tx)
        found = await agreements.standings(tx, viewer.organisation_id, request.match_info["customer_id"])
    return show(request, viewer, "host/customers/legal.html", **context, tab="legal", agreements=found)


async def pdf(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /customers/{customer_id}/legal/{agreement_id}.pdf."""
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await tx.customers.get(viewer.organisation_id, request.match_info["customer_id"])
        if customer is None:
            raise NotFoundError
        found = await agreements.standings(tx, viewer.organisation_id, customer.customer_id)
    return printed(request, viewer.organisation.name, customer, found)


def printed(
    request: web.Request, host: str, customer: CustomerRow, found: list[agreements.Standing]
) -> web.Response:
    """The PDF of the agreement in the address, as it was accepted."""
    agreement_id = request.match_info["agreement_id"]
    mine = next((one for one in found if one.agreement.agreement_id == agreement_id), None)
    if mine is None:
        raise NotFoundError
    body = request.app[keys.DOCUMENTS].render(agreements.document(host, customer, mine))
    headers = {"Content-Disposition": 'attachment; filename="agreement.pdf"', hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=body, content_type="application/pdf", headers=headers)
