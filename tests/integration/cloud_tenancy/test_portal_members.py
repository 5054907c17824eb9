"""Members of customers' portals: each sees their own customer's pages and nothing of anybody else's.

What is another customer's, another host's and nobody's at all is told by the same status, body and path.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import ClientSession, CookieJar, web

from hashyard_cloud.services.ports.users import Role
from hashyard_support.pages import PASSWORD, Pages

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(280)]

NOWHERE: Final = "01a0cce2-0000-7000-8000-000000000001"
OWN: Final = "Bluff Ridge Capital LLC"
SECRETS: Final = ("Bluff Ridge", "bluffridge", "Pecos North", "PN-B04", "House rules")
LEAVING: Final = frozenset({"/portal/leave", "/portal/logout"})
MEMBER: Final = "member@bluffridge.example"
COLLEAGUE: Final = "colleague@bluffridge.example"


def guarded(app: web.Application, guard: str) -> Iterator[tuple[str, str]]:
    """Method and address of every route behind this guard."""
    for route in app.router.routes():
        name = getattr(route.handler, "__qualname__", "").partition(".")[0]
        if route.method != "HEAD" and route.resource is not None and name == guard:
            yield route.method, route.resource.canonical


def filled(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], NOWHERE), path)


async def told(http: ClientSession, method: str, path: str, token: str, **form: str) -> tuple[int, str]:
    more: dict[str, Any] = {"data": {"csrf": token, **form}} if method == "POST" else {}
    async with http.request(method, path, allow_redirects=False, **more) as answer:
        # A stream of changes has no end to wait for, and says nothing but that something changed.
        endless = answer.content_type == "text/event-stream"
        return answer.status, "" if endless else await answer.text()


@asynccontextmanager
async def signed_in(pages: Pages, slug: str, email: str) -> AsyncIterator[tuple[ClientSession, str]]:
    """A member at their host's own door, and the token of their forms."""
    async with aiohttp.ClientSession(pages.url, cookie_jar=CookieJar(unsafe=True)) as http:
        async with http.get(f"/host/{slug}/auth") as answer:
            door = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
        assert door
        form = {"csrf": door[1], "email": email, "password": PASSWORD}
        async with http.post(f"/host/{slug}/auth/login", data=form) as answer:
            inside = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
        assert inside, (email, answer.status)
        yield http, inside[1]


async def ids_of(pages: Pages) -> dict[str, str]:
    """What belongs to the one customer, by placeholder."""
    customer_id = pages.customers[OWN]
    for email in (MEMBER, COLLEAGUE):
        async with pages.database.reading() as tx:
            known = await tx.users.by_email(email)
        if known is None:
            await pages.member(email, Role.CUSTOMER, "", customer_id)
    async with pages.database.reading() as tx:
        invoices = await tx.invoices.all(pages.organisation_id, customer_id=customer_id)
        notices = await tx.notices.all(pages.organisation_id, customer_id=customer_id)
        cases = await tx.defaults.cases(pages.organisation_id, customer_id=customer_id)
        units = await tx.equipment.bound(pages.organisation_id, customer_id=customer_id)
        members = await tx.users.members(pages.organisation_id, customer_id)
    return {
        "customer_id": customer_id,
        "contract_id": pages.contracts[OWN],
        "site_id": pages.sites["PN"].site_id,
        "unit_id": units[0].unit.unit_id,
        "invoice_id": invoices[0].invoice_id,
        "notice_id": notices[0].notice_id,
        "case_id": cases[0].case_id,
        "user_id": next(row.user_id for row in members if row.email == COLLEAGUE),
    }


async def stranger_at(pages: Pages, who: str) -> tuple[str, str]:
    """A member of another customer of this host, or of another host's customer: the slug and the address."""
    email = f"portal-{who}@elsewhere.example"
    if who == "neighbour":
        await pages.member(email, Role.CUSTOMER, "", pages.customers["Stratum Eight"])
        return "caprock", email
    kept = pages.organisation_id
    pages.organisation_id = await pages.host("Foreign Hosting", "owner@foreign.example", slug="foreign")
    customer_id = await pages.customer("Foreign Customer", "c@foreign.example")
    await pages.member(email, Role.CUSTOMER, pages.organisation_id, customer_id)
    pages.organisation_id = kept
    return "foreign", email


async def test_a_member_sees_every_page_of_their_own(furnished: Pages) -> None:
    ids, seen = await ids_of(furnished), 0
    async with signed_in(furnished, "caprock", MEMBER) as (http, token):
        for method, path in guarded(furnished.app, "portal_page"):
            if method != "GET" or "{agreement_id}" in path or path == "/portal/logo":
                continue
            status, _ = await told(http, method, filled(path, ids), token)
            assert status == 200, (path, status)
            seen += 1
    assert seen > 15
    print(f"own member: {seen} portal pages")


@pytest.mark.parametrize("who", ["neighbour", "foreigner"])
async def test_others_members_cannot_tell_elsewhere_from_nowhere(furnished: Pages, who: str) -> None:
    ids, walked = await ids_of(furnished), 0
    slug, email = await stranger_at(furnished, who)
    async with signed_in(furnished, slug, email) as (http, token):
        for method, path in guarded(furnished.app, "portal_page"):
            if path in LEAVING:
                continue
            if "{" not in path:
                if method == "GET":
                    _, text = await told(http, method, path, token)
                    names = SECRETS[:2] if who == "neighbour" else SECRETS
                    assert not any(secret in text for secret in names), path
                    walked += 1
                continue
            first = await told(http, method, filled(path, ids), token)
            second = await told(http, method, filled(path, {}), token)
            assert first == second, path
            assert first[0] == 404, (path, first)
            walked += 1
    async with furnished.database.reading() as tx:
        members = await tx.users.members(furnished.organisation_id, ids["customer_id"])
    assert COLLEAGUE in {row.email for row in members}, "nobody else's member was removed"
    print(f"{who}: {walked} portal routes")


@pytest.mark.parametrize("who", ["own", "neighbour", "foreigner"])
async def test_no_member_comes_into_the_hosts_pages(furnished: Pages, who: str) -> None:
    ids, walked = await ids_of(furnished), 0
    slugs = {"own": ("caprock", MEMBER), "neighbour": ("caprock", "portal-neighbour@elsewhere.example")}
    slug, email = slugs.get(who, ("foreign", "portal-foreigner@elsewhere.example"))
    async with signed_in(furnished, slug, email) as (http, token):
        for method, path in guarded(furnished.app, "host_page"):
            first = await told(http, method, filled(path, ids), token)
            second = await told(http, method, filled(path, {}), token)
            assert first == second, path
            assert first[0] == 404, (path, first)
            assert not any(secret in first[1] for secret in SECRETS), path
            walked += 1
    assert walked > 80
    print(f"{who}: {walked} host pages refused")
