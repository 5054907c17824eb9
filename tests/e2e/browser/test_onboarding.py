"""In a real browser: add a customer, give a contract, assign machines, invite, sign up, and see the portal."""

from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect

from hashyard_support.browser import Seat, axe, launched, seat
from hashyard_support.pages import INTERVAL_S, PASSWORD, Pages, running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

PERSON: Final = "jordan@llano.example"


async def hosted(pages: Pages) -> None:
    """A host with one site and six machines that nobody has yet."""
    pages.organisation_id = await pages.host(slug="caprock")
    site = await pages.site("Pecos North", "PN", "Texas", "America/Chicago", 100)
    await pages.units(site, 6, "llano", "B04")
    await pages.roster(site)
    for step in range(6):
        await pages.cycle(site, pages.clock.now_us() - (5 - step) * 600_000_000)
    await pages.settle()


async def some_hours(pages: Pages) -> None:
    """Time in which the machines were read, so that there are earnings to see."""
    for _ in range(16):
        pages.move_s(INTERVAL_S)
        await pages.cycle(pages.sites["PN"], pages.clock.now_us())
    await pages.settle()


async def looked_at(person: Seat, name: str, problems: list[str]) -> None:
    """A screenshot, and what axe finds."""
    await person.shot(f"onboarding-{name}")
    problems += [f"{name}: {one}" for one in await axe(person.page)]
    problems += [f"{name}: {one}" for one in person.complaints]
    person.complaints.clear()


async def add_customer(page: Page, url: str) -> None:
    await page.goto(f"{url}/customers")
    await page.get_by_role("link", name="Add customer").first.click()
    await page.fill("#f-name", "Llano Ridge")
    await page.fill("#f-company", "Llano Ridge Capital LLC")
    await page.fill("#f-email", "ops@llano.example")
    await page.click("main button.fill")
    await expect(page.locator("#status .statusbar")).to_have_attribute("data-status", "active")


async def give_contract(page: Page) -> None:
    await page.get_by_role("link", name="Add contract").first.click()
    await page.fill("#f-rate", "0.078")
    await page.fill("#f-power_cap_kw", "20")
    await page.get_by_role("button", name="Save and go on").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Set up contract")


async def invited_link(page: Page, base: str) -> str:
    await page.goto(f"{base}/team")
    await page.fill("#f-email", PERSON)
    await page.get_by_role("button", name="Send invitation").click()
    link = page.locator("p.command code")
    await expect(link).to_be_visible()
    return (await link.inner_text()).partition("/auth?invite=")[2]


async def sign_up(browser: Browser, pages: Pages, secret: str, problems: list[str]) -> None:
    """Somebody who was invited, on their own machine, on a phone."""
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    person = Seat(await context.new_page())
    page = person.page
    await page.goto(f"{pages.url}/host/caprock/auth?invite={secret}")
    await looked_at(person, "6-sign-up", problems)
    await page.fill("#f-name", "Jordan Whelan")
    await page.fill("#f-password", PASSWORD)
    await page.click("main button.fill")
    await page.wait_for_url("**/portal")
    await expect(page.locator("main")).to_contain_text("machines")
    await looked_at(person, "7-portal", problems)
    await page.goto(f"{pages.url}/portal/equipment")
    await expect(page.locator("main")).to_contain_text("PN-B04-01-01")
    await looked_at(person, "8-portal-equipment", problems)
    await page.goto(f"{pages.url}/portal/contracts")
    await looked_at(person, "9-portal-contracts", problems)
    await page.goto(f"{pages.url}/portal/earnings")
    await expect(page.locator("main")).to_contain_text("measured")
    await looked_at(person, "9-portal-earnings", problems)
    await context.close()


async def test_from_a_new_customer_to_the_first_look_into_the_portal(tmp_path: Path) -> None:
    problems: list[str] = []
    async with running(tmp_path / "data") as pages, launched() as browser:
        await hosted(pages)
        async with seat(browser, pages) as owner:
            page = owner.page
            await add_customer(page, pages.url)
            base = page.url
            await looked_at(owner, "1-customer", problems)
            await give_contract(page)
            await looked_at(owner, "2-units", problems)
            for place in range(4):
                await page.locator('input[name="unit_id"]').nth(place).check()
            await looked_at(owner, "3-picked", problems)
            await page.get_by_role("button", name="Complete setup").click()
            await expect(page.get_by_role("status").first).to_contain_text("is active with 4 units")
            await looked_at(owner, "4-contract", problems)
            secret = await invited_link(page, base)
            await looked_at(owner, "5-invited", problems)
            await some_hours(pages)
            await sign_up(browser, pages, secret, problems)
            await page.goto(base)
            await looked_at(owner, "10-customer-again", problems)
            await page.goto(f"{pages.url}/import/contracts")
            await looked_at(owner, "11-import", problems)
    assert not problems, "\n".join(problems)
