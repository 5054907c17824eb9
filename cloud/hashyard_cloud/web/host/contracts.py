"""Contracts: the list, the two steps of the wizard, terms and their versions."""

from typing import Any, Final

from aiohttp import web

from hashyard_cloud.domain.terms import next_end_us, tell_from_us
from hashyard_cloud.errors import ConflictError, MalformedError
from hashyard_cloud.services import contract_sites, contracts, customers
from hashyard_cloud.services.inputs import CURRENCIES, InputError, read
from hashyard_cloud.services.ports.contracts import (
    BillingBasis,
    ContractKind,
    ContractRow,
    ContractState,
    ContractVersionRow,
)
from hashyard_cloud.services.ports.equipment import UnitState
from hashyard_cloud.services.ports.fleet import Totals, TotalsBy, UnitFilter
from hashyard_cloud.services.ports.listings import ListFilter
from hashyard_cloud.services.renewals import term_of
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import format as formats
from hashyard_cloud.web import keys
from hashyard_cloud.web.lists import one_of, page_of
from hashyard_cloud.web.memory import MEMORY
from hashyard_cloud.web.pages import MANAGERS, actor_of, fields, go, host_page, show

UNITS_SHOWN: Final = 200
ASSIGNABLE: Final = "assignable"
"""The filter for what step 2 can take: staged and unassigned units."""
HOURS_PER_MONTH: Final = 730
ASSUMED_UPTIME: Final = 0.98
DEFAULT_CLAUSE: Final = (
    "If an invoice is not paid in full by the end of the cure period that follows a notice of default, the host "
    "may direct the customer's machines to the host's own pool until the debt is paid. What they mine there is "
    "credited to the debt at the hashprice of the day; anything beyond the debt belongs to the customer. The "
    "customer's own pools are restored when the debt is paid."
)
_TIMES: Final = {"due": "due_s", "grace": "grace_s", "cure": "cure_s"}


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/contracts", host_page(index)),
        web.get("/contracts/new", host_page(new, MANAGERS)),
        web.post("/contracts/new", host_page(create, MANAGERS)),
        web.get("/contracts/{contract_id}", host_page(detail)),
        web.get("/contracts/{contract_id}/terms", host_page(terms, MANAGERS)),
        web.post("/contracts/{contract_id}/terms", host_page(save_terms, MANAGERS)),
        web.get("/contracts/{contract_id}/units", host_page(units, MANAGERS)),
        web.post("/contracts/{contract_id}/units", host_page(complete, MANAGERS)),
        web.post("/contracts/{contract_id}/discard", host_page(discard, MANAGERS)),
        web.post("/contracts/{contract_id}/extend", host_page(extend, MANAGERS)),
        web.post("/contracts/{contract_id}/end", host_page(end, MANAGERS)),
    ]


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /contracts."""
    now_us = request.app[keys.CLOCK].now_us()
    page = page_of("/contracts", request.query, sorts=("created",))
    wanted = ListFilter(
        state=one_of(ContractState, page.query.get("state")),
        search=page.search,
        limit=page.size,
        offset=page.offset,
    )
    async with request.app[keys.DATABASE].reading() as tx:
        found, total = await tx.listings.contracts(viewer.organisation_id, wanted)
        rows = [row for row, _ in found]
        versions = await tx.contracts.versions_at(
            viewer.organisation_id, now_us, [row.contract_id for row in rows]
        )
        counts = await tx.listings.contract_counts(viewer.organisation_id)
    by_contract = await request.app[MEMORY].get(
        viewer.organisation_id, "contracts", lambda: _totals(request, viewer)
    )
    return show(
        request,
        viewer,
        "host/contracts/index.html",
        rows=rows,
        counts=counts,
        versions=versions,
        by_contract=by_contract,
        names={row.customer_id: name for row, name in found},
        page=page.of(total),
        states=list(ContractState),
    )


async def _totals(request: web.Request, viewer: Viewer) -> dict[str, Totals]:
    async with request.app[keys.DATABASE].reading() as tx:
        now_us = request.app[keys.CLOCK].now_us()
        return await tx.fleet.totals(viewer.organisation_id, TotalsBy.CONTRACT, now_us)


def _choices() -> dict[str, list[tuple[str, str]]]:
    return {
        "kinds": [(kind.value, kind.label) for kind in ContractKind],
        "bases": [(basis.value, basis.label[0].upper() + basis.label[1:]) for basis in BillingBasis],
        "currencies": [(code, code) for code in CURRENCIES],
    }


async def _given(request: web.Request) -> dict[str, str]:
    form = await fields(request)
    return {name: value for name, value in form.items() if name in contracts.TermsInput.model_fields}


async def new(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /contracts/new: step 1, the terms."""
    customer_id = request.query.get("customer", "")
    async with request.app[keys.DATABASE].reading() as tx:
        everyone = await tx.customers.all(viewer.organisation_id)
        chosen = await tx.customers.get(viewer.organisation_id, customer_id)
    form = {
        "customer_id": customer_id,
        "kind": "hosted",
        "billing_basis": "metered",
        "currency": chosen.currency if chosen else viewer.organisation.currency,
        "term_months": "12",
        "notice_days": "30",
        "due": "15 d",
        "grace": "15 d",
        "cure": "10 d",
        "minimum_uptime_percent": "95",
        "redirect_clause": DEFAULT_CLAUSE,
    }
    return _form(request, viewer, form, customers=[(row.customer_id, row.name) for row in everyone])


