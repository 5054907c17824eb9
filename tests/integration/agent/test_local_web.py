"""The technician's page: forms without script, a token against forged ones, and the stop asks once more."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import aiohttp
import pytest

from hashyard_agent.backlog import OutboxStats
from hashyard_agent.errors import MinerTimeoutError, SettingsError, StoreError
from hashyard_agent.link_state import LinkState
from hashyard_agent.local_web.server import LocalWeb
from hashyard_agent.local_web.state import FailingMiner, PageState, Redirects

NOW_US = 1_773_900_000_000_000
HOUR_US = 3_600_000_000
STATE = PageState(
    site_name="Pecos <North>",
    agent_name="pn-01",
    timezone="America/Chicago",
    now_us=NOW_US,
    link=LinkState(up=False, since_us=NOW_US - 3 * HOUR_US, last_error="DNS", next_try_us=NOW_US + 24_000_000),
    outbox=OutboxStats(
        rows=192,
        urgent_rows=0,
        samples=1,
        body_bytes=10_900_000,
        used_bytes=10_900_000,
        max_bytes=10_000_000_000,
        oldest_us=NOW_US - 3 * HOUR_US,
        newest_us=NOW_US,
        set_aside_rows=0,
        gap_cycles=0,
        gap_samples=0,
        epoch=1,
    ),
    found=3_162,
    adopted=3_142,
    failing=[FailingMiner(f"mac:{at}", f"PN-{at}", "hot", "Board 2 at 97 °C", f"10.0.0.{at}") for at in range(22)],
    redirects=Redirects(redirected=48, units=3_142, lease_until_us=NOW_US + HOUR_US, daily_cap=60),
)


@dataclass
class FakeSite:
    """A site that remembers what was asked of it."""

    now: PageState = STATE
    stops: list[str] = field(default_factory=list)
    leds: list[tuple[str, bool]] = field(default_factory=list)
    full_disk: bool = False

    def state(self) -> PageState:
        return self.now

    def emergency_stop(self, reason: str) -> None:
        if self.full_disk:
            raise StoreError("the disk is full")
        self.stops.append(reason)
        self.now = replace(self.now, stopped=True, stop_reason=reason)

    async def led(self, miner_id: str, on: bool) -> str:
        if miner_id == "mac:1":
            raise MinerTimeoutError("10.0.0.1")
        self.leds.append((miner_id, on))
        return "The light is on."


@dataclass
class Browser:
    """A browser without script: it follows forms and keeps cookies."""

    session: aiohttp.ClientSession
    base: str

    async def get(self, path: str) -> str:
        async with self.session.get(self.base + path) as response:
            assert response.status == 200
            return await response.text()

    async def post(self, path: str, **form: str) -> tuple[int, str]:
        async with self.session.post(self.base + path, data=form) as response:
            return response.status, await response.text()


@pytest.fixture
def site() -> FakeSite:
    return FakeSite()


@pytest.fixture
async def browser(site: FakeSite) -> AsyncIterator[Browser]:
    page = LocalWeb(site, "127.0.0.1", 0)
    await page.start()
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Browser(session, "http://{}:{}".format(*page.address))
    await page.close()


def token_in(text: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]+)"', text)
    assert found
    return found[1]


async def test_the_page_says_what_works_and_what_does_not(browser: Browser) -> None:
    text = await browser.get("/")
    for told in (
        "No link to the cloud for 3 h 0 min",
        "Next try in 24 s",
        "3,162",
        "99.4 %",
        "20 found, not adopted",
        "All 22",
        "Nothing dropped",
        "48 of 3,142 units",
        "Today 0 of 60 changes used",
    ):
        assert told in text
    assert "Pecos &lt;North&gt;" in text
    assert "<script" not in text
    assert text.count('class="miner"') == 5
    assert (await browser.get("/failing")).count('class="miner"') == 22


async def test_the_stop_asks_once_more_and_wants_a_reason(browser: Browser, site: FakeSite) -> None:
    asked = await browser.get("/stop")
    assert site.stops == []
    status, text = await browser.post("/stop", token=token_in(asked), reason="  ")
    assert status == 200
    assert "Say why" in text
    status, text = await browser.post("/stop", token=token_in(asked), reason="smoke in row 3")
    assert site.stops == ["smoke in row 3"]
    assert "all writes are frozen" in text
    assert 'href="/stop"' not in text


async def test_a_stop_that_cannot_be_kept_is_never_shown_as_done(browser: Browser, site: FakeSite) -> None:
    site.full_disk = True
    status, text = await browser.post("/stop", token=token_in(await browser.get("/stop")), reason="smoke")
    assert status == 500
    assert "Not stopped: the disk is full" in text


async def test_a_forged_form_is_refused(browser: Browser, site: FakeSite) -> None:
    await browser.get("/")
    status, _ = await browser.post("/stop", token="0" * 64, reason="forged")
    assert status == 403
    assert site.stops == []


async def test_a_strangers_name_does_not_reach_the_page(browser: Browser) -> None:
    async with browser.session.get(browser.base, headers={"Host": "evil.example"}) as response:
        assert response.status == 421


async def test_a_light_that_does_not_answer_is_told(browser: Browser, site: FakeSite) -> None:
    token = token_in(await browser.get("/"))
    _, text = await browser.post("/led", token=token, miner_id="mac:2", on="1")
    assert "The light is on." in text
    _, text = await browser.post("/led", token=token, miner_id="mac:1", on="1")
    assert "was not switched" in text
    assert site.leds == [("mac:2", True)]


async def test_nothing_comes_from_elsewhere(browser: Browser) -> None:
    async with browser.session.get(browser.base) as response:
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    text = await browser.get("/") + await browser.get("/page.css")
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?https?:", text)


async def test_an_address_in_use_says_what_to_do(browser: Browser, site: FakeSite) -> None:
    port = int(browser.base.rpartition(":")[2])
    with pytest.raises(SettingsError, match=r"local_web\.listen"):
        await LocalWeb(site, "127.0.0.1", port).start()
