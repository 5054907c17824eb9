"""RevenueGuard: machines that earn without an active contract, since when, and what that costs a day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from hashyard_cloud.services.ports.contracts import ContractRow, ContractState
from hashyard_cloud.services.ports.equipment import UnitState
from hashyard_cloud.services.ports.fleet import UnitFilter, UnitSort, UnitView
from hashyard_cloud.services.ports.hashprices import HashpriceRow
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.lists import page_of
from hashyard_cloud.web.memory import MEMORY
from hashyard_cloud.web.pages import host_page, show
from hashyard_shared.clock import utc

SHOWN: Final = 500


@dataclass(frozen=True, slots=True)
class Leak:
    """A machine that mines and is billed to nobody. `loss_micro` is its hashrate at the day's hashprice."""

    unit: UnitView
    since_us: int
    why: str
    loss_micro: int | None


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [web.get("/revenue-guard", host_page(page))]


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is lost, the most first, and under what it could be billed."""

    leaks: Sequence[Leak]
    price: HashpriceRow | None
    contracts: Sequence[ContractRow]
    names: Mapping[str, str]


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /revenue-guard."""
    shown = page_of("/revenue-guard", request.query, sorts=("loss",), size=50)
    found = await request.app[MEMORY].get(
        viewer.organisation_id, "revenue-guard", lambda: _guarded(request, viewer)
    )
    return show(
        request,
        viewer,
        "host/revenue_guard/page.html",
        leaks=found.leaks[shown.offset : shown.offset + shown.size],
        page=shown.of(len(found.leaks)),
        price=found.price,
        total_micro=sum(leak.loss_micro or 0 for leak in found.leaks),
        contracts=found.contracts,
        names=found.names,
    )


async def _guarded(request: web.Request, viewer: Viewer) -> Guarded:
    now_us, organisation_id = request.app[keys.CLOCK].now_us(), viewer.organisation_id
    async with request.app[keys.DATABASE].reading() as tx:
        contracts = {row.contract_id: row for row in await tx.contracts.all(organisation_id)}
        day = utc(now_us).strftime("%Y-%m-%d")
        price = await tx.hashprices.at(organisation_id, viewer.organisation.currency, day)
        wanted = UnitFilter(sort=UnitSort.HASHRATE, descending=True, limit=SHOWN, assigned=False)
        units, _ = await tx.fleet.units(organisation_id, wanted, now_us)
        lapsed = [
            row.contract_id
            for row in contracts.values()
            if row.state is not ContractState.ACTIVE or (row.ends_us is not None and row.ends_us <= now_us)
        ]
        for contract_id in lapsed:
            found, _ = await tx.fleet.units(
                organisation_id, UnitFilter(contract_id=contract_id, limit=SHOWN), now_us
            )
            units += found
        names = {row.customer_id: row.name for row in await tx.customers.all(organisation_id)}
    # What was taken out of service is decided on: somebody works at it, it may well hash while it is tried.
    units = [unit for unit in units if unit.hashrate_ths and unit.lifecycle != UnitState.REPAIR]
    leaks = [_leak(unit, contracts.get(unit.contract_id or ""), price) for unit in units]
    leaks.sort(key=lambda leak: -(leak.loss_micro or 0))
    active = [row for row in contracts.values() if row.contract_id not in lapsed]
    return Guarded(leaks, price, active, names)


def _leak(unit: UnitView, contract: ContractRow | None, price: HashpriceRow | None) -> Leak:
    since_us = contract.ends_us if contract and contract.ends_us else unit.state_since_us
    why = f"{contract.number} has ended" if contract else "assigned to nobody"
    loss = None if price is None else round((unit.hashrate_ths or 0.0) * price.price_micro)
    return Leak(unit, since_us, why, loss)
