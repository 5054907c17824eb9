"""Invitations, the branded sign-in page, the portal, and the host's look into it."""

import io
import re
import struct
import zlib
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, CookieJar, FormData

from hashyard_cloud.services.ports.users import Role
from hashyard_support.pages import PASSWORD, Pages
from hashyard_support.visitor import Visitor

PERSON = "jordan@bluffridge.example"


def png(width: int, height: int) -> bytes:
    """A real image of one colour."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress((b"\x00" + b"\x1d\x5c\x4d" * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def hosted(pages: Pages) -> str:
    """Two customers with machines and an invoice each; the first one's id."""
    site = await pages.site("Pecos North", "PN", "Texas", "America/Chicago", 100)
    for name, email, hall in (
        ("Bluff Ridge", "ops@bluffridge.example", "B04"),
        ("Cedar Compute", "ops@cedar.example", "A02"),
    ):
        units = await pages.units(site, 2, hall.lower(), hall)
        await pages.customer(name, email, notes="never shown to them")
        await pages.contract(name, units)
        await pages.invoice(name, "1250.00")
    await pages.roster(site)
    await pages.cycle(site, pages.clock.now_us())
    await pages.settle()
    return pages.customers["Bluff Ridge"]


async def invited(pages: Pages, customer_id: str, email: str = PERSON) -> str:
    """The path of a fresh invitation's link."""
    async with pages.browser() as owner:
        text = await owner.post(f"/customers/{customer_id}/team/invite", {"email": email})
    link = re.search(r'data-copy="([^"]+)"', text)
    assert link
    parts = urlsplit(link[1])
    return f"{parts.path}?{parts.query}"


async def form_token(http: ClientSession, path: str) -> str:
    async with http.get(path) as answer:
        token = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
    assert token
    return token[1]


async def sign_up(
    http: ClientSession, link: str, name: str = "Jordan Whelan", password: str = PASSWORD
) -> tuple[int, str]:
    secret = link.partition("invite=")[2]
    form = {"csrf": await form_token(http, link), "invite": secret, "name": name, "password": password}
    async with http.post("/host/caprock/auth/signup", data=form) as answer:
        return answer.status, await answer.text()


async def test_from_invitation_to_portal(pages: Pages) -> None:
    customer_id = await hosted(pages)
    link = await invited(pages, customer_id)
    async with pages.database.reading() as tx:
        mail = (await tx.emails.all(pages.organisation_id, 1))[0]
    assert mail.to_address == PERSON
    assert link in mail.body
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        status, text = await sign_up(http, link, password="short")
        assert status == 422
        assert 'id="password-error"' in text
        status, text = await sign_up(http, link)
        assert status == 200
        assert "Caprock Hosting" in text
        assert "$1,250.00" in text
        for path in (
            "/portal/equipment",
            "/portal/invoices",
            "/portal/contracts",
            "/portal/team",
            "/portal/dispute",
        ):
            async with http.get(path) as answer:
                page = await answer.text()
                assert answer.status == 200, path
                assert "Hashyard" not in page.replace("hashyard", ""), path
                assert "Cedar Compute" not in page
                assert "never shown to them" not in page
        async with http.get("/customers") as answer:
            assert answer.status == 404
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as again, again.get(link) as answer:
        assert answer.status == 403
        assert "used, revoked or has expired" in await answer.text()


async def test_members_see_nothing_of_another_customer(pages: Pages) -> None:
    await hosted(pages)
    await pages.member(PERSON, Role.CUSTOMER, "", pages.customers["Bluff Ridge"])
    async with pages.database.reading() as tx:
        other = (await tx.invoices.all(pages.organisation_id, customer_id=pages.customers["Cedar Compute"]))[0]
        notice = (await tx.notices.all(pages.organisation_id, customer_id=pages.customers["Cedar Compute"]))[0]
        unit = (await tx.equipment.bound(pages.organisation_id, customer_id=pages.customers["Cedar Compute"]))[0]
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        await portal_login(http, PERSON)
        for path in (
            f"/portal/invoices/{other.invoice_id}",
            f"/portal/notices/{notice.notice_id}",
            f"/portal/equipment/{unit.unit.unit_id}",
            f"/portal/equipment/{unit.unit.unit_id}/chart.csv",
        ):
            async with http.get(path) as answer:
                assert answer.status == 404, path


async def portal_login(http: ClientSession, email: str, password: str = PASSWORD) -> str:
    form = {"csrf": await form_token(http, "/host/caprock/auth"), "email": email, "password": password}
    async with http.post("/host/caprock/auth/login", data=form) as answer:
        return await answer.text()


