"""A real browser watches a customer's page while the customer defaults, is redirected, pays and is restored."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from hashyard_shared.events import UnitPhase
from hashyard_support.browser import launched, seat
from hashyard_support.pages import Pages, running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


async def hosted(pages: Pages) -> str:
    """A host, a site with four machines, a customer whose terms are minutes."""
    pages.organisation_id = await pages.host(slug="caprock")
    site = await pages.site("Pecos North", "PN", "Texas", "America/Chicago", 100)
    units = await pages.units(site, 4, "ridge", "B04")
    customer_id = await pages.customer("Bluff Ridge Capital LLC", "ops@bluffridge.example")
    await pages.contract("Bluff Ridge Capital LLC", units, due="60 s", grace="60 s", cure="60 s")
    await pages.roster(site)
    await pages.cycle(site, pages.clock.now_us())
    await pages.settle()
    return customer_id


async def test_the_status_bar_follows_without_reloading(tmp_path: Path) -> None:
    gate = {"notice_bounce_wait_s": 10}
    async with running(tmp_path / "data", gate=gate) as pages, launched() as browser:
        customer_id = await hosted(pages)
        async with seat(browser, pages) as owner:
            page = owner.page
            await page.goto(f"{pages.url}/customers/{customer_id}")
            await page.evaluate("window.neverReloaded = true")
            bar = page.locator("#status .statusbar")
            await expect(bar).to_have_attribute("data-status", "active")
            await pages.invoice("Bluff Ridge Capital LLC", "1250.00")
            await expect(bar).to_contain_text("$1,250.00")
            for _ in range(2):
                pages.move_s(61)
                await pages.dun()
            await expect(bar).to_have_attribute("data-status", "in-default")
            await owner.shot("status-in-default")
            pages.move_s(75)
            await pages.dun()
            await pages.report(UnitPhase.REDIRECTED, 4)
            await expect(bar).to_have_attribute("data-status", "pool-redirected")
            await expect(bar).to_contain_text("4 of 4 confirmed (level 3+)")
            await owner.shot("status-redirected")
            async with seat(browser, pages) as payer:
                await payer.page.goto(f"{pages.url}/customers/{customer_id}/payments/new")
                await payer.page.fill("#f-amount", "1250.00")
                await payer.page.click("main button.fill")
                await expect(payer.page.get_by_role("status")).to_contain_text("machines are being restored")
                assert payer.complaints == []
            await pages.report(UnitPhase.RESTORED, 4)
            await expect(bar).to_have_attribute("data-status", "active")
            await expect(bar).to_contain_text("nothing owed")
            await owner.shot("status-restored")
            assert await page.evaluate("window.neverReloaded")
            assert owner.complaints == []
