"""Fills the cloud through its own services: sites, customers, contracts, units, invoices."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from hashyard_cloud import settings as cloud_settings
from hashyard_cloud.app import open_database
from hashyard_cloud.domain.money import Money
from hashyard_cloud.services import contracts, customers, equipment, invoices, sites
from hashyard_cloud.services.inputs import read
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.contracts import BillingBasis
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.hashprices import HashpriceRow
from hashyard_demo.world import SitePlan, Waits
from hashyard_shared.clock import US_PER_S, Clock, SystemClock, utc

CURRENCY: Final = "USD"
RATE: Final = "0.078"
SEEDER: Final = Actor("seed", "Demo set-up", "127.0.0.1")
CLAUSE: Final = (
    "§ 9.3 If an invoice stays unpaid through the grace and cure periods, the host may point the customer's "
    "machines at the host's holding pool until the debt is cured. What is mined there is credited to the debt "
    "every day; any surplus belongs to the customer."
)


@dataclass(frozen=True, slots=True)
class CustomerPlan:
    """A customer of the story. `worker` is how the simulated miners name them."""

    worker: str
    name: str
    contact: str
    email: str
    power_cap_kw: int
    invoice: Decimal
    defaults: bool = False


CUSTOMERS: Final = (
    CustomerPlan(
        worker="harbour",
        name="Harbour Light Mining LLC",
        contact="Ines Carvalho",
        email="ops@harbourlight.example",
        power_cap_kw=220,
        invoice=Decimal(9330),
        defaults=True,
    ),
    CustomerPlan(
        worker="osprey",
        name="Osprey Compute LLC",
        contact="Tom Brandt",
        email="billing@osprey.example",
        power_cap_kw=400,
        invoice=Decimal("12480.50"),
    ),
    CustomerPlan(
        worker="tallow",
        name="Tallow Creek Partners",
        contact="June Okafor",
        email="accounts@tallowcreek.example",
        power_cap_kw=250,
        invoice=Decimal(4120),
    ),
)


@dataclass(frozen=True, slots=True)
class Device:
    """A machine as it stands in the hall, known from its delivery note."""

    site: str
    customer: str
    mac: str
    serial: str
    model: str
    hashrate_ths: float
    power_w: int


def devices(miners: Sequence[dict[str, Any]]) -> list[Device]:
    """The simulator's true states as delivery notes."""
    return [
        Device(
            site=state["site"],
            customer=state["pools"][0]["user"].partition(".")[0],
            mac=state["mac"],
            serial=state["serial"],
            model=state["model_label"],
            hashrate_ths=state["nameplate"]["hashrate_ths"],
            power_w=state["nameplate"]["power_w"],
        )
        for state in miners
    ]


async def fill(
    config: Path,
    organisation_id: str,
    plans: Sequence[SitePlan],
    machines: Sequence[Device],
    waits: Waits,
    unregistered: int,
) -> dict[str, str]:
    """Everything but the host itself; answers customer ids by worker. `unregistered` machines are left out."""
    clock = SystemClock()
    database = await open_database(cloud_settings.load(config, {}))
    try:
        site_ids = {plan.slug: await _site(database, clock, organisation_id, plan, waits) for plan in plans}
        codes = {plan.slug: plan.code for plan in plans}
        registered = machines[: len(machines) - unregistered] if unregistered else machines
        units: dict[str, list[str]] = {}
        for number, machine in enumerate(registered, start=1):
            unit_id = await _unit(database, clock, organisation_id, machine, site_ids, codes, number)
            units.setdefault(machine.customer, []).append(unit_id)
        await _hashprice(database, clock, organisation_id)
        return {
            plan.worker: await _customer(database, clock, organisation_id, plan, units[plan.worker], waits)
            for plan in CUSTOMERS
            if plan.worker in units
        }
    finally:
        await database.close()


async def _site(database: Database, clock: Clock, organisation_id: str, plan: SitePlan, waits: Waits) -> str:
    given = read(
        sites.SiteInput,
        {
            "name": plan.name,
            "code": plan.code,
            "region": plan.region,
            "timezone": plan.timezone,
            "capacity_kw": 1_500,
            "energy_price": "0.041",
            "poll_interval_s": waits.poll_s,
        },
    )
    return (await sites.add(database, clock, organisation_id, SEEDER, given)).site_id


async def _unit(
    database: Database,
    clock: Clock,
    organisation_id: str,
    machine: Device,
    site_ids: dict[str, str],
    codes: dict[str, str],
    number: int,
) -> str:
    rack, place = divmod(number - 1, 12)
    position = f"{codes[machine.site]}-A{rack // 8 + 1:02d}-{rack % 8 + 1:02d}-{place + 1:02d}"
    given = equipment.UnitInput(
        site_id=site_ids[machine.site],
        label=position,
        position=position,
        serial=machine.serial,
        mac=machine.mac,
        model=machine.model,
        expected_hashrate_ths=machine.hashrate_ths,
        nameplate_w=machine.power_w,
    )
    return (await equipment.add(database, clock, organisation_id, SEEDER, given)).unit_id


async def _hashprice(database: Database, clock: Clock, organisation_id: str) -> None:
    now_us = clock.now_us()
    row = HashpriceRow(
        organisation_id=organisation_id,
        currency=CURRENCY,
        day=utc(now_us).strftime("%Y-%m-%d"),
        price_micro=67_500,
        source="demo figure, entered by hand",
        recorded_us=now_us,
    )
    async with database.transaction() as tx:
        await tx.hashprices.put(row)


async def _customer(
    database: Database, clock: Clock, organisation_id: str, plan: CustomerPlan, unit_ids: list[str], waits: Waits
) -> str:
    given = read(
        customers.CustomerInput,
        {"name": plan.name, "company": plan.name, "email": plan.email, "active": True, "portal_access": True},
    )
    customer = await customers.add(database, clock, organisation_id, SEEDER, given)
    terms: dict[str, Any] = {
        "billing_basis": BillingBasis.METERED,
        "rate": RATE,
        "power_cap_kw": plan.power_cap_kw,
        "term_months": 24,
        "redirect_clause": CLAUSE,
        "redirect_clause_given": True,
        "accepted_by": plan.contact,
    }
    if plan.defaults:
        terms |= {"due": f"{waits.due_s} s", "grace": f"{waits.grace_s} s", "cure": f"{waits.cure_s} s"}
    draft = await contracts.draft(
        database, clock, organisation_id, SEEDER, customer.customer_id, read(contracts.TermsInput, terms)
    )
    await contracts.complete(database, clock, organisation_id, SEEDER, draft.contract_id, unit_ids)
    price = Money.parse(RATE, CURRENCY)
    hosting = invoices.LineInput(
        "Hosting, energy of last month", (plan.invoice / Decimal(RATE)).quantize(Decimal("0.1")), "kWh", price
    )
    async with database.transaction() as tx:
        now_us = clock.now_us()
        period = (now_us - 30 * 86_400 * US_PER_S, now_us)
        invoice = await invoices.draft(
            tx, now_us, organisation_id, SEEDER, draft.contract_id, [hosting], period=period
        )
        await invoices.issue(tx, now_us, organisation_id, SEEDER, invoice.invoice_id)
    return customer.customer_id


async def live_miners(config: Path) -> int:
    """How many miners the cloud has a reading of, at all sites of all hosts."""
    database = await open_database(cloud_settings.load(config, {}))
    try:
        async with database.reading() as tx:
            found = [await tx.miners.seen(host.organisation_id) for host in await tx.organisations.all()]
            return sum(1 for seen in found for one in seen if one.latest is not None)
    finally:
        await database.close()
