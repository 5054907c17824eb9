"""A page that is looked at stays fresh by itself, tabs share one stream, and the keyboard reaches everything."""

import asyncio
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import expect

from hashyard_cloud.web.keys import LIVE
from hashyard_support.browser import launched, seat
from hashyard_support.pages import running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PATIENCE_MS: Final = 60_000


async def test_rows_follow_the_readings_in_every_tab_over_one_stream(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as pages, launched() as browser:
        pages.organisation_id = await pages.host(slug="caprock")
        site = await pages.site("Pecos North", "PN", "Texas", "America/Chicago", 400)
        await pages.units(site, 3, "w", "A01")
        await pages.roster(site)
        await pages.settle()
        async with seat(browser, pages) as owner:
            await owner.page.goto(f"{pages.url}/equipment")
            await expect(owner.page.locator("#rows")).to_contain_text("Not seen yet")
            second = await owner.page.context.new_page()
            await second.goto(f"{pages.url}/fleet")
            await owner.page.bring_to_front()
            await pages.cycle(site, pages.clock.now_us())
            await pages.settle()
            await expect(owner.page.locator("#rows")).to_contain_text("Online", timeout=PATIENCE_MS)
            async with asyncio.timeout(PATIENCE_MS / 1_000):
                # What the page before had open goes as soon as its end is noticed.
                while pages.app[LIVE].count != 1:
                    pages.app[LIVE].changed(pages.organisation_id)
                    await asyncio.sleep(0.1)
            assert owner.complaints == []


async def test_looking_into_the_portal_leads_there_and_back(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as pages, launched() as browser:
        pages.organisation_id = await pages.host(slug="caprock")
        customer_id = await pages.customer("Bluff Ridge", "ops@bluffridge.example")
        async with seat(browser, pages) as owner:
            await owner.page.goto(f"{pages.url}/customers/{customer_id}")
            await owner.page.get_by_role("button", name="View Portal").click()
            await owner.page.wait_for_url("**/portal")
            await owner.page.get_by_role("button", name="Leave the portal").click()
            await owner.page.wait_for_url(f"**/customers/{customer_id}")


async def test_the_keyboard_alone_is_enough(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as pages, launched() as browser:
        pages.organisation_id = await pages.host(slug="caprock")
        site = await pages.site("Pecos North", "PN", "Texas", "America/Chicago", 400)
        units = await pages.units(site, 3, "w", "A01")
        async with seat(browser, pages) as owner:
            page = owner.page
            await page.goto(f"{pages.url}/equipment")
            await page.keyboard.press("Tab")
            await expect(page.locator(":focus")).to_have_text("Skip to content")
            assert await page.locator(":focus").is_visible()
            await page.keyboard.press("Enter")
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.activeElement.closest('main') !== null")
            await page.keyboard.press("/")
            await expect(page.locator("#q-all")).to_be_focused()
            await page.keyboard.type("JYZZPN000002")
            await page.keyboard.press("Enter")
            await page.wait_for_url(f"**/equipment/{units[1].unit_id}")
            await page.goto(f"{pages.url}/equipment")
            await page.locator("tbody input[type=checkbox]").first.focus()
            await page.keyboard.press("Space")
            await expect(page.locator("[data-bulk]")).to_be_visible()
            status = page.get_by_role("button", name="Set status…")
            await status.focus()
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/bulk/*")
            await page.get_by_role("button", name="Set the status of 1 unit").press("Enter")
            await expect(page.locator("#progress")).to_contain_text("1 done")
            await page.get_by_role("button", name="Undo").press("Enter")
            await expect(page.locator("#progress")).to_contain_text("1 undone")
