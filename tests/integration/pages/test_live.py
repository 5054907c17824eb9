"""Live pages: a stream says that there is news, ends with the session and the service, and is bounded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import ClientSession
from yarl import URL

from hashyard_cloud.services.live import MAX_LISTENERS_PER_SESSION, Live
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.web.keys import LIVE
from hashyard_support.pages import OWNER_EMAIL, Pages, running
from hashyard_support.visitor import Visitor

PATIENCE_S: Final = 30.0


class Stream:
    """The events of one open stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> str:
        """The next event's name; empty when the stream has ended."""
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.answer.content.readline():
                if line.startswith(b"event: "):
                    return line[7:].decode().strip()
        return ""


@asynccontextmanager
async def listening(http: ClientSession, path: str = "/live") -> AsyncIterator[Stream]:
    async with http.get(path) as answer:
        assert answer.status == 200
        stream = Stream(answer)
        assert await stream.next() == "hello"
        yield stream


async def test_readings_and_what_others_do_are_news(pages: Pages) -> None:
    site = await pages.site("Pecos North", "PN", "", "America/Chicago", 400)
    await pages.units(site, 3, "w", "A01")
    await pages.roster(site)
    await pages.settle()
    async with pages.browser() as visitor, listening(visitor.http) as stream:
        assert stream.answer.headers["X-Accel-Buffering"] == "no"
        assert "Content-Encoding" not in stream.answer.headers
        assert "Content-Security-Policy" in stream.answer.headers
        await pages.cycle(site, pages.clock.now_us())
        await pages.settle()
        assert await stream.next() == "news"
        await pages.customer("Bluff Ridge", "ops@bluffridge.example")
        assert await stream.next() == "news"


async def test_whoever_comes_back_looks_again(pages: Pages) -> None:
    async with pages.browser() as visitor, visitor.http.get("/live", headers={"Last-Event-ID": "1"}) as answer:
        assert await Stream(answer).next() == "news"


async def test_news_of_another_host_is_not_heard(pages: Pages) -> None:
    other = await pages.host("Rival", "owner@rival.example")
    async with pages.browser("owner@rival.example") as visitor, listening(visitor.http) as stream:
        listeners = pages.app[LIVE]
        await pages.customer("Bluff Ridge", "ops@bluffridge.example")
        quiet = asyncio.ensure_future(stream.next())
        # The other host's own news comes through, and is the first thing that does.
        pages.organisation_id = other
        await asyncio.sleep(0)
        assert not quiet.done()
        await pages.customer("Own Customer", "own@rival.example")
        assert await quiet == "news"
        assert listeners.count == 1


async def test_a_stream_ends_with_the_session(pages: Pages) -> None:
    async with pages.browser() as visitor, listening(visitor.http) as stream:
        async with ClientSession(pages.url, cookie_jar=visitor.http.cookie_jar) as second:
            await Visitor(second).post("/logout", {})
        assert await stream.next() == "end"
        assert await stream.next() == ""


async def test_a_stream_ends_when_the_portal_is_switched_off(pages: Pages) -> None:
    customer_id = await pages.customer("Bluff Ridge", "ops@bluffridge.example")
    await pages.member("jordan@bluffridge.example", Role.CUSTOMER, customer_id=customer_id)
    async with ClientSession(pages.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        visitor = Visitor(http)
        await sign_in_at_the_host(visitor)
        async with listening(http, "/portal/events") as stream, pages.browser(OWNER_EMAIL) as owner:
            form = {"name": "Bluff Ridge", "email": "ops@bluffridge.example", "currency": "USD", "active": "1"}
            await owner.post(f"/customers/{customer_id}/edit", form)
            assert await stream.next() in {"end", ""}


async def sign_in_at_the_host(visitor: Visitor) -> None:
    page = await visitor.get("/host/caprock/auth")
    token = page.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": token, "email": "jordan@bluffridge.example", "password": "a long pass phrase 42"}
    async with visitor.http.post("/host/caprock/auth/login", data=form) as answer:
        assert answer.status == 200, await answer.text()


async def test_a_session_has_so_many_streams_and_no_more(pages: Pages) -> None:
    async with pages.browser() as visitor:
        answers = [await visitor.http.get("/live") for _ in range(MAX_LISTENERS_PER_SESSION)]
        for answer in answers:
            assert await Stream(answer).next() == "hello"
        async with visitor.http.get("/live") as refused:
            assert refused.status == 503
            assert "Retry-After" in refused.headers
        for answer in answers:
            answer.close()
        # Whoever went away makes room at once, not only at the next heartbeat.
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with visitor.http.get("/live") as again:
                    if again.status == 200:
                        break


async def test_a_stranger_hears_nothing(pages: Pages) -> None:
    async with ClientSession(pages.url) as http:
        for path in ("/live", "/portal/events"):
            async with http.get(path, allow_redirects=False) as answer:
                assert answer.status == 303


async def test_a_stop_does_not_wait_for_open_streams(tmp_path: Path) -> None:
    async with ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with asyncio.timeout(PATIENCE_S), running(tmp_path / "data") as made:
            made.organisation_id = await made.host(slug="caprock")
            async with made.browser() as visitor:
                cookies = visitor.http.cookie_jar.filter_cookies(URL(made.url))
                given = {key: one.value for key, one in cookies.items()}
                answer = await http.get(f"{made.url}/live", cookies=given)
                stream = Stream(answer)
                assert await stream.next() == "hello"
            live: Live = made.app[LIVE]
            assert live.count == 1
        assert live.count == 0
        assert await stream.next() == ""
        answer.close()
