"""A customer's page: header and status bar on every tab, and the tabs themselves."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from hashyard_cloud.domain.default import CaseState
from hashyard_cloud.services import customers, opening_balances
from hashyard_cloud.services.gate_facts import CaseSituation
from hashyard_cloud.services.ports.contracts import ContractKind, ContractRow, ContractState
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.services.ports.fleet import Totals, TotalsBy, UnitFilter, UnitSort
from hashyard_cloud.services.ports.pool_figures import PoolFigureRow
from hashyard_cloud.services.ports.redirects import AccrualRow, RedirectUnitRow
from hashyard_cloud.services.standing import Standing, standing
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import chart_ranges, charts, keys
from hashyard_cloud.web.chart_ranges import Window
from hashyard_cloud.web.customer_series import customer_series
from hashyard_cloud.web.host.equipment import unit_filter
from hashyard_cloud.web.lists import page_of
from hashyard_cloud.web.pages import host_page, show
from hashyard_cloud.web.unit_lists import units_page
from hashyard_shared.clock import iso
from hashyard_shared.orders import OrderKind

SORTS: Final = tuple(sort.value for sort in (UnitSort.LABEL, *UnitSort))
ACTIVITY_SHOWN: Final = 6
FREE_SHOWN: Final = 50
EVENT_ICONS: Final = {
    "opened": "gavel",
    "gate": "shield-half",
    "approved": "signature",
    "redirect-ordered": "signature",
    "restore-ordered": "arrow-back-up",
    "lease-renewed": "rotate-clockwise-2",
    "paid": "receipt",
    "invoice-added": "receipt",
}


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/customers/{customer_id}", host_page(overview)),
        web.get("/customers/{customer_id}/status-bar", host_page(status_bar)),
        web.get("/customers/{customer_id}/chart.json", host_page(chart)),
        web.get("/customers/{customer_id}/chart.csv", host_page(chart_csv)),
        web.get("/customers/{customer_id}/contracts", host_page(contracts_tab)),
        web.get("/customers/{customer_id}/equipment", host_page(equipment_tab)),
        web.get("/customers/{customer_id}/financials", host_page(financials_tab)),
        web.get("/customers/{customer_id}/default", host_page(default_tab)),
        web.get("/customers/{customer_id}/default/live", host_page(default_live)),
    ]


async def load(request: web.Request, viewer: Viewer, tx: Transaction) -> dict[str, Any]:
    """What header, status bar and tabs need on every tab."""
    now_us = request.app[keys.CLOCK].now_us()
    customer = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
    contracts = await tx.contracts.all(viewer.organisation_id, customer.customer_id)
    customer_id = customer.customer_id
    found = await tx.fleet.totals(viewer.organisation_id, TotalsBy.CUSTOMER, now_us, customer_id)
    totals = found.get(customer_id, Totals())
    invoices = await tx.invoices.all(viewer.organisation_id, customer_id=customer.customer_id)
    return {
        "customer": customer,
        "standing": await standing(tx, customer),
        "contracts": contracts,
        "totals": totals,
        "invoices": invoices,
        "owed_count": sum(row.state.owed for row in invoices),
        "base": f"/customers/{customer.customer_id}",
    }


async def contract_totals(tx: Transaction, contracts: Sequence[ContractRow], now_us: int) -> dict[str, Totals]:
    """What stands under each of these few contracts."""
    found: dict[str, Totals] = {}
    for row in contracts:
        found |= await tx.fleet.totals(row.organisation_id, TotalsBy.CONTRACT, now_us, row.contract_id)
    return found


async def status_bar(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../status-bar: the bar alone, which refreshes itself."""
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
        found = await standing(tx, customer)
    base = f"/customers/{customer.customer_id}"
    return show(request, viewer, "host/customers/status_bar.html", customer=customer, standing=found, base=base)


