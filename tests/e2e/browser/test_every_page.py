"""Every page in a real browser: no complaints, nothing wider than the screen, no serious axe finding."""

from pathlib import Path

import pytest

from hashyard_cloud.services import bulk
from hashyard_cloud.services.ports.bulk import BulkKind
from hashyard_cloud.services.ports.users import Role
from hashyard_support.browser import Seat, axe, customer_seat, launched, seat
from hashyard_support.furnished import furnish
from hashyard_support.pages import Pages, running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def addresses(pages: Pages) -> dict[str, str]:
    """The host's pages by name."""
    redirected = f"/customers/{pages.customers['Bluff Ridge Capital LLC']}"
    unit = pages.sites["PN"].units[11].unit_id
    return {
        "fleet": "/fleet",
        "sites": "/sites",
        "site": f"/sites/{pages.sites['PN'].site_id}",
        "site-form": "/sites/new",
        "equipment": "/equipment",
        "found": "/equipment/found",
        "commands": "/commands",
        "customer-pools": f"{redirected}/pools",
        "unit-form": "/equipment/new",
        "unit": f"/equipment/{unit}",
        "customers": "/customers",
        "customer-form": "/customers/new",
        "customer": redirected,
        "customer-contracts": f"{redirected}/contracts",
        "customer-equipment": f"{redirected}/equipment",
        "customer-financials": f"{redirected}/financials",
        "customer-default": f"{redirected}/default",
        "customer-activity": f"{redirected}/activity",
        "restore": f"{redirected}/default/restore",
        "payment": f"{redirected}/payments/new",
        "contracts": "/contracts",
        "import-contracts": "/import/contracts",
        "import-balances": "/import/opening-balances",
        "contract": f"/contracts/{pages.contracts['Bluff Ridge Capital LLC']}",
        "contract-form": "/contracts/new",
        "invoices": "/invoices",
        "invoice-form": "/invoices/new",
        "defaults": "/defaults",
        "controls": "/redirect-controls",
        "legal-holds": "/legal-holds",
        "mailbox": "/mailbox",
        "search": "/search?q=Bluff",
        "settings": "/settings",
        "staff": "/staff",
        "revenue-guard": "/revenue-guard",
        "customer-team": f"{redirected}/team",
        "customer-usage": f"{redirected}/usage",
        "customer-legal": f"{redirected}/legal",
        "site-power": f"/sites/{pages.sites['PN'].site_id}?metric=power&range=24h",
        "unit-own-times": f"/equipment/{unit}?range=custom&from=2026-03-02T00:00&to=2026-03-01T00:00",
        "equipment-none": "/equipment?q=nothing-like-this",
        "api-tokens": "/api-tokens",
        "agreements": "/agreements",
        "import": "/import/equipment",
        "account": "/account",
        "actions": "/bulk",
        "nothing": "/nothing",
    }


def portal_addresses(pages: Pages) -> dict[str, str]:
    """The portal's pages by name."""
    unit = pages.sites["PN"].units[5].unit_id
    names = ("equipment", "invoices", "contracts", "team", "dispute", "agreements", "pools", "earnings")
    known = {f"portal-{name}": f"/portal/{name}" for name in names}
    return known | {"portal-home": "/portal", "portal-unit": f"/portal/equipment/{unit}"}


async def actions(pages: Pages) -> dict[str, str]:
    """An action that waits for its confirmation, and one that is done."""
    chosen = [unit.unit_id for unit in pages.sites["PN"].units[-4:]]
    found = {}
    for name in ("action-asked", "action-done"):
        row = await bulk.ask(
            pages.database, pages.clock, pages.organisation_id, pages.actor, BulkKind.STATUS, "repair", chosen
        )
        found[name] = f"/bulk/{row.bulk_id}"
    await bulk.begin(pages.database, pages.clock, pages.organisation_id, row.bulk_id)
    await bulk.piece(pages.database, pages.clock, pages.actor, pages.organisation_id, row.bulk_id)
    return found


async def test_every_page_is_sound_on_desk_phone_and_in_the_dark(tmp_path: Path) -> None:
    problems = []
    async with running(tmp_path / "data") as pages, launched() as browser:
        await furnish(pages, hours=2)
        host_pages = addresses(pages) | await actions(pages)
        customer_id = pages.customers["Bluff Ridge Capital LLC"]
        await pages.member("jordan@bluffridge.example", Role.CUSTOMER, "", customer_id)
        for viewport, scheme in (("desk", "light"), ("desk", "dark"), ("phone", "light")):
            async with seat(browser, pages, viewport=viewport, scheme=scheme) as owner:
                for name, address in host_pages.items():
                    problems += await looked_at(owner, pages, address, f"{name}-{viewport}-{scheme}")
            async with customer_seat(browser, pages, viewport, scheme) as member:
                for name, address in portal_addresses(pages).items():
                    problems += await looked_at(member, pages, address, f"{name}-{viewport}-{scheme}")
    assert not problems, "\n".join(problems)


async def looked_at(person: Seat, pages: Pages, address: str, name: str) -> list[str]:
    """What is wrong with a page, and a screenshot of it."""
    await person.page.goto(pages.url + address)
    if await person.page.locator("[data-chart]").count():
        # A chart draws itself after the page, and says so.
        await person.page.wait_for_selector("[data-chart][data-state]", state="attached")
    wide = await person.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    found = [f"{wide} px wider than the screen"] if wide > 0 else []
    found += await axe(person.page)
    await person.shot(name)
    found += [one for one in person.complaints if not (address == "/nothing" and "404" in one)]
    person.complaints.clear()
    return [f"{name}: {one}" for one in found]
