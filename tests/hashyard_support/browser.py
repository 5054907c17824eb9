"""A real Chromium in front of the pages: seats, screenshots, accessibility."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, async_playwright

from hashyard_support.pages import OWNER_EMAIL, PASSWORD, Pages

ARGUMENTS: Final = (
    *("--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
ROOT: Final = Path(__file__).parents[2]
SCREENSHOTS: Final = ROOT / "tests/screenshots"
VIEWPORTS: Final = {"desk": (1440, 1000), "phone": (390, 844)}


def chromium() -> str:
    """Where Chromium is; a machine without one skips these tests and says so."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt install chromium)")
    return found


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """Chromium with a profile of its own."""
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield made
        await made.close()


class Seat:
    """A person in front of a browser. What the console complains of is kept, and must stay empty."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self._keep(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _keep(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    async def shot(self, name: str) -> None:
        """A screenshot of the whole page, in a folder that git ignores."""
        SCREENSHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@asynccontextmanager
async def seat(
    browser: Browser, pages: Pages, email: str = OWNER_EMAIL, viewport: str = "desk", scheme: str = "light"
) -> AsyncIterator[Seat]:
    """A member of the host, signed in, with a fresh profile."""
    async with _seated(browser, viewport, scheme) as made:
        await _sign_in(made.page, f"{pages.url}/login", email, "**/fleet")
        yield made


@asynccontextmanager
async def customer_seat(
    browser: Browser, pages: Pages, viewport: str = "desk", scheme: str = "light"
) -> AsyncIterator[Seat]:
    """A customer's member, signed in at the host's own door."""
    async with _seated(browser, viewport, scheme) as made:
        await _sign_in(made.page, f"{pages.url}/host/caprock/auth", "jordan@bluffridge.example", "**/portal")
        yield made


@asynccontextmanager
async def _seated(browser: Browser, viewport: str, scheme: str) -> AsyncIterator[Seat]:
    width, height = VIEWPORTS[viewport]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    yield Seat(await context.new_page())
    await context.close()


async def _sign_in(page: Page, address: str, email: str, leads_to: str) -> None:
    await page.goto(address)
    await page.fill("#f-email", email)
    await page.fill("#f-password", PASSWORD)
    await page.click("button.fill")
    await page.wait_for_url(leads_to)


async def axe(page: Page) -> list[str]:
    """Serious and critical findings of axe-core on the page as it stands, one line each."""
    source = (ROOT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    await page.evaluate(source)
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {node['target']} {node['html'][:160]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]
