import re

from aiohttp import ClientSession, CookieJar

from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.totp import code_at
from hashyard_support.pages import OWNER_EMAIL, PASSWORD, Pages
from hashyard_support.visitor import Visitor


async def test_signing_in_leads_to_the_page_that_was_asked_for(pages: Pages) -> None:
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        async with http.get("/customers?status=active") as answer:
            text = await answer.text()
            assert answer.url.path == "/login"
        token = re.search(r'name="csrf" value="([^"]+)"', text)
        target = re.search(r'name="next" value="([^"]+)"', text)
        assert token
        assert target
        form = {"csrf": token[1], "next": target[1], "email": OWNER_EMAIL.upper(), "password": PASSWORD}
        async with http.post("/login", data=form) as answer:
            assert answer.status == 200
            assert str(answer.url.relative()) == "/customers?status=active"


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(pages: Pages) -> None:
    async with pages.browser() as visitor:
        cookie = next(one for one in visitor.http.cookie_jar if one.key == "hashyard_session")
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        async with visitor.http.get("/fleet") as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "unsafe-inline" not in policy
            assert "script-src 'self'" in policy
            assert answer.headers["Cache-Control"] == "no-store"


async def test_a_wrong_password_says_the_same_as_an_unknown_address(pages: Pages) -> None:
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        visitor = Visitor(http)
        wrong = await visitor.sign_in(OWNER_EMAIL, "not the password")
        unknown = await visitor.sign_in("nobody@example.com", "not the password")
    assert "do not belong together" in wrong
    assert wrong.replace(OWNER_EMAIL, "") != ""
    assert "do not belong together" in unknown


async def test_guessing_is_slowed_down_even_for_the_right_password(pages: Pages) -> None:
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        visitor = Visitor(http)
        for _ in range(10):
            await visitor.sign_in(OWNER_EMAIL, "not the password")
        assert "Too many attempts" in await visitor.sign_in(OWNER_EMAIL, PASSWORD)
        pages.move_s(16 * 60)
        assert "Fleet" in await visitor.sign_in(OWNER_EMAIL, PASSWORD)


async def test_a_form_without_its_token_changes_nothing(pages: Pages) -> None:
    async with pages.browser() as visitor:
        form = {"name": "Forged", "email": "a@b.example", "currency": "USD"}
        async with visitor.http.post("/customers/new", data=form) as answer:
            assert answer.status == 403
        token = await visitor.token()
        headers = {"Origin": "https://evil.example"}
        async with visitor.http.post("/customers/new", data=form | {"csrf": token}, headers=headers) as answer:
            assert answer.status == 403
        assert "Forged" not in await visitor.get("/customers")


async def test_signing_out_ends_the_session_itself(pages: Pages) -> None:
    async with pages.browser() as visitor:
        secret = next(one.value for one in visitor.http.cookie_jar if one.key == "hashyard_session")
        await visitor.post("/logout", {})
    async with (
        ClientSession(pages.url, cookies={"hashyard_session": secret}) as thief,
        thief.get("/fleet", allow_redirects=False) as answer,
    ):
        assert answer.status == 303


async def test_an_idle_session_ends(pages: Pages) -> None:
    async with pages.browser() as visitor:
        await visitor.get("/fleet")
        pages.move_s(25 * 3_600)
        async with visitor.http.get("/fleet") as answer:
            assert answer.url.path == "/login"


async def test_going_on_after_login_never_leaves_this_service(pages: Pages) -> None:
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        for evil in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
            async with http.get("/login", params={"next": evil}) as answer:
                assert 'name="next" value="/fleet"' in await answer.text()


async def test_roles_keep_people_out_of_what_is_not_theirs(pages: Pages) -> None:
    await pages.member("tech@caprock.example", Role.TECHNICIAN)
    await pages.member("eyes@caprock.example", Role.VIEWER)
    async with pages.browser("tech@caprock.example") as tech:
        assert "Add customer" not in await tech.get("/customers")
        await tech.get("/customers/new", 403)
        await tech.get("/equipment/new")
    async with pages.browser("eyes@caprock.example") as eyes:
        await eyes.get("/fleet")
        await eyes.get("/equipment/new", 403)
        await eyes.post("/redirect-controls/switch", {"enabled": ""}, 403)


async def test_the_second_step_asks_for_a_code_that_works_once(pages: Pages) -> None:
    async with pages.browser() as visitor:
        text = await visitor.get("/account")
        secret = re.search(r'name="secret" value="([A-Z2-7]+)"', text)
        assert secret
        wrong = await visitor.post("/account/second-step", {"secret": secret[1], "code": "000000"}, 422)
        assert 'id="code-error"' in wrong
        now = code_at(secret[1], pages.clock.now_us() // 30_000_000)
        await visitor.post("/account/second-step", {"secret": secret[1], "code": now})
    pages.move_s(60)
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        assert "Fleet" not in await with_code(http, "123456")
        code = code_at(secret[1], pages.clock.now_us() // 30_000_000)
        assert "Fleet" in await with_code(http, code)
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        assert "was used already" in await with_code(http, code)


async def with_code(http: ClientSession, code: str) -> str:
    """Password and code, as a person types them."""
    text = await Visitor(http).sign_in(OWNER_EMAIL, PASSWORD)
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', text)) | {"code": code}
    async with http.post("/login/code", data=form) as answer:
        return await answer.text()


async def test_a_changed_password_ends_every_other_session(pages: Pages) -> None:
    async with pages.browser() as here, pages.browser() as there:
        form = {"present": "not it", "password": "a whole new phrase"}
        assert 'id="present-error"' in await here.post("/account/password", form, 422)
        await here.post("/account/password", form | {"present": PASSWORD})
        await here.get("/fleet")
        async with there.http.get("/fleet") as answer:
            assert answer.url.path == "/login"
