"""O&M contracts: the wizard's second step, and their sites and services afterwards."""

from itertools import zip_longest
from typing import Any, Final

from aiohttp import web

from hashyard_cloud.errors import ConflictError, MalformedError
from hashyard_cloud.services import contract_sites, contracts, customers
from hashyard_cloud.services.contract_sites import ServiceInput
from hashyard_cloud.services.inputs import InputError, read
from hashyard_cloud.services.ports.contracts import ContractKind, ContractState
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import MANAGERS, actor_of, go, host_page, show

BLANK_ROWS: Final = 3
"""Empty lines for further services below those that are there; a saved page has as many again."""


def routes() -> list[web.RouteDef]:
    """The routes of this page."""
    return [
        web.get("/contracts/{contract_id}/sites", host_page(page, MANAGERS)),
        web.post("/contracts/{contract_id}/sites", host_page(save, MANAGERS)),
    ]


async def _show(
    request: web.Request,
    viewer: Viewer,
    status: int = 200,
    *,
    chosen: set[str] | None = None,
    rows: list[dict[str, str]] | None = None,
    errors: dict[str, str] | None = None,
) -> web.StreamResponse:
    async with request.app[keys.DATABASE].reading() as tx:
        row = await contracts.get(tx, viewer.organisation_id, request.match_info["contract_id"])
        if row.kind is not ContractKind.OPERATIONS:
            return go(f"/contracts/{row.contract_id}")
        customer = await customers.get(tx, viewer.organisation_id, row.customer_id)
        version = (await tx.contracts.versions(viewer.organisation_id, row.contract_id))[-1]
        scope = await contract_sites.scope(tx, row)
        sites = await tx.sites.all(viewer.organisation_id)
    if rows is None:
        rows = [
            {"name": one.name, "monthly": _plain(one.monthly_micro), "site_id": one.site_id or ""}
            for one in scope.open_services
        ]
    rows = rows + [{"name": "", "monthly": "", "site_id": ""}] * BLANK_ROWS
    return show(
        request,
        viewer,
        "host/contracts/sites.html",
        status,
        contract=row,
        customer=customer,
        version=version,
        sites=sites,
        chosen={one.site_id for one in scope.open_sites} if chosen is None else chosen,
        services=rows,
        errors=errors or {},
        draft=row.state is ContractState.DRAFT,
    )


def _plain(micro: int) -> str:
    return f"{micro / 1e6:.6f}".rstrip("0").rstrip(".")


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /contracts/{contract_id}/sites."""
    return await _show(request, viewer)


async def _typed(request: web.Request) -> tuple[list[str], list[dict[str, str]], bool]:
    """The sites chosen, the services typed without empty lines, and whether the set-up is to be completed."""
    form = await request.post()
    columns = {
        name: [str(one) for one in form.getall(f"service_{name}", [])] for name in ("name", "monthly", "site_id")
    }
    rows: list[dict[str, Any]] = [
        dict(zip(columns, (part.strip() for part in parts), strict=True))
        for parts in zip_longest(*columns.values(), fillvalue="")
    ]
    typed = [row for row in rows if row["name"] or row["monthly"]]
    return [str(one) for one in form.getall("site_ids", [])], typed, form.get("complete") == "1"


async def save(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /contracts/{contract_id}/sites: what holds from now on; for a draft perhaps its completion."""
    site_ids, rows, complete = await _typed(request)
    contract_id, actor = request.match_info["contract_id"], actor_of(viewer)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    errors: dict[str, str] = {}
    services = []
    for place, row in enumerate(rows[: contract_sites.MAX_SERVICES + 1]):
        try:
            services.append(read(ServiceInput, row | {"site_id": row["site_id"] or None}))
        except InputError as error:
            errors |= {f"service_{name}_{place}": text for name, text in error.errors.items()}
    try:
        if not errors:
            await contract_sites.save(
                database, clock, viewer.organisation_id, actor, contract_id, site_ids, services
            )
            if complete:
                await contracts.complete(database, clock, viewer.organisation_id, actor, contract_id)
    except (MalformedError, ConflictError) as error:
        errors[error.field or "form"] = str(error)
    if errors:
        return await _show(request, viewer, 422, chosen=set(site_ids), rows=rows, errors=errors)
    return go(f"/contracts/{contract_id}", "Saved. The sites and services hold from now on.")
