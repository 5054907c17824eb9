"""The preview of a host's brand follows the form as it is typed, before anything is saved."""

from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import expect

from hashyard_support.browser import launched, seat
from hashyard_support.pages import running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PATIENCE_MS: Final = 60_000


async def test_the_preview_follows_colours_name_and_slogan_as_typed(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as pages, launched() as browser:
        pages.organisation_id = await pages.host(slug="caprock")
        async with seat(browser, pages) as owner:
            page = owner.page
            page.set_default_timeout(PATIENCE_MS)
            expect.set_options(timeout=PATIENCE_MS)
            await page.goto(f"{pages.url}/settings")
            preview = page.locator("[data-preview]")
            head, button = preview.locator(".p-head"), preview.locator("[data-button]")
            await expect(preview).to_contain_text("Caprock Hosting")
            await page.get_by_label("Slogan").fill("Steady <b>power</b>")
            await page.get_by_label("Main colour").fill("#ffd54a")
            await page.get_by_label("Second colour").fill("#c9671b")
            await expect(preview.locator("small")).to_have_text("Steady <b>power</b>")
            await expect(head).to_have_css("background-color", "rgb(255, 213, 74)")
            await expect(head).to_have_css("border-bottom-color", "rgb(201, 103, 27)")
            # On a bright colour the text turns dark.
            await expect(button).to_have_css("color", "rgb(20, 27, 41)")
            await page.get_by_label("Main colour").fill("#1d3a5c")
            await expect(button).to_have_css("color", "rgb(255, 255, 255)")
            await owner.shot("brand-preview")
            assert owner.complaints == []
        async with pages.database.reading() as tx:
            row = await tx.organisations.get(pages.organisation_id)
        assert row is not None
        assert row.slogan == ""
