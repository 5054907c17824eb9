"""A full house for the page bench: units, customers, weeks of readings; kept for the next run."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from hashyard_cloud.services import api_tokens, equipment
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.equipment import AssignmentRow, UnitState
from hashyard_cloud.services.ports.users import Role
from hashyard_shared.clock import US_PER_S, iso
from hashyard_shared.ids import new_id
from hashyard_support.pages import DAY_S, HOUR_S, MODELS, OWNER_EMAIL, Pages, SeedSite, SeedUnit, running

SITES: Final = (("Pecos North", "PN"), ("Rook Creek", "RC"), ("Alkali Flat", "AF"), ("Mesa Verde", "MV"))
KEPT: Final = "house.json"
SETTLE_STEPS: Final = 24
"""Readings are projected so many steps at a time: days are summed up anew each time."""


async def prepared(folder: Path, units: int, customers: int, days: int) -> dict[str, str]:
    """The addresses to measure in the house of this folder, which is seeded if it is not there yet."""
    kept = folder / KEPT
    async with running(folder / "data") as pages:
        if not kept.exists():
            addresses = await seed(pages, units, customers, days)
            sites = {code: asdict(site) | {"agent": site.agent.agent_id} for code, site in pages.sites.items()}
            told = {"organisation_id": pages.organisation_id, "addresses": addresses, "sites": sites}
            kept.write_text(json.dumps(told), encoding="utf-8")
            return addresses
        told = json.loads(kept.read_text(encoding="utf-8"))
        await _wake(pages, told)
        kept.write_text(json.dumps(told), encoding="utf-8")
    return dict(told["addresses"])


async def _wake(pages: Pages, told: dict[str, Any]) -> None:
    """A kept house is read once more, so that its figures are not old."""
    pages.organisation_id = told["organisation_id"]
    async with pages.database.reading() as tx:
        agents = {row.agent_id: row for row in await tx.agents.all(pages.organisation_id)}
    for code, state in told["sites"].items():
        units = [SeedUnit(**unit) for unit in state["units"]]
        site = SeedSite(**state | {"agent": agents[state["agent"]], "units": units})
        pages.sites[code] = site
        await pages.cycle(site, pages.clock.now_us(), dead=3)
        await pages.health(site)
        state["seq"] = site.seq
    await pages.settle()


async def seed(pages: Pages, units: int, customers: int, days: int) -> dict[str, str]:
    """The full house; answers the addresses to measure."""
    pages.organisation_id = await pages.host(slug="caprock")
    sites = [await pages.site(name, code, "", "America/Chicago", 20_000) for name, code in SITES]
    for number in range(customers):
        name = f"Customer {number:04d} LLC"
        await pages.customer(name, f"ops{number}@example.com")
        await pages.contract(name, [], kind="infinity", spec_quantity=1)
        await pages.invoice(name, f"{1_000 + number}.50")
    names = list(pages.customers)
    for place, site in enumerate(sites):
        await register(pages, site, units // len(sites), names, place)
        await pages.roster(site, extra=50)
    await readings(pages, days)
    addresses = await _addresses(pages, names[0], sites)
    return addresses | {"token": await _token(pages)}


async def _token(pages: Pages) -> str:
    """A token for the API's lists."""
    async with pages.database.reading() as tx:
        user = await tx.users.by_email(OWNER_EMAIL)
        assert user is not None
        membership = (await tx.users.memberships(user.user_id))[0]
    minted = await api_tokens.mint(
        pages.database,
        pages.clock,
        membership,
        Actor(user.user_id, user.name),
        name="bench",
        scopes=api_tokens.SCOPES,
        role=Role.OWNER,
    )
    return minted.secret