async def test_an_invitation_is_for_its_address_and_can_be_revoked(pages: Pages) -> None:
    customer_id = await hosted(pages)
    await pages.member("other@elsewhere.example", Role.VIEWER)
    link = await invited(pages, customer_id)
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        form = {"csrf": await form_token(http, link), "invite": link.partition("invite=")[2]}
        form |= {"email": "other@elsewhere.example", "password": PASSWORD}
        async with http.post("/host/caprock/auth/login", data=form) as answer:
            assert answer.status == 403
            assert "another address" in await answer.text()
    async with pages.browser() as owner:
        text = await owner.get(f"/customers/{customer_id}/team")
        revoke = re.search(r'action="(/customers/[^"]+/revoke)"', text)
        assert revoke
        await owner.post(revoke[1], {})
    async with ClientSession(pages.url) as http, http.get(link) as answer:
        assert answer.status == 403


async def test_an_invitation_ends_after_a_week(pages: Pages) -> None:
    link = await invited(pages, await hosted(pages))
    pages.move_s(7 * 86_400 + 1)
    async with ClientSession(pages.url) as http, http.get(link) as answer:
        assert answer.status == 403


async def test_without_a_slug_nobody_is_invited_and_it_is_said_where_to_set_it(pages: Pages) -> None:
    customer_id = await hosted(pages)
    async with pages.browser() as owner:
        await owner.post("/settings", BRAND | {"slug": ""})
        text = await owner.post(f"/customers/{customer_id}/team/invite", {"email": PERSON}, 409)
        assert 'href="/settings"' in text


async def test_portal_access_off_ends_live_sessions(pages: Pages) -> None:
    customer_id = await hosted(pages)
    await pages.member(PERSON, Role.CUSTOMER, "", customer_id)
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        assert "Bluff Ridge" in await portal_login(http, PERSON)
        form = {"name": "Bluff Ridge", "email": "ops@bluffridge.example", "currency": "USD", "active": "1"}
        async with pages.browser() as owner:
            await owner.post(f"/customers/{customer_id}/edit", form)
        async with http.get("/portal", allow_redirects=False) as answer:
            assert answer.status == 303
        assert "switched off" in await portal_login(http, PERSON)


async def test_the_host_sees_what_the_customer_sees_and_changes_nothing(pages: Pages) -> None:
    customer_id = await hosted(pages)
    async with pages.browser() as owner:
        text = await owner.post(f"/customers/{customer_id}/view-portal", {})
        assert "You see what <b>Bluff Ridge</b> sees" in text
        await owner.post("/portal/dispute", {"text": "as if from the customer"}, 403)
        await owner.post("/portal/team/invite", {"email": "x@y.example"}, 403)
        await owner.post("/portal/leave", {})
        await owner.get("/portal", 404)
        assert "Portal viewed as customer, read-only" in await owner.get(f"/customers/{customer_id}/activity")


async def test_removing_access_ends_it_at_once(pages: Pages) -> None:
    customer_id = await hosted(pages)
    await pages.member(PERSON, Role.CUSTOMER, "", customer_id)
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        await portal_login(http, PERSON)
        async with pages.browser() as owner:
            text = await owner.get(f"/customers/{customer_id}/team")
            remove = re.search(r'action="(/customers/[^"]+/remove)"', text)
            assert remove
            await owner.post(remove[1], {})
        async with http.get("/portal", allow_redirects=False) as answer:
            assert answer.status == 303


async def test_a_forgotten_password_is_set_anew_by_a_link_that_works_once(pages: Pages) -> None:
    customer_id = await hosted(pages)
    await pages.member(PERSON, Role.CUSTOMER, "", customer_id)
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        answers = []
        for email in (PERSON, "nobody@nowhere.example"):
            form = {"csrf": await form_token(http, "/host/caprock/auth"), "email": email}
            async with http.post("/host/caprock/auth/forgot", data=form) as answer:
                answers.append(await answer.text())
        assert answers[0] == answers[1]
        async with pages.database.reading() as tx:
            mails = await tx.emails.all(pages.organisation_id, 5)
        link = next(re.search(r"token=(\S+)", mail.body) for mail in mails if "new password" in mail.subject)
        assert link
        token = await form_token(http, f"/host/caprock/auth/reset?token={link[1]}")
        form = {"csrf": token, "token": link[1], "password": "quite another phrase"}
        async with http.post("/host/caprock/auth/reset", data=form) as answer:
            assert "The new password is set" in await answer.text()
        async with http.post("/host/caprock/auth/reset", data=form) as answer:
            assert answer.status == 403
        assert "do not belong together" in await portal_login(http, PERSON)
        assert "Bluff Ridge" in await portal_login(http, PERSON, "quite another phrase")


BRAND = {
    "name": "Caprock Hosting",
    "slug": "caprock",
    "slogan": "Steady power, plain terms",
    "colour_primary": "#1d5c4d",
    "colour_accent": "#c9671b",
    "currency": "USD",
    "timezone": "America/Chicago",
}