def _form(
    request: web.Request, viewer: Viewer, form: dict[str, str], errors: dict[str, str] | None = None, **more: Any
) -> web.Response:
    status = 422 if errors else 200
    context = {"contract": None, "customers": [], "version_form": False} | more
    return show(
        request,
        viewer,
        "host/contracts/terms.html",
        status,
        form=form,
        errors=errors or {},
        **_choices(),
        **context,
    )


async def create(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /contracts/new: save the draft and go on to step 2."""
    customer_id = (await fields(request)).get("customer_id", "")
    form = await _given(request)
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    async with database.reading() as tx:
        everyone = [(row.customer_id, row.name) for row in await tx.customers.all(viewer.organisation_id)]
    if customer_id not in dict(everyone):
        errors = {"customer_id": "Choose a customer."}
        return _form(request, viewer, form | {"customer_id": customer_id}, errors, customers=everyone)
    try:
        given = read(contracts.TermsInput, form)
        row = await contracts.draft(database, clock, viewer.organisation_id, actor_of(viewer), customer_id, given)
    except MalformedError as error:
        kept = form | {"customer_id": customer_id}
        return _form(request, viewer, kept, _errors(error), customers=everyone)
    return go(f"/contracts/{row.contract_id}/{second_step(row)}", "Draft saved. It can be resumed at any time.")


def second_step(row: ContractRow) -> str:
    """The wizard's second page: sites and services for O&M, units for all others."""
    return "sites" if row.kind is ContractKind.OPERATIONS else "units"


def _errors(error: MalformedError) -> dict[str, str]:
    return error.errors if isinstance(error, InputError) else {error.field or "form": str(error)}


def form_of(version: ContractVersionRow, kind: ContractKind) -> dict[str, str]:
    """The terms as the form shows them."""
    money = {
        "rate": version.rate_micro,
        "fixed_monthly": version.fixed_monthly_micro,
        "failover": version.failover_micro or 0,
        "late_fee": version.late_fee_micro,
        "deposit": version.deposit_micro,
    }
    form = {name: f"{micro / 1e6:.6f}".rstrip("0").rstrip(".") if micro else "" for name, micro in money.items()}
    for name, column in _TIMES.items():
        form[name] = formats.span_of_seconds(getattr(version, column))
        if getattr(version, column) % 60:
            form[name] = f"{getattr(version, column)} s"
    form |= {
        "kind": kind.value,
        "currency": version.currency,
        "billing_basis": version.billing_basis.value,
        "power_cap_kw": "" if version.power_cap_w is None else f"{version.power_cap_w / 1000:g}",
        "term_months": str(version.term_months or ""),
        "auto_renew": "1" if version.auto_renew else "",
        "notice_days": str(version.notice_days),
        "minimum_uptime_percent": f"{version.minimum_uptime_bp / 100:g}",
        "redirect_clause": version.redirect_clause,
        "redirect_clause_given": "1" if version.redirect_clause_given else "",
        "accepted_by": version.accepted_by,
        "spec_model": version.spec_model,
        "spec_hashrate_ths": "" if version.spec_hashrate_ths is None else f"{version.spec_hashrate_ths:g}",
        "spec_quantity": str(version.spec_quantity or ""),
        "connector_fee_percent": f"{(version.connector_fee_bp or 0) / 100:g}",
        "payout_wallet": version.payout_wallet,
    }
    return form


async def detail(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /contracts/{contract_id}."""
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        row = await contracts.get(tx, viewer.organisation_id, request.match_info["contract_id"])
        customer = await customers.get(tx, viewer.organisation_id, row.customer_id)
        versions = await tx.contracts.versions(viewer.organisation_id, row.contract_id)
        current = await tx.contracts.version_at(viewer.organisation_id, row.contract_id, now_us)
        wanted = UnitFilter(contract_id=row.contract_id, limit=UNITS_SHOWN)
        assigned, count = await tx.fleet.units(viewer.organisation_id, wanted, now_us)
        sums = await tx.fleet.totals(viewer.organisation_id, TotalsBy.CONTRACT, now_us, row.contract_id)
        totals = sums.get(row.contract_id, Totals())
        scope = await contract_sites.scope(tx, row)
        sites = {site.site_id: site.name for site in await tx.sites.all(viewer.organisation_id)}
        zone = await contracts.zone_of(tx, viewer.organisation_id)
    term = term_of(row, current) if current and row.state is ContractState.ACTIVE else None
    return show(
        request,
        viewer,
        "host/contracts/detail.html",
        contract=row,
        customer=customer,
        versions=versions[::-1],
        version=current,
        units=assigned,
        count=count,
        totals=totals,
        max_extensions=contracts.MAX_EXTENSIONS,
        scope=scope,
        sites=sites,
        step=second_step(row),
        tell_us=tell_from_us(term, zone) if term and term.notice_days else None,
        renews_until_us=next_end_us(term, zone) if term and term.renews and term.months else None,
    )


async def _terms_context(request: web.Request, viewer: Viewer) -> tuple[ContractRow, ContractVersionRow, str]:
    async with request.app[keys.DATABASE].reading() as tx:
        row = await contracts.get(tx, viewer.organisation_id, request.match_info["contract_id"])
        versions = await tx.contracts.versions(viewer.organisation_id, row.contract_id)
        customer = await customers.get(tx, viewer.organisation_id, row.customer_id)
    return row, versions[-1], customer.name


async def terms(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /contracts/{contract_id}/terms: a draft's terms again, or new terms from now on."""
    row, version, name = await _terms_context(request, viewer)
    return _form(request, viewer, form_of(version, row.kind), contract=row, customer_name=name)


async def save_terms(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /contracts/{contract_id}/terms: rewrite a draft, or add a version that holds from now on."""
    row, _, name = await _terms_context(request, viewer)
    form = await _given(request)
    database, clock, actor = request.app[keys.DATABASE], request.app[keys.CLOCK], actor_of(viewer)
    try:
        given = read(contracts.TermsInput, form)
        if row.state is ContractState.DRAFT:
            row = await contracts.save_draft(
                database, clock, viewer.organisation_id, actor, row.contract_id, given
            )
            return go(f"/contracts/{row.contract_id}/{second_step(row)}", "Draft saved.")
        await contracts.new_terms(database, clock, viewer.organisation_id, actor, row.contract_id, None, given)
    except MalformedError as error:
        return _form(request, viewer, form, _errors(error), contract=row, customer_name=name)
    return go(
        f"/contracts/{row.contract_id}", "The new terms hold from now on. The earlier version stays on record."
    )


async def _units_context(request: web.Request, viewer: Viewer) -> dict[str, Any]:
    now_us = request.app[keys.CLOCK].now_us()
    query = request.query
    async with request.app[keys.DATABASE].reading() as tx:
        row = await contracts.get(tx, viewer.organisation_id, request.match_info["contract_id"])
        version = (await tx.contracts.versions(viewer.organisation_id, row.contract_id))[0]
        customer = await customers.get(tx, viewer.organisation_id, row.customer_id)
        sites = await tx.sites.all(viewer.organisation_id)
        wanted = UnitFilter(
            site_id=query.get("site") or None,
            search=query.get("q", "")[:100],
            lifecycle=one_of(UnitState, query.get("status")),
            model=query.get("model") or None,
            assignable=query.get("status") == ASSIGNABLE,
            limit=UNITS_SHOWN,
        )
        found, total = await tx.fleet.units(viewer.organisation_id, wanted, now_us)
        models = await tx.fleet.models(viewer.organisation_id)
    free = [unit for unit in found if unit.lifecycle in {"staged", "unassigned"}]
    return {
        "contract": row,
        "version": version,
        "customer": customer,
        "sites": sites,
        "models": models,
        "unit_states": [
            (ASSIGNABLE, "Can be picked"),
            *((state.value, state.value.capitalize()) for state in UnitState),
        ],
        "units": sorted(found, key=lambda unit: (unit.lifecycle not in {"staged", "unassigned"}, unit.label)),
        "free": free,
        "total": total,
        "chosen": set(),
        "error": "",
        "hours": HOURS_PER_MONTH,
        "uptime": ASSUMED_UPTIME,
    }


async def units(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /contracts/{contract_id}/units: step 2, pick the units."""
    context = await _units_context(request, viewer)
    if context["contract"].state is not ContractState.DRAFT:
        return go(f"/contracts/{context['contract'].contract_id}")
    if context["contract"].kind is ContractKind.OPERATIONS:
        return go(f"/contracts/{context['contract'].contract_id}/sites")
    return show(request, viewer, "host/contracts/units.html", **context)


async def complete(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /contracts/{contract_id}/units: complete the set-up."""
    form = await request.post()
    chosen = [str(value) for value in form.getall("unit_id", [])]
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    contract_id = request.match_info["contract_id"]
    try:
        row = await contracts.complete(
            database, clock, viewer.organisation_id, actor_of(viewer), contract_id, chosen
        )
    except (MalformedError, ConflictError) as error:
        context = await _units_context(request, viewer)
        context |= {"error": str(error), "chosen": set(chosen)}
        return show(request, viewer, "host/contracts/units.html", error.status, **context)
    return go(f"/contracts/{row.contract_id}", f"{row.number} is active with {len(set(chosen))} units.")


async def discard(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /contracts/{contract_id}/discard."""
    row = await contracts.discard(
        request.app[keys.DATABASE],
        request.app[keys.CLOCK],
        viewer.organisation_id,
        actor_of(viewer),
        request.match_info["contract_id"],
    )
    return go(f"/customers/{row.customer_id}/contracts", f"Draft {row.number} discarded.")


async def extend(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /contracts/{contract_id}/extend."""
    months = (await fields(request)).get("months", "")
    if not months.isascii() or not months.isdigit():
        raise MalformedError("Give a whole number of months.", field="months")
    contract_id = request.match_info["contract_id"]
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await contracts.extend(database, clock, viewer.organisation_id, actor_of(viewer), contract_id, int(months))
    return go(f"/contracts/{contract_id}", "Extended.")


async def end(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /contracts/{contract_id}/end."""
    contract_id = request.match_info["contract_id"]
    database, clock = request.app[keys.DATABASE], request.app[keys.CLOCK]
    await contracts.end(database, clock, viewer.organisation_id, actor_of(viewer), contract_id)
    return go(f"/contracts/{contract_id}", "The contract has ended. Its units still need a decision.")