async def _addresses(pages: Pages, name: str, sites: list[SeedSite]) -> dict[str, str]:
    """Every page that shows something of the house, by name."""
    customer_id, contract_id = pages.customers[name], pages.contracts[name]
    async with pages.database.reading() as tx:
        invoice = (await tx.invoices.all(pages.organisation_id, customer_id=customer_id))[0]
        owned = await tx.equipment.bound(pages.organisation_id, customer_id=customer_id)
    unit_id, site_id, free_id = owned[0].unit.unit_id, sites[0].site_id, sites[0].units[3].unit_id
    now_us = pages.clock.now_us()
    week = f"from_at={iso(now_us - 7 * DAY_S * US_PER_S)}&to_at={iso(now_us)}"
    customer, unit, site = f"/customers/{customer_id}", f"/equipment/{free_id}", f"/sites/{site_id}"
    return {
        "fleet": "/fleet",
        "fleet-chart": "/fleet/chart.json?range=24h",
        "fleet-chart-30d": "/fleet/chart.json?range=30d",
        "sites": "/sites",
        "site": site,
        "site-edit": f"{site}/edit",
        "site-chart": f"{site}/chart.json?range=7d",
        "equipment": "/equipment",
        "equipment-worst": "/equipment?below=1&sort=attention",
        "equipment-search": "/equipment?q=JYZZPN0001",
        "equipment-page": "/equipment?page=50&sort=hashrate&dir=desc",
        "equipment-owners": "/equipment?page=20&sort=customer&state=active",
        "equipment-new": "/equipment/new",
        "found": "/equipment/found",
        "unit": unit,
        "unit-edit": f"{unit}/edit",
        "unit-chart": f"{unit}/chart.json?range=30d",
        "customers": "/customers",
        "customers-search": "/customers?q=0042",
        "customers-sorted": "/customers?sort=units&dir=desc&page=2",
        "customer": customer,
        "status-bar": f"{customer}/status-bar",
        "customer-contracts": f"{customer}/contracts",
        "customer-equipment": f"{customer}/equipment",
        "customer-usage": f"{customer}/usage",
        "customer-financials": f"{customer}/financials",
        "customer-default": f"{customer}/default",
        "customer-activity": f"{customer}/activity",
        "customer-legal": f"{customer}/legal",
        "customer-team": f"{customer}/team",
        "customer-chart": f"{customer}/chart.json?range=24h",
        "contracts": "/contracts",
        "contracts-search": "/contracts?q=0042",
        "contract": f"/contracts/{contract_id}",
        "invoices": "/invoices",
        "invoice": f"/invoices/{invoice.invoice_id}",
        "invoice-new": "/invoices/new",
        "defaults": "/defaults",
        "search": "/search?q=JYZZRC000042",
        "revenue-guard": "/revenue-guard",
        "redirect-controls": "/redirect-controls",
        "mailbox": "/mailbox",
        "agreements": "/agreements",
        "staff": "/staff",
        "api-tokens": "/api-tokens",
        "settings": "/settings",
        "account": "/account",
        "portal": "/portal",
        "portal-equipment": "/portal/equipment",
        "portal-unit": f"/portal/equipment/{unit_id}",
        "portal-unit-chart": f"/portal/equipment/{unit_id}/chart.json?range=7d",
        "portal-invoices": "/portal/invoices",
        "portal-contracts": "/portal/contracts",
        "portal-agreements": "/portal/agreements",
        "portal-team": "/portal/team",
        "portal-pools": "/portal/pools",
        "api-units": "/api/v1/units?limit=100",
        "api-readings": "/api/v1/readings?limit=100",
        "api-discovered": "/api/v1/miners/discovered?limit=100",
        "api-customers": "/api/v1/customers?limit=100",
        "api-contracts": "/api/v1/contracts?limit=100",
        "api-invoices": "/api/v1/invoices?limit=100",
        "api-payments": "/api/v1/payments?limit=100",
        "api-sites": "/api/v1/sites",
        "api-activity": "/api/v1/activity?limit=100",
        "api-site-series": f"/api/v1/sites/{site_id}/series?{week}",
    }


async def register(pages: Pages, site: Any, count: int, names: list[str], offset: int) -> None:
    """Units and their owners in one transaction."""
    now_us = pages.clock.now_us()
    async with pages.database.transaction() as tx:
        for number in range(1, count + 1):
            model, ths, watts = MODELS[number % len(MODELS)]
            mac = f"02:{ord(site.code[0]):02x}:{ord(site.code[1]):02x}:00:{number >> 8:02x}:{number & 255:02x}"
            label = f"{site.code}-{number // 96:03d}-{number % 96:02d}"
            given = equipment.UnitInput(
                site_id=site.site_id,
                label=label,
                position=label,
                serial=f"JYZZ{site.code}{number:06d}",
                mac=mac,
                model=model,
                expected_hashrate_ths=ths,
                nameplate_w=watts,
            )
            name = names[(number * len(SITES) + offset) % len(names)]
            free = number % 40 == 0
            state = UnitState.UNASSIGNED if free else UnitState.ACTIVE
            row = equipment.new_unit(pages.clock, pages.organisation_id, given, state)
            await tx.equipment.add(row)
            site.units.append(SeedUnit(row.unit_id, label, mac, model, ths, watts, "w"))
            if not free:
                await tx.equipment.assign(
                    AssignmentRow(
                        assignment_id=new_id(now_us),
                        organisation_id=pages.organisation_id,
                        unit_id=row.unit_id,
                        contract_id=pages.contracts[name],
                        customer_id=pages.customers[name],
                        from_us=now_us,
                        to_us=None,
                        ended_by="",
                    )
                )


async def readings(pages: Pages, days: int) -> None:
    """Hourly cycles for the days before, half-hourly ones for the last day."""
    now_us = pages.clock.now_us()
    steps = [now_us - hour * HOUR_S * US_PER_S for hour in range(days * 24, 24, -1)]
    steps += [now_us - step * 1_800 * US_PER_S for step in range(48, -1, -1)]
    for done, at_us in enumerate(steps):
        for site in pages.sites.values():
            await pages.cycle(site, at_us, dead=3)
        if done % SETTLE_STEPS == 0:
            await pages.settle()
            print(f"readings {done} of {len(steps)}", flush=True)
    for site in pages.sites.values():
        await pages.health(site)
    await pages.settle()
