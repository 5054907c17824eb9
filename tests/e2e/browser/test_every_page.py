"""Every page in a real browser: no complaints, nothing wider than the screen, no serious axe finding."""

from pathlib import Path

import pytest

from hashyard_support.browser import axe, launched, seat
from hashyard_support.furnished import furnish
from hashyard_support.pages import Pages, running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


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
        "contract": f"/contracts/{pages.contracts['Bluff Ridge Capital LLC']}",
        "contract-form": "/contracts/new",
        "invoices": "/invoices",
        "invoice-form": "/invoices/new",
        "defaults": "/defaults",
        "controls": "/redirect-controls",
        "mailbox": "/mailbox",
        "search": "/search?q=Bluff",
        "nothing": "/nothing",
    }


async def test_every_page_is_sound_on_desk_phone_and_in_the_dark(tmp_path: Path) -> None:
    problems = []
    async with running(tmp_path / "data") as pages, launched() as browser:
        await furnish(pages, hours=2)
        for viewport, scheme in (("desk", "light"), ("desk", "dark"), ("phone", "light")):
            async with seat(browser, pages, viewport=viewport, scheme=scheme) as owner:
                for name, address in addresses(pages).items():
                    await owner.page.goto(pages.url + address, wait_until="networkidle")
                    wide = await owner.page.evaluate(
                        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                    )
                    if wide > 0:
                        problems.append(f"{name} {viewport}: {wide} px wider than the screen")
                    problems += [f"{name} {viewport} {scheme}: {one}" for one in await axe(owner.page)]
                    await owner.shot(f"{name}-{viewport}-{scheme}")
                    told = [one for one in owner.complaints if not (name == "nothing" and "404" in one)]
                    problems += [f"{name} {viewport}: {one}" for one in told]
                    owner.complaints.clear()
    assert not problems, "\n".join(problems)