@dataclass(frozen=True, slots=True)
class LedgerDay:
    """A day of the redirect ledger over all units. `hours` is the longest of any unit, `ths` the mean."""

    day: str
    hours: float
    ths: float
    hashprice_micro: int
    value_micro: int
    units: int


def ledger_days(rows: list[AccrualRow]) -> list[LedgerDay]:
    """The accruals by day: hours at the pool, mean hashrate over them, value."""
    by_day: defaultdict[str, list[AccrualRow]] = defaultdict(list)
    for row in rows:
        by_day[row.day].append(row)
    days = []
    for day, found in sorted(by_day.items()):
        hours = max(row.measured_s for row in found) / 3_600
        ths_hours = sum(row.ths_hours_micro for row in found) / 1e6
        days.append(
            LedgerDay(
                day,
                hours,
                ths_hours / hours if hours else 0.0,
                found[0].hashprice_micro,
                sum(row.value_micro for row in found),
                len(found),
            )
        )
    return days


async def overview(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /customers/{customer_id}."""
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        context = await load(request, viewer, tx)
        customer: CustomerRow = context["customer"]
        found: Standing = context["standing"]
        active = [row for row in context["contracts"] if row.state is ContractState.ACTIVE]
        ids = [row.contract_id for row in context["contracts"]]
        versions = await tx.contracts.versions_at(viewer.organisation_id, now_us, ids)
        opened = await tx.ledger.open_by_invoice(
            viewer.organisation_id, [row.invoice_id for row in context["invoices"]]
        )
        sites = await tx.contract_sites.of_customer(viewer.organisation_id, customer.customer_id)
        accruals = await tx.redirects.accruals(viewer.organisation_id, found.case.case_id) if found.case else []
        by_contract = await contract_totals(tx, context["contracts"], now_us)
        activity = await tx.activity.all(
            viewer.organisation_id, customer_id=customer.customer_id, limit=ACTIVITY_SHOWN
        )
    return show(
        request,
        viewer,
        "host/customers/overview.html",
        **context,
        tab="overview",
        active=active,
        versions=versions,
        by_contract=by_contract,
        opened=opened,
        days=ledger_days(accruals),
        operated_sites=sites,
        operates=any(row.kind is ContractKind.OPERATIONS for row in active),
        activity=activity,
        asked=chart_ranges.chosen(request.query, now_us, viewer.organisation.timezone),
    )


async def _series(request: web.Request, viewer: Viewer) -> tuple[Window, list[charts.Series], list[charts.Band]]:
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
    return await customer_series(
        request, viewer.organisation_id, customer.customer_id, viewer.organisation.timezone
    )


async def chart(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../chart.json."""
    return charts.answer(*await _series(request, viewer))


async def chart_csv(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../chart.csv."""
    span, series, _ = await _series(request, viewer)
    return charts.as_csv(span, series, f"hashrate-by-destination-{span.name}.csv")


async def contracts_tab(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../contracts."""
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].reading() as tx:
        context = await load(request, viewer, tx)
        ids = [row.contract_id for row in context["contracts"]]
        versions = await tx.contracts.versions_at(viewer.organisation_id, now_us, ids)
        by_contract = await contract_totals(tx, context["contracts"], now_us)
    return show(
        request,
        viewer,
        "host/customers/contracts.html",
        **context,
        tab="contracts",
        versions=versions,
        by_contract=by_contract,
    )


async def equipment_tab(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../equipment: assigned units, and free ones to assign."""
    customer_id = request.match_info["customer_id"]
    async with request.app[keys.DATABASE].reading() as tx:
        context = await load(request, viewer, tx)
        page = page_of(f"{context['base']}/equipment", request.query, sorts=SORTS, size=50)
    units, total = await units_page(request.app, viewer.organisation_id, unit_filter(page, customer_id))
    free, free_total = await units_page(
        request.app, viewer.organisation_id, UnitFilter(assignable=True, limit=FREE_SHOWN)
    )
    return show(
        request,
        viewer,
        "host/customers/equipment.html",
        **context,
        tab="equipment",
        units=units,
        page=page.of(total),
        free=free,
        free_total=free_total,
        active=[row for row in context["contracts"] if row.state is ContractState.ACTIVE],
    )


async def financials_tab(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../financials: invoices, payments, credit."""
    async with request.app[keys.DATABASE].reading() as tx:
        context = await load(request, viewer, tx)
        customer: CustomerRow = context["customer"]
        opened = await tx.ledger.open_by_invoice(
            viewer.organisation_id, [row.invoice_id for row in context["invoices"]]
        )
        payments = await tx.payments.all(viewer.organisation_id, customer.customer_id)
        openings = await opening_balances.of_customer(tx, viewer.organisation_id, customer.customer_id)
    return show(
        request,
        viewer,
        "host/customers/financials.html",
        **context,
        tab="financials",
        opened=opened,
        payments=payments,
        openings=openings,
    )


async def _pool_figures(
    tx: Transaction, organisation_id: str, case: CaseRow | None, units: Sequence[RedirectUnitRow]
) -> list[PoolFigureRow]:
    """Level 5: what the holding pool itself says of these units' workers since the case was opened, by day."""
    workers = sorted({row.active_worker for row in units if row.active_worker})
    if case is None or not workers:
        return []
    since = iso(case.opened_us)[:10]
    return [row for row in await tx.pool_figures.of_workers(organisation_id, workers) if row.day >= since]


async def _default_context(request: web.Request, viewer: Viewer) -> dict[str, Any]:
    async with request.app[keys.DATABASE].reading() as tx:
        context = await load(request, viewer, tx)
        customer: CustomerRow = context["customer"]
        found: Standing = context["standing"]
        cases = await tx.defaults.cases(viewer.organisation_id, customer_id=customer.customer_id)
        case = found.case or (cases[0] if cases else None)
        situation: CaseSituation | None = None
        events: list[Any] = []
        units = list(found.units)
        approvals: list[Any] = []
        if case:
            situation = await request.app[keys.ENFORCEMENT].defaults.situation(tx, case)
            events = await tx.defaults.events(viewer.organisation_id, case.case_id)
            units = await tx.redirects.units(viewer.organisation_id, case_id=case.case_id)
            approvals = [
                row
                for row in await tx.defaults.approvals(viewer.organisation_id, case.case_id)
                if not row.withdrawn_us
            ]
        figures = await _pool_figures(tx, viewer.organisation_id, case, units)
        disputes = await tx.defaults.disputes(viewer.organisation_id, customer.customer_id)
        holds = [
            row
            for row in await tx.defaults.holds(viewer.organisation_id)
            if row.customer_id in {None, customer.customer_id}
        ]
    redirected = [row for row in units if row.wanted is OrderKind.REDIRECT]
    return context | {
        "tab": "default",
        "case": case,
        "cases": cases,
        "situation": situation,
        "events": events,
        "event_icons": EVENT_ICONS,
        "units": sorted(units, key=lambda row: (row.level, row.label)),
        "levels_count": Counter(row.level for row in (redirected or units)),
        "redirected": redirected,
        "approvals": approvals,
        "pool_says": {row.worker: row for row in figures},
        "pool_sources": sorted({row.source for row in figures}),
        "open_disputes": [row for row in disputes if row.resolved_us is None],
        "open_holds": [row for row in holds if row.lifted_us is None],
        "can_restore": bool(case and case.state in {CaseState.OPEN, CaseState.PLAN} and redirected),
    }


async def default_tab(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../default."""
    return show(request, viewer, "host/customers/default.html", **await _default_context(request, viewer))


async def default_live(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../default/live: gate, timeline and units, which refresh themselves."""
    return show(request, viewer, "host/customers/default_live.html", **await _default_context(request, viewer))
