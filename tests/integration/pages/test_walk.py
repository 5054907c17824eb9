"""Every page as every role, of this and of another organisation, and as a stranger."""

import re
from collections.abc import Iterator

import pytest
from aiohttp import ClientSession, CookieJar

from hashyard_cloud.services import bulk
from hashyard_cloud.services.agreements import AgreementInput, add
from hashyard_cloud.services.ports.bulk import BulkKind
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.web import host
from hashyard_support.pages import Pages
from hashyard_support.visitor import Visitor

# The furnished host is made once, within the first test.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

NEEDS_MORE = ("/approve", "/settings/logo", ".pdf", "/plan-broken")
"""Pages that exist only once something was done: an approval asked for, a logo, an acceptance, a plan."""
NOWHERE = "01a0cce2-0000-7000-8000-000000000001"
"""An id that nothing has; stands in where the furnished host has no such thing."""
SECRETS = ("Bluff Ridge", "bluffridge", "Pecos North", "INV-2026", "HC-2026", "JYZZPN", "DC-0001")


def ids(pages: Pages, name: str = "Bluff Ridge Capital LLC") -> dict[str, str]:
    """A real id for every placeholder."""
    return {
        "customer_id": pages.customers[name],
        "contract_id": pages.contracts[name],
        "site_id": pages.sites["PN"].site_id,
        "unit_id": pages.sites["PN"].units[0].unit_id,
        "agent_id": "agent-pn",
        "reference": "caprock",
        "kind": "customers",
    }


def routes(method: str) -> Iterator[str]:
    for route in host.routes():
        if route.method == method:
            yield route.path


async def real_path(pages: Pages, path: str) -> str:
    known = ids(pages)
    async with pages.database.reading() as tx:
        invoices = await tx.invoices.all(pages.organisation_id, customer_id=known["customer_id"])
        emails = await tx.emails.all(pages.organisation_id, 1)
        notices = await tx.notices.all(pages.organisation_id, customer_id=known["customer_id"])
        agreements = await tx.agreements.all(pages.organisation_id)
        members = await tx.users.members(pages.organisation_id)
    if not agreements:
        given = AgreementInput(title="House rules", text="No smoking in the halls of Bluff Ridge.")
        agreements = [await add(pages.database, pages.clock, pages.organisation_id, pages.actor, given)]
    known |= {
        "agreement_id": agreements[0].agreement_id,
        "invoice_id": invoices[0].invoice_id,
        "email_id": emails[0].email_id,
        "notice_id": notices[0].notice_id,
        "dispute_id": "01a0cce2-0000-7000-8000-000000000000",
        "invite_id": "01a0cce2-0000-7000-8000-000000000000",
        "user_id": members[0].user_id,
        "hold_id": "01a0cce2-0000-7000-8000-000000000000",
    }
    if "{bulk_id}" in path:
        chosen = [known["unit_id"]]
        asked = await bulk.ask(
            pages.database, pages.clock, pages.organisation_id, pages.actor, BulkKind.STATUS, "repair", chosen
        )
        known["bulk_id"] = asked.bulk_id
    return re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], NOWHERE), path)


async def test_the_owner_sees_every_page(furnished: Pages) -> None:
    seen = 0
    async with furnished.browser() as visitor:
        for path in routes("GET"):
            if path in {"/", "/login"} or path.endswith(NEEDS_MORE):
                continue
            where = await real_path(furnished, path)
            async with visitor.http.get(where) as answer:
                text = await answer.text()
                assert answer.status == 200, (where, text[:500])
            seen += 1
    assert seen > 45


async def test_strangers_are_led_to_the_door_and_change_nothing(furnished: Pages) -> None:
    async with ClientSession(furnished.url) as http:
        for path in routes("GET"):
            if path in {"/", "/login"}:
                continue
            async with http.get(await real_path(furnished, path), allow_redirects=False) as answer:
                assert answer.status == 303, path
                assert answer.headers["Location"].startswith("/login?next=")
                text = await answer.text()
                assert not any(secret in text for secret in SECRETS)
        for path in routes("POST"):
            async with http.post(await real_path(furnished, path), data={"text": "x"}) as answer:
                assert answer.status in {401, 403}, path


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.BILLING, Role.TECHNICIAN, Role.VIEWER])
async def test_another_host_sees_nothing_by_any_route(furnished: Pages, role: Role) -> None:
    other = await furnished.host(f"Other {role}", f"{role}@other.example", slug=None)
    email = f"walker-{role}@other.example"
    await furnished.member(email, role, other)
    async with furnished.browser(email) as visitor:
        token = await visitor.token()
        for path in routes("GET"):
            if "{" not in path or "{kind}" in path:
                continue
            real, none = await real_path(furnished, path), re.sub(r"\{\w+\}", NOWHERE, path)
            async with visitor.http.get(real) as first, visitor.http.get(none) as second:
                assert first.status in {403, 404}, path
                assert (first.status, await first.text()) == (second.status, await second.text()), path
        for path in routes("POST"):
            if "{" not in path or "{kind}" in path:
                continue
            form = {"csrf": token, "text": "reason", "state": "repair", "months": "1", "name": "x"}
            async with visitor.http.post(await real_path(furnished, path), data=form) as answer:
                assert answer.status in {403, 404, 422}, (path, answer.status)
                text = await answer.text()
                assert not any(secret in text for secret in SECRETS), path


async def test_another_host_finds_nothing_by_search_list_or_export(furnished: Pages) -> None:
    other = await furnished.host("Quiet Host", "quiet@other.example")
    assert other != furnished.organisation_id
    async with furnished.browser("quiet@other.example") as visitor:
        for path in (
            *("/fleet", "/sites", "/equipment", "/equipment/found", "/customers", "/contracts", "/invoices"),
            *("/defaults", "/redirect-controls", "/mailbox", "/customers.csv", "/equipment.csv"),
            *("/search?q=Bluff", "/search?q=INV-2026", "/fleet/chart.csv", "/parts/agents"),
        ):
            text = (await visitor.get(path)).replace("“Bluff”", "").replace("“INV-2026”", "")
            assert not any(secret in text for secret in SECRETS), path


async def test_another_hosts_units_cannot_be_taken(furnished: Pages) -> None:
    other = await furnished.host("Grabbing Host", "grab@other.example")
    assert other
    async with furnished.browser("grab@other.example") as visitor:
        unit_id = furnished.sites["PN"].units[0].unit_id
        contract_id = furnished.contracts["Bluff Ridge Capital LLC"]
        await visitor.post("/equipment/assign", {"contract_id": contract_id, "unit_id": unit_id}, 404)
        await visitor.post("/equipment/release", {"unit_id": unit_id}, 404)
        miner = f"mac:{furnished.sites['PN'].units[0].mac}"
        await visitor.post("/bulk", {"action": "adopt", "miner_id": miner}, 404)
        await visitor.post("/bulk", {"action": "status", "state": "repair", "unit_id": unit_id}, 404)
        site = {"site_id": furnished.sites["PN"].site_id, "label": "X"}
        assert "Choose one of your sites" in await visitor.post("/equipment/new", site, 422)


async def test_a_customer_member_has_no_host_pages(furnished: Pages) -> None:
    customer_id = furnished.customers["Bluff Ridge Capital LLC"]
    await furnished.member("member@bluffridge.example", Role.CUSTOMER, "", customer_id)
    async with ClientSession(furnished.url, cookie_jar=CookieJar(unsafe=True)) as http:
        text = await Visitor(http).sign_in("member@bluffridge.example", "a long pass phrase 42")
        assert "no access here" in text
