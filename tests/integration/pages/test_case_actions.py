import html
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hashyard_cloud.services.evidence_bundle import verify_bundle
from hashyard_cloud.services.ports.journal import PublicationRow
from hashyard_support.furnished import furnish
from hashyard_support.pages import Pages, running

NAME = "Bluff Ridge Capital LLC"
# Each furnishes a host of its own, which takes its time on a busy machine.
pytestmark = pytest.mark.timeout(90)


@pytest.fixture
async def lived_in(tmp_path: Path) -> AsyncIterator[Pages]:
    """A host with a customer in default, for tests that change it."""
    async with running(tmp_path / "data") as made:
        await furnish(made, hours=1)
        yield made


def base(pages: Pages) -> str:
    return f"/customers/{pages.customers[NAME]}/default"


async def test_a_plan_suspends_the_case_and_breaking_it_reopens(lived_in: Pages) -> None:
    where = base(lived_in)
    async with lived_in.browser() as visitor:
        assert "Payment plan" in await visitor.get(where)
        text = await visitor.post(f"{where}/plan", {"text": "Two instalments", "until": "soon"}, 422)
        assert "is not a duration" in html.unescape(text)
        assert "Two instalments" in text
        text = await visitor.post(f"{where}/plan", {"text": "Two instalments", "until": "30 d"})
        assert "Plan agreed. Restores are ordered." in text
        text = await visitor.post(f"{where}/plan-broken", {"text": "First instalment missed"})
        assert "The case is open again." in text


async def test_a_share_is_a_percentage(lived_in: Pages) -> None:
    where = base(lived_in)
    async with lived_in.browser() as visitor:
        for wrong in ("0", "101", "half"):
            text = await visitor.post(f"{where}/share", {"percent": wrong}, 422)
            assert 'id="percent-error"' in text
        assert "Share 40 %" in await visitor.post(f"{where}/share", {"percent": "40 %"})


async def test_waiving_ends_the_case(lived_in: Pages) -> None:
    where = base(lived_in)
    async with lived_in.browser() as visitor:
        await visitor.post(f"{where}/waive", {"text": ""}, 422)
        assert "Debt waived" in await visitor.post(f"{where}/waive", {"text": "Goodwill"})
        assert "waived" in await visitor.get(where)


async def test_the_bundle_is_downloaded_verifies_and_is_recorded(lived_in: Pages) -> None:
    where = base(lived_in)
    async with lived_in.browser() as visitor:
        data = {"csrf": await visitor.token()}
        async with visitor.http.post(f"{where}/evidence", data=data) as answer:
            assert answer.status == 200
            assert answer.content_type == "application/zip"
            assert "DC-0001-evidence-" in answer.headers["Content-Disposition"]
            body = await answer.read()
        assert verify_bundle(body).ok
        text = await visitor.get(where.removesuffix("/default") + "/activity")
    assert "Evidence bundle of DC-0001" in text


async def test_normal_pools_are_worded_without_a_password(lived_in: Pages) -> None:
    where = f"/customers/{lived_in.customers[NAME]}/pools"
    async with lived_in.browser() as visitor:
        for wrong in ("", "stratum+tcp://user:secret@pool.example:3333 a", "stratum+tcp://pool.example:3333"):
            assert 'id="pools-error"' in await visitor.post(where, {"pools": wrong}, 422)
        text = await visitor.post(where, {"pools": "stratum+tcp://pool.example:3333 ridge.{unit}\n"})
        assert "stratum+tcp://pool.example:3333 ridge.{unit}" in html.unescape(text)
        assert "Not recorded on site" in text


async def test_the_portal_shows_pools_and_the_journals_heads(lived_in: Pages) -> None:
    customer_id = lived_in.customers[NAME]
    other = lived_in.customers["Stratum Eight"]
    async with lived_in.database.transaction() as tx:
        for owner, digest in ((customer_id, "ab" * 32), (other, "cd" * 32)):
            await tx.journal.add_publication(
                PublicationRow(
                    organisation_id=lived_in.organisation_id,
                    customer_id=owner,
                    agent_id="agent-pn",
                    day="2026-03-18",
                    lines=1_234,
                    hash=digest,
                    published_us=lived_in.clock.now_us(),
                    notice_id=None,
                )
            )
    async with lived_in.browser() as visitor:
        await visitor.post(
            f"/customers/{customer_id}/pools", {"pools": "stratum+tcp://pool.example:3333 ridge.{unit}"}
        )
        await visitor.post(f"/customers/{customer_id}/view-portal", {})
        text = html.unescape(await visitor.get("/portal/pools"))
    assert "stratum+tcp://pool.example:3333" in text
    assert "Not recorded on site" in text
    assert "ab" * 32 in text
    assert "1,234" in text
    assert "cd" * 32 not in text