async def test_the_brand_is_on_the_sign_in_page_and_old_slugs_lead_there(pages: Pages) -> None:
    async with pages.browser() as owner:
        await owner.post("/settings", BRAND | {"slug": "mesa"})
    async with ClientSession(pages.url) as http:
        async with http.get("/host/caprock/auth?mode=forgot") as answer:
            text = await answer.text()
            assert str(answer.url.relative()) == "/host/mesa/auth?mode=forgot"
        assert "Steady power, plain terms" in text
        assert "Hashyard" not in text
        async with http.get("/host/mesa/brand.css") as answer:
            assert "--brand: #1d5c4d" in await answer.text()
        async with http.get("/host/nobody/auth") as answer:
            assert answer.status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": "Not A Slug"}, "slug"),
        ({"slug": "-x-"}, "slug"),
        ({"slug": "login"}, "slug"),
        ({"slug": "taken"}, "slug"),
        ({"slogan": "x" * 151}, "slogan"),
        ({"colour_primary": "red"}, "colour_primary"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
    ],
)
async def test_settings_name_the_field_that_is_wrong(pages: Pages, change: dict[str, str], field: str) -> None:
    await pages.host("Taken Host", "t@taken.example", slug="taken")
    async with pages.browser() as owner:
        text = await owner.post("/settings", BRAND | change, 422)
    assert f'id="{field}-error"' in text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "Use a PNG, JPEG or WebP image"),
        (png(400, 200), "must be square"),
        (png(64, 64), "200 to 4096 pixels"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * (2 * 1024 * 1024 + 1), "larger than 2 MB"),
    ],
    ids=["svg", "oblong", "small", "large"],
)
async def test_a_logo_is_checked_by_its_content(pages: Pages, body: bytes, words: str) -> None:
    async with pages.browser() as owner:
        status, text = await upload(owner, body)
    assert status == 422
    assert words in text


async def upload(owner: Visitor, body: bytes) -> tuple[int, str]:
    form = FormData()
    form.add_field("csrf", await owner.token())
    form.add_field("logo", io.BytesIO(body), filename="logo.png", content_type="image/png")
    async with owner.http.post("/settings/logo", data=form) as answer:
        return answer.status, await answer.text()


async def test_a_good_logo_is_shown_with_its_real_type(pages: Pages) -> None:
    async with pages.browser() as owner:
        assert (await upload(owner, png(256, 256)))[0] == 200
        async with owner.http.get("/host/caprock/logo") as answer:
            assert answer.content_type == "image/png"
            assert await answer.read() == png(256, 256)


async def test_staff_are_invited_with_a_role(pages: Pages) -> None:
    async with pages.browser() as owner:
        text = await owner.post("/staff/invite", {"email": "kit@caprock.example", "role": "technician"})
        link = re.search(r'data-copy="[^"]*(/host/[^"]+)"', text)
        assert link
        assert 'id="role-error"' in await owner.post(
            "/staff/invite", {"email": "a@b.example", "role": "owner"}, 422
        )
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        status, page = await sign_up(http, link[1], "Kit")
        assert status == 200
        assert "technician" in page
        async with http.get("/settings") as answer:
            assert answer.status == 403


async def test_revenue_guard_names_what_earns_for_nobody(pages: Pages) -> None:
    await hosted(pages)
    contract_id = pages.contracts["Cedar Compute"]
    async with pages.browser() as owner:
        assert "under an active contract" in await owner.get("/revenue-guard")
        await owner.post(f"/contracts/{contract_id}/end", {})
        text = await owner.get("/revenue-guard")
        assert text.count("has ended") == 2
        assert "Loss a day" in text


async def test_an_agreement_is_accepted_as_it_was_shown(pages: Pages) -> None:
    customer_id = await hosted(pages)
    await pages.member(PERSON, Role.CUSTOMER, "", customer_id)
    async with pages.browser() as owner:
        text = await owner.post("/agreements", {"title": "House rules", "text": "No smoking in the halls."})
        agreement = re.search(r'action="/agreements/([0-9a-f-]{36})"', text)
        assert agreement
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        await portal_login(http, PERSON)
        form = await accept_form(http)
        async with http.post("/portal/agreements/accept", data=form | {"sha256": "0" * 64}) as answer:
            assert answer.status == 409
        async with http.post("/portal/agreements/accept", data=form) as answer:
            assert "Accepted Jordan" in await answer.text()
        async with http.get(f"/portal/agreements/{agreement[1]}.pdf") as answer:
            assert answer.content_type == "application/pdf"
            assert (await answer.read()).startswith(b"%PDF-")
        async with pages.browser() as owner:
            legal = await owner.get(f"/customers/{customer_id}/legal")
            assert "Jordan" in legal
            assert form["sha256"][:12] in legal
            await owner.post(f"/agreements/{agreement[1]}", {"text": "No smoking. No naked flames."})
            assert "Version 1 accepted" in await owner.get(f"/customers/{customer_id}/legal")
        async with http.get("/portal/agreements") as answer:
            assert "To accept" in await answer.text()


async def accept_form(http: ClientSession) -> dict[str, str]:
    async with http.get("/portal/agreements") as answer:
        text = await answer.text()
    return {
        name: value
        for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', text)
        if name in {"csrf", "version_id", "sha256"}
    }
