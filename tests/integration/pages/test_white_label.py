"""White label: a host's slugs, present and past, and what the settings say of a brand that cannot be."""

import re

import pytest
from aiohttp import ClientSession, CookieJar

from hashyard_cloud.services.ports.users import Role
from hashyard_support.pages import PASSWORD, Pages

BRAND = {
    "name": "Caprock Hosting",
    "slug": "caprock",
    "slogan": "Steady power, plain terms",
    "colour_primary": "#1d5c4d",
    "colour_accent": "#c9671b",
    "currency": "USD",
    "timezone": "America/Chicago",
}
PERSON = "jordan@bluffridge.example"


async def led(http: ClientSession, path: str) -> tuple[int, str]:
    """Where an address leads by itself, and that nobody keeps that for ever."""
    async with http.get(path, allow_redirects=False) as answer:
        if answer.status == 200:
            return 200, ""
        assert answer.headers["Cache-Control"] == "no-store", path
        return answer.status, answer.headers["Location"]


async def test_every_old_slug_leads_to_the_present_one_and_can_be_taken_back(pages: Pages) -> None:
    await pages.host("Taken Host", "t@taken.example", slug="taken")
    async with pages.browser() as owner, ClientSession(pages.url) as http:
        for slug in ("mesa", "butte"):
            await owner.post("/settings", BRAND | {"slug": slug})
        for old in ("caprock", "mesa"):
            assert await led(http, f"/host/{old}/auth?invite=x") == (302, "/host/butte/auth?invite=x")
            assert await led(http, f"/host/{old}/brand.css") == (302, "/host/butte/brand.css")
        async with pages.browser("t@taken.example") as other:
            text = await other.post("/settings", BRAND | {"name": "Taken Host", "slug": "mesa"}, 422)
            assert 'id="slug-error"' in text
            assert "This slug is taken." in text
        await owner.post("/settings", BRAND)
        assert await led(http, "/host/caprock/auth") == (200, "")
        for old in ("mesa", "butte"):
            assert await led(http, f"/host/{old}/auth") == (302, "/host/caprock/auth")


async def test_a_form_that_was_open_under_the_old_slug_still_signs_in(pages: Pages) -> None:
    customer_id = await pages.customer("Bluff Ridge", "ops@bluffridge.example")
    await pages.member(PERSON, Role.CUSTOMER, "", customer_id)
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        async with http.get("/host/caprock/auth") as answer:
            token = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
        assert token
        async with pages.browser() as owner:
            await owner.post("/settings", BRAND | {"slug": "mesa"})
        form = {"csrf": token[1], "email": PERSON, "password": PASSWORD}
        async with http.post("/host/caprock/auth/login", data=form) as answer:
            assert answer.url.path == "/portal"
            assert "Bluff Ridge" in await answer.text()


@pytest.mark.parametrize("slug", ["Caprock", "cap rock", "cap_rock", "cäprock", "a" * 41])
async def test_a_slug_that_cannot_be_is_refused_and_kept_in_the_form(pages: Pages, slug: str) -> None:
    async with pages.browser() as owner:
        text = await owner.post("/settings", BRAND | {"slug": slug}, 422)
    assert 'id="slug-error"' in text
    assert re.search(rf'name="slug"[^>]*value="{slug}"|value="{slug}"[^>]*name="slug"', text)
    async with pages.database.reading() as tx:
        row = await tx.organisations.get(pages.organisation_id)
    assert row is not None
    assert (row.slug, row.slogan) == ("caprock", "")


async def test_a_slogan_of_150_characters_is_shown_and_one_of_151_refused(pages: Pages) -> None:
    async with pages.browser() as owner, ClientSession(pages.url) as http:
        text = await owner.post("/settings", BRAND | {"slogan": "y" * 151}, 422)
        assert 'id="slogan-error"' in text
        preview = await owner.post("/settings", BRAND | {"slogan": "z" * 150})
        assert f'<small data-show="slogan">{"z" * 150}</small>' in preview
        async with http.get("/host/caprock/auth") as answer:
            assert "z" * 150 in await answer.text()
