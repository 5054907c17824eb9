"""RevenueGuard: machines that earn without an active contract, since when, and what that costs a day."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from hashyard_cloud.services.ports.contracts import ContractState
from hashyard_cloud.services.ports.fleet import UnitFilter, UnitSort, UnitView
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import host_page, show
from hashyard_shared.clock import utc

SHOWN: Final = 500
MICRO: Final = 1_000_000


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


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /revenue-guard."""
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
        active = [row for row in contracts.values() if row.state is ContractState.ACTIVE]
        names = {row.customer_id: row.name for row in await tx.customers.all(organisation_id)}
    leaks = []
    for unit in units:
        if not unit.hashrate_ths:
            continue
        contract = contracts.get(unit.contract_id or "")
        since_us = contract.ends_us if contract and contract.ends_us else unit.state_since_us
        why = f"{contract.number} has ended" if contract else "assigned to nobody"
        loss = None if price is None else round(unit.hashrate_ths * price.price_micro)
        leaks.append(Leak(unit, since_us, why, loss))
    leaks.sort(key=lambda leak: -(leak.loss_micro or 0))
    return show(
        request,
        viewer,
        "host/revenue_guard/page.html",
        leaks=leaks,
        price=price,
        total_micro=sum(leak.loss_micro or 0 for leak in leaks),
        contracts=active,
        names=names,
    )
