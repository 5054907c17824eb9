"""Equipment: the inventory, found miners and their adoption, registering and assigning units."""

import csv
import io
from dataclasses import replace
from typing import Any

from aiohttp import web

from hashyard_cloud.services import equipment
from hashyard_cloud.services.inputs import InputError, read
from hashyard_cloud.services.ports.contracts import ContractState
from hashyard_cloud.services.ports.equipment import UnitState
from hashyard_cloud.services.ports.fleet import Health, UnitFilter, UnitSort
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import charts, keys
from hashyard_cloud.web.lists import Page, page_of
from hashyard_cloud.web.memory import MEMORY
from hashyard_cloud.web.pages import FLOOR, MANAGERS, actor_of, fields, go, host_page, local_path, show
from hashyard_cloud.web.unit_lists import found_page, units_page
from hashyard_shared.clock import iso

MAX_EXPORT_ROWS = 100_000
EXPORT_STEP = 500
SORTS = tuple(sort.value for sort in (UnitSort.LABEL, *UnitSort))


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/equipment", host_page(index)),
        web.get("/equipment.csv", host_page(export)),
        web.get("/equipment/found", host_page(found)),
        web.get("/equipment/new", host_page(new, FLOOR)),
        web.post("/equipment/new", host_page(create, FLOOR)),
        web.post("/equipment/assign", host_page(assign, MANAGERS)),
        web.post("/equipment/release", host_page(release, MANAGERS)),
    ]


def _enum_or_none(kind: type[Health] | type[UnitState], text: str) -> str | None:
    return text if text in {item.value for item in kind} else None


def unit_filter(page: Page, customer_id: str | None = None) -> UnitFilter:
    """What the address asks for, as the store understands it."""
    health = _enum_or_none(Health, page.query.get("health", ""))
    return UnitFilter(
        site_id=page.query.get("site") or None,
        customer_id=customer_id or page.query.get("customer") or None,
        lifecycle=_enum_or_none(UnitState, page.query.get("state", "")),
        health=Health(health) if health else None,
        below_expected=page.query.get("below") == "1",
        search=page.search,
        sort=UnitSort(page.sort),
        descending=page.descending,
        limit=page.size,
        offset=page.offset,
    )


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment."""
    page = page_of("/equipment", request.query, sorts=SORTS, size=50)
    units, total = await units_page(request.app, viewer.organisation_id, unit_filter(page))
    memory = request.app[MEMORY]
    around = await memory.get(viewer.organisation_id, "equipment", lambda: _around(request, viewer))
    return show(
        request,
        viewer,
        "host/equipment/index.html",
        units=units,
        page=page.of(total),
        states=list(UnitState),
        **around,
    )


async def _around(request: web.Request, viewer: Viewer) -> dict[str, Any]:
    """What stands around the list, whatever page of it is shown."""
    _, unregistered = await found_page(request.app, viewer.organisation_id, None, "", 1, 0)
    async with request.app[keys.DATABASE].reading() as tx:
        every = await tx.contracts.all(viewer.organisation_id)
        return {
            "counts": await tx.fleet.counts(viewer.organisation_id),
            "sites": await tx.sites.all(viewer.organisation_id),
            "unregistered": unregistered,
            "contracts": [row for row in every if row.state is ContractState.ACTIVE],
            "customers": {row.customer_id: row.name for row in await tx.customers.all(viewer.organisation_id)},
        }


async def export(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment.csv: the list as filtered."""
    now_us = request.app[keys.CLOCK].now_us()
    page = page_of("/equipment", request.query, sorts=SORTS)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        (
            *("label", "position", "serial", "mac", "model", "site", "status", "customer", "contract", "state"),
            *("hashrate_ths", "expected_hashrate_ths", "power_w", "temp_chip_c", "read_at_utc"),
        )
    )
    async with request.app[keys.DATABASE].reading() as tx:
        for offset in range(0, MAX_EXPORT_ROWS, EXPORT_STEP):
            wanted = unit_filter(page)
            step = replace(wanted, limit=EXPORT_STEP, offset=offset)
            units, _ = await tx.fleet.units(viewer.organisation_id, step, now_us)
            for unit in units:
                writer.writerow(
                    (
                        *(unit.label, unit.position, unit.serial, unit.mac, unit.model, unit.site_name),
                        *(unit.lifecycle, unit.customer_name, unit.contract_number, unit.health.value),
                        *(unit.hashrate_ths, unit.expected_hashrate_ths, unit.power_w, unit.temp_chip_c),
                        iso(unit.at_us) if unit.at_us else "",
                    )
                )
            if len(units) < EXPORT_STEP:
                break
    return charts.csv_file(text.getvalue(), "equipment.csv")


async def found(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment/found: miners that are read and belong to no unit."""
    page = page_of("/equipment/found", request.query, sorts=("first_seen",), size=50)
    async with request.app[keys.DATABASE].reading() as tx:
        sites = await tx.sites.all(viewer.organisation_id)
    site_id = page.query.get("site") or None
    rows, total = await found_page(
        request.app, viewer.organisation_id, site_id, page.search, page.size, page.offset
    )
    return show(request, viewer, "host/equipment/found.html", rows=rows, page=page.of(total), sites=sites)


async def _form(
    request: web.Request, viewer: Viewer, form: dict[str, str], errors: dict[str, str] | None = None
) -> web.Response:
    async with request.app[keys.DATABASE].reading() as tx:
        sites = [(site.site_id, site.name) for site in await tx.sites.all(viewer.organisation_id)]
    status = 422 if errors else 200
    return show(
        request,
        viewer,
        "host/equipment/form.html",
        status,
        sites=sites,
        form=form,
        errors=errors or {},
        title="Register a unit",
        back="/equipment",
    )


async def new(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /equipment/new."""
    return await _form(request, viewer, {"site_id": request.query.get("site", "")})


async def create(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /equipment/new."""
    form = await unit_form(request)
    try:
        unit = await equipment.add(
            request.app[keys.DATABASE],
            request.app[keys.CLOCK],
            viewer.organisation_id,
            actor_of(viewer),
            read(equipment.UnitInput, form),
        )
    except InputError as error:
        return await _form(request, viewer, form, error.errors)
    return go(f"/equipment/{unit.unit_id}", f"Unit {unit.label} registered.")


async def unit_form(request: web.Request) -> dict[str, str]:
    """The fields of a unit that were sent."""
    form = await fields(request)
    return {name: value for name, value in form.items() if name in equipment.UnitInput.model_fields}


async def assign(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /equipment/assign: put the chosen units under a contract."""
    form = await request.post()
    chosen = [str(value) for value in form.getall("unit_id", [])]
    contract_id = str(form.get("contract_id", ""))
    count = await equipment.assign(
        request.app[keys.DATABASE],
        request.app[keys.CLOCK],
        viewer.organisation_id,
        actor_of(viewer),
        contract_id,
        chosen,
    )
    return go(local_path(str(form.get("next", "")), "/equipment"), f"{count} units assigned.")


async def release(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /equipment/release: end the chosen units' assignments."""
    form = await request.post()
    chosen = [str(value) for value in form.getall("unit_id", [])]
    state = _enum_or_none(UnitState, str(form.get("state", ""))) or UnitState.UNASSIGNED.value
    ended = await equipment.release(
        request.app[keys.DATABASE],
        request.app[keys.CLOCK],
        viewer.organisation_id,
        actor_of(viewer),
        chosen,
        UnitState(state),
    )
    return go(local_path(str(form.get("next", "")), "/equipment"), f"{ended} assignments ended.")
