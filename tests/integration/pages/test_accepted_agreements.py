"""An agreement accepted in the portal: what is recorded, who gets the PDF, and who cannot tell it is there."""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape

import pytest
from aiohttp import ClientSession, CookieJar

from hashyard_cloud.services import agreements
from hashyard_cloud.services.ports.users import Role
from hashyard_support.pages import PASSWORD, Pages

TEXT = "1. Machines are insured by their owner.\n2. <No smoking> in the halls, \N{SECTION SIGN} 4."
NOWHERE = "01a0cce2-0000-7000-8000-000000000001"
JORDAN, OLIVE = "jordan@bluffridge.example", "olive@cedar.example"


@asynccontextmanager
async def portal(pages: Pages, email: str, slug: str = "caprock") -> AsyncIterator[ClientSession]:
    """A customer's member in the portal."""
    async with ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        async with http.get(f"/host/{slug}/auth") as answer:
            token = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
        assert token
        form = {"csrf": token[1], "email": email, "password": PASSWORD}
        async with http.post(f"/host/{slug}/auth/login", data=form) as answer:
            assert answer.status == 200
            assert answer.url.path == "/portal"
        yield http


async def told(http: ClientSession, path: str, form: dict[str, str] | None = None) -> tuple[int, str, bytes]:
    async with http.request("POST" if form else "GET", path, data=form) as answer:
        return answer.status, answer.content_type, await answer.read()


async def offered(pages: Pages) -> str:
    """Two customers with a member each, and an agreement that is offered to both; its id."""
    for name, email in (("Bluff Ridge", JORDAN), ("Cedar Compute", OLIVE)):
        customer_id = await pages.customer(name, f"ops@{email.partition('@')[2]}")
        await pages.member(email, Role.CUSTOMER, "", customer_id)
    given = agreements.AgreementInput(title="House rules", text=TEXT)
    row = await agreements.add(pages.database, pages.clock, pages.organisation_id, pages.actor, given)
    return row.agreement_id


async def accept(http: ClientSession) -> None:
    """Accept what the page shows, as its form says."""
    _, _, page = await told(http, "/portal/agreements")
    text = page.decode()
    assert "<No smoking>" not in text
    assert "<No smoking>" in unescape(text)
    form = dict(re.findall(r'name="(csrf|version_id|sha256)" value="([^"]*)"', text))
    status, _, after = await told(http, "/portal/agreements/accept", form)
    assert status == 200
    assert b"Accepted" in after


async def test_an_acceptance_records_who_when_from_where_and_which_text(pages: Pages) -> None:
    agreement_id = await offered(pages)
    customer_id = pages.customers["Bluff Ridge"]
    async with portal(pages, JORDAN) as http, pages.browser() as owner:
        assert (await told(http, f"/portal/agreements/{agreement_id}.pdf"))[0] == 404
        await owner.get(f"/customers/{customer_id}/legal/{agreement_id}.pdf", 404)
        before_us = pages.clock.now_us()
        await accept(http)
        async with pages.database.reading() as tx:
            (row,) = await tx.agreements.acceptances(pages.organisation_id, customer_id)
            (line,) = await tx.activity.all(pages.organisation_id, customer_id=customer_id, action="agreement.")
        assert (row.name, row.email, row.remote) == ("Jordan", JORDAN, "127.0.0.1")
        assert row.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
        assert before_us <= row.at_us <= pages.clock.now_us()
        assert (line.action, line.actor_name, line.ip) == ("agreement.accepted", "Jordan", "127.0.0.1")
        _, kind, members = await told(http, f"/portal/agreements/{agreement_id}.pdf")
        status, _, hosts = await told(owner.http, f"/customers/{customer_id}/legal/{agreement_id}.pdf")
        assert (status, kind) == (200, "application/pdf")
        assert hosts.startswith(b"%PDF-")
        assert members == hosts
        # A newer text changes nothing of what was accepted.
        await owner.post(f"/agreements/{agreement_id}", {"text": "Another text."})
        assert (await told(http, f"/portal/agreements/{agreement_id}.pdf"))[2] == hosts


@pytest.mark.parametrize("where", ["another customer", "another host"])
async def test_others_are_told_the_same_as_of_nothing(pages: Pages, where: str) -> None:
    agreement_id = await offered(pages)
    async with portal(pages, JORDAN) as http:
        await accept(http)
    email, slug, home = OLIVE, "caprock", pages.organisation_id
    if where == "another host":
        email, slug = "fay@foreign.example", "foreign"
        pages.organisation_id = await pages.host("Foreign Hosting", "owner@foreign.example", slug=slug)
        customer_id = await pages.customer("Foreign Customer", "c@foreign.example")
        await pages.member(email, Role.CUSTOMER, "", customer_id)
    async with portal(pages, email, slug) as http:
        found = await told(http, f"/portal/agreements/{agreement_id}.pdf")
        nothing = await told(http, f"/portal/agreements/{NOWHERE}.pdf")
    assert found[0] == nothing[0] == 404
    assert found[2].replace(agreement_id.encode(), b"") == nothing[2].replace(NOWHERE.encode(), b"")
    async with pages.database.reading() as tx:
        assert len(await tx.agreements.acceptances(home)) == 1
