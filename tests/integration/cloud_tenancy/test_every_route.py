"""Every route of the service: pages, portal, API, agents' interface. A route that is not classified fails.

What belongs to another host and what exists nowhere must be told by the same status and the same body.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web

from hashyard_cloud.services import api_tokens
from hashyard_cloud.services.api_tokens import SCOPES
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.web import keys
from hashyard_cloud.web.api.v1.operations import Operation
from hashyard_support.pages import Pages

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(280)]

NOWHERE: Final = "01a0cce2-0000-7000-8000-000000000001"
SECRETS: Final = ("Bluff Ridge", "bluffridge", "Pecos North", "INV-2026", "HC-2026", "DC-0001", "dana@caprock")
STAFF: Final = (Role.OWNER, Role.ADMIN, Role.BILLING, Role.TECHNICIAN, Role.VIEWER)
GUARDS: Final = {"host_page": "host", "portal_page": "portal"}
PUBLIC: Final = frozenset(
    {
        *("/", "/login", "/login/code", "/static/{name}", "/api/v1/openapi.json", "/api/v1/docs"),
        *("/host/{slug}/auth", "/host/{slug}/auth/login", "/host/{slug}/auth/code", "/host/{slug}/auth/signup"),
        *("/host/{slug}/auth/forgot", "/host/{slug}/auth/reset", "/host/{slug}/logo", "/host/{slug}/brand.css"),
    }
)
"""What shows itself to everybody, by its very purpose."""
OWN: Final = frozenset(
    {
        *("/account", "/account/password", "/account/second-step", "/account/second-step/off"),
        *("/portal/leave", "/portal/logout", "/portal/brand.css", "/portal/logo"),
    }
)
"""About the person who is signed in, without any id."""


@dataclass(frozen=True)
class Found:
    """A route and what guards it."""

    method: str
    path: str
    kind: str
    handler: Any

    def filled(self, ids: dict[str, str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], NOWHERE), self.path)


def kind_of(path: str, handler: Any) -> str | None:
    guard = getattr(handler, "__qualname__", "").partition(".")[0]
    if isinstance(getattr(handler, "operation", None), Operation):
        return "api"
    if path.startswith("/agent/v1/"):
        return "agent"
    if path in PUBLIC:
        return "public"
    if path in OWN:
        return "own"
    return GUARDS.get(guard)


def routes(app: web.Application) -> list[Found]:
    found = []
    for route in app.router.routes():
        resource = route.resource
        if route.method == "HEAD" or resource is None:
            continue
        kind = kind_of(resource.canonical, route.handler)
        assert kind is not None, f"{route.method} {resource.canonical} is not classified"
        found.append(Found(route.method, resource.canonical, kind, route.handler))
    return found


def of_kind(app: web.Application, *kinds: str) -> Iterator[Found]:
    return (found for found in routes(app) if found.kind in kinds)


async def real_ids(pages: Pages) -> dict[str, str]:
    """An id that exists for every placeholder for which there is one."""
    name = "Bluff Ridge Capital LLC"
    customer_id = pages.customers[name]
    async with pages.database.reading() as tx:
        invoices = await tx.invoices.all(pages.organisation_id, customer_id=customer_id)
        emails = await tx.emails.all(pages.organisation_id, 1)
        notices = await tx.notices.all(pages.organisation_id, customer_id=customer_id)
        cases = await tx.defaults.cases(pages.organisation_id)
        disputes = await tx.defaults.disputes(pages.organisation_id)
        payments = await tx.payments.all(pages.organisation_id)
        redirected = await tx.redirects.units(pages.organisation_id)
        members = await tx.users.members(pages.organisation_id)
        agreements = await tx.agreements.all(pages.organisation_id)
        commands = await tx.commands.newest(pages.organisation_id, 1)
    return {
        "customer_id": customer_id,
        "contract_id": pages.contracts[name],
        "site_id": pages.sites["PN"].site_id,
        "unit_id": redirected[0].unit_id,
        "agent_id": "agent-pn",
        "reference": "caprock",
        "invoice_id": invoices[0].invoice_id,
        "email_id": emails[0].email_id,
        "notice_id": notices[0].notice_id,
        "case_id": cases[0].case_id,
        "dispute_id": disputes[0].dispute_id,
        "payment_id": payments[0].payment_id,
        "user_id": members[0].user_id,
        "agreement_id": agreements[0].agreement_id,
        "command_id": commands[0].command_id,
    }


async def secret_of(pages: Pages, email: str, role: Role) -> str:
    async with pages.database.reading() as tx:
        user = await tx.users.by_email(email)
        assert user is not None
        membership = (await tx.users.memberships(user.user_id))[0]
    actor = Actor(user.user_id, user.name)
    minted = await api_tokens.mint(
        pages.database, pages.app[keys.CLOCK], membership, actor, name="walk", scopes=SCOPES, role=role
    )
    return minted.secret


TEXTS: Final = {
    "email": "a@b.example",
    "currency": "USD",
    "amount": "1.00",
    "quantity": "1",
    "unit_price": "1.00",
    "until_at": "2090-01-01T00:00:00Z",
    "effective_at": "2090-01-01T00:00:00Z",
    "url": "stratum+tcp://pool.example:3333",
    "binding": "0" * 64,
    "scope": "sites:read",
}


def sample(schema: dict[str, Any], ids: dict[str, str], known: dict[str, Any], name: str = "") -> Any:
    """A value that the schema accepts, with these ids where ids are asked for."""
    if "anyOf" in schema:
        schema = schema["anyOf"][0]
    if "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    kind = schema.get("type")
    if kind == "object":
        wanted = set(schema.get("required", ())) | {key for key in schema["properties"] if key.endswith("_id")}
        return {key: sample(schema["properties"][key], ids, known, key) for key in wanted}
    if kind == "array":
        return [sample(schema["items"], ids, known, name.removesuffix("s"))]
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "string":
        return ids.get(name, NOWHERE) if name.endswith("_id") else TEXTS.get(name, "sample")
    return True if kind == "boolean" else schema.get("minimum", 1)


def body_of(operation: Operation, ids: dict[str, str]) -> Any:
    if operation.body is None:
        return None
    schema = operation.body.model_json_schema()
    return sample(schema, ids, schema.get("$defs", {}))


async def told(http: aiohttp.ClientSession, method: str, url: str, **more: Any) -> tuple[int, str]:
    async with http.request(method, url, allow_redirects=False, **more) as answer:
        return answer.status, await answer.text()


async def test_every_route_is_classified(furnished: Pages) -> None:
    counts = Counter(found.kind for found in routes(furnished.app))
    assert counts["api"] > 60
    assert counts["host"] > 50
    print(f"routes by kind: {dict(counts)}")


async def test_a_stranger_is_refused_everywhere(furnished: Pages) -> None:
    ids, walked = await real_ids(furnished), 0
    async with aiohttp.ClientSession() as http:
        for found in of_kind(furnished.app, "api", "host", "portal", "own", "agent"):
            if found.path in {"/portal/leave", "/portal/logout"}:
                continue
            status, text = await told(http, found.method, f"{furnished.url}{found.filled(ids)}")
            assert status in {303, 401, 403, 404, 422, 429}, (found.path, status)
            assert not any(secret in text for secret in SECRETS), found.path
            walked += 1
    print(f"stranger: {walked} routes refused")


@pytest.mark.parametrize("role", STAFF)
async def test_another_hosts_programs_get_nothing(furnished: Pages, role: Role) -> None:
    ids, walked = await real_ids(furnished), 0
    other = await furnished.host(f"Rival {role}", f"owner-{role}@rival.example", slug=None)
    email = f"program-{role}@rival.example"
    await furnished.member(email, role, other)
    headers = {"Authorization": f"Bearer {await secret_of(furnished, email, role)}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for found in of_kind(furnished.app, "api"):
            operation: Operation = found.handler.operation
            if operation.name in {"set_switch", "set_rules"}:
                continue
            query = query_of(operation)
            real, none = found.filled(ids), found.filled({})
            first = await told(
                http, found.method, f"{furnished.url}{real}", params=query, json=body_of(operation, ids)
            )
            assert first[0] < 500, (found.path, first)
            assert not any(secret in first[1] for secret in SECRETS), found.path
            walked += 1
            if operation.parameters or "_id" in str(operation.body and operation.body.model_fields):
                second = await told(
                    http, found.method, f"{furnished.url}{none}", params=query, json=body_of(operation, {})
                )
                assert first == second, (found.path, first, second)
            if operation.parameters:
                assert first[0] in {403, 404}, (found.path, first)
    print(f"another host's {role.value}: {walked} operations")


def query_of(operation: Operation) -> dict[str, str]:
    """The required parts of its query."""
    if operation.query is None:
        return {}
    times = {"from_at": "2026-01-01T00:00:00Z", "to_at": "2026-01-02T00:00:00Z"}
    return {name: times[name] for name, info in operation.query.model_fields.items() if info.is_required()}


@pytest.mark.parametrize("role", STAFF)
async def test_own_roles_get_what_is_theirs_and_no_more(furnished: Pages, role: Role) -> None:
    ids, counts = await real_ids(furnished), Counter[str]()
    email = f"own-{role}@caprock.example"
    await furnished.member(email, role, furnished.organisation_id)
    headers = {"Authorization": f"Bearer {await secret_of(furnished, email, role)}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for found in of_kind(furnished.app, "api"):
            operation: Operation = found.handler.operation
            may = role in operation.allowed
            if may and operation.method != "GET":
                continue
            url = f"{furnished.url}{found.filled(ids)}"
            status, text = await told(
                http, found.method, url, params=query_of(operation), json=body_of(operation, ids)
            )
            assert status == (200 if may else 403), (found.path, role, text)
            counts["given" if may else "refused"] += 1
    async with furnished.browser(email) as visitor:
        token = await visitor.token()
        for found in of_kind(furnished.app, "host"):
            may = role in found.handler.allowed
            if may:
                continue
            form = {"csrf": token} if found.method == "POST" else None
            status, _ = await told(visitor.http, found.method, found.filled(ids), data=form)
            assert status == 403, (found.path, role, status)
            counts["pages refused"] += 1
    print(f"own {role.value}: {dict(counts)}")


@pytest.mark.parametrize("role", STAFF)
async def test_another_hosts_staff_see_no_page_of_it(furnished: Pages, role: Role) -> None:
    ids, walked = await real_ids(furnished), 0
    other = await furnished.host(f"Peer {role}", f"owner-{role}@peer.example", slug=None)
    email = f"staff-{role}@peer.example"
    await furnished.member(email, role, other)
    async with furnished.browser(email) as visitor:
        token = await visitor.token()
        for found in of_kind(furnished.app, "host", "portal"):
            if "{" not in found.path:
                continue
            form = {"csrf": token, "text": "reason", "state": "repair", "months": "1", "name": "x"}
            more = {"data": form} if found.method == "POST" else {}
            first = await told(visitor.http, found.method, found.filled(ids), **more)
            second = await told(visitor.http, found.method, found.filled({}), **more)
            assert first == second, found.path
            assert first[0] in {403, 404, 422}, (found.path, first[0])
            assert not any(secret in first[1] for secret in SECRETS), found.path
            walked += 1
    print(f"another host's {role.value}: {walked} pages with ids")
