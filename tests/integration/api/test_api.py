"""The API over HTTP: lists, writes, paging, idempotency, scopes, limits and errors that name the field."""

from typing import Any

import aiohttp
import pytest

from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.web.api.v1 import OPERATIONS
from hashyard_support.pages import Pages

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


async def test_every_list_answers_and_pages_to_its_end(owner: Any) -> None:
    lists = [one for one in OPERATIONS if one.method == "GET" and not one.parameters]
    for operation in lists:
        status, first, _ = await owner.call("GET", operation.path)
        assert status == 200, (operation.path, first)
        if "next_cursor" not in first:
            continue
        seen: list[Any] = []
        cursor = None
        while True:
            params = {"limit": "7"} | ({"cursor": cursor} if cursor else {})
            status, body, _ = await owner.call("GET", operation.path, params=params)
            assert status == 200, (operation.path, body)
            seen += body["items"]
            cursor = body["next_cursor"]
            if cursor is None or len(seen) > 300:
                break
        assert len({str(item) for item in seen}) == len(seen), operation.path
    assert len(lists) > 15


async def test_a_customer_is_added_once_whatever_is_repeated(owner: Any) -> None:
    body = {"name": "Żółw Ωmega 🐢", "email": "z@turtle.example"}
    key = {"Idempotency-Key": "abc-1"}
    status, made, _ = await owner.call("POST", "/customers", json=body, headers=key)
    assert status == 201
    status, again, headers = await owner.call("POST", "/customers", json=body, headers=key)
    assert (status, again, headers["Idempotent-Replayed"]) == (201, made, "true")
    status, problem, _ = await owner.call("POST", "/customers", json=body | {"phone": "1"}, headers=key)
    assert (status, problem["type"]) == (409, "idempotency-mismatch")
    status, problem, _ = await owner.call("POST", "/customers", json=body | {"email": "no"}, headers=key)
    assert (status, problem["type"], problem["field"]) == (422, "malformed", "email")
    status, found, _ = await owner.call("GET", "/customers", params={"q": "ωmega"})
    assert [item["customer_id"] for item in found["items"]] == [made["customer_id"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/customers", {"email": "a@b.example"}, "name"),
        ("POST", "/customers", {"name": "x" * 1_000_000, "email": "a@b.example"}, "name"),
        ("POST", "/customers", {"name": "x", "email": "a@b.example", "color": 1}, "color"),
        ("POST", "/customers", {"name": " ", "email": "a@b.example"}, "name"),
        ("POST", "/sites", {"name": "S", "timezone": "Mars/Olympus"}, "timezone"),
        ("POST", "/invoices", {"contract_id": "x", "lines": []}, "lines"),
        ("POST", "/tokens", {"name": "t", "scopes": ["everything"], "role": "owner"}, "scopes.0"),
        ("GET", "/customers?limit=0", None, "limit"),
        ("GET", "/customers?cursor=bm8", None, "cursor"),
        ("GET", "/customers?colour=red", None, "colour"),
        ("GET", "/customers?limit=1&limit=2", None, "limit"),
    ],
)
async def test_bad_input_is_named(owner: Any, method: str, path: str, body: Any, field: str) -> None:
    more: dict[str, Any] = {} if body is None else {"json": body}
    status, problem, headers = await owner.call(method, path, **more)
    assert (status, problem["field"]) == (422, field)
    assert headers["Content-Type"].startswith("application/problem+json")


async def test_dates_in_the_wrong_order_are_named(owner: Any, furnished: Pages) -> None:
    unit_id = furnished.sites["PN"].units[0].unit_id
    span = {"from_at": "2026-03-02T00:00:00Z", "to_at": "2026-03-01T00:00:00Z"}
    status, problem, _ = await owner.call("GET", f"/units/{unit_id}/series", params=span)
    assert (status, problem["field"]) == (422, "to_at")
    span["to_at"] = "2026-02-31T00:00:00Z"
    status, problem, _ = await owner.call("GET", f"/units/{unit_id}/series", params=span)
    assert (status, problem["field"]) == (422, "to_at")


async def test_scope_ceiling_and_role_all_count(furnished: Pages, new_token: Any, as_program: Any) -> None:
    email = "scoped@caprock.example"
    await furnished.member(email, Role.TECHNICIAN, furnished.organisation_id)
    async with as_program(furnished, await new_token(furnished, email, Role.TECHNICIAN)) as program:
        status, problem, _ = await program.call("POST", "/customers", json={"name": "x", "email": "a@b.example"})
        assert (status, problem["type"]) == (403, "forbidden")
    narrow = await new_token(furnished, "dana@caprock.example", Role.VIEWER, ["customers:write"])
    async with as_program(furnished, narrow) as program:
        assert (await program.call("GET", "/customers"))[0] == 200
        assert (await program.call("GET", "/sites"))[0] == 403
        status, problem, _ = await program.call("POST", "/customers", json={"name": "x", "email": "a@b.example"})
        assert status == 403


async def test_a_token_is_told_once_and_revoked_at_once(owner: Any, furnished: Pages, as_program: Any) -> None:
    asked = {"name": "meter", "scopes": ["sites:read"], "role": "viewer", "lifetime_days": 30}
    key = {"Idempotency-Key": "token-1"}
    status, made, _ = await owner.call("POST", "/tokens", json=asked, headers=key)
    assert status == 201
    status, problem, _ = await owner.call("POST", "/tokens", json=asked, headers=key)
    assert status == 409
    assert made["secret"] not in str(problem)
    async with as_program(furnished, made["secret"]) as program:
        assert (await program.call("GET", "/sites"))[0] == 200
        assert (await owner.call("DELETE", f"/tokens/{made['token']['token_id']}"))[0] == 200
        assert (await program.call("GET", "/sites"))[0] == 401


async def test_a_payment_is_recorded_once(owner: Any, furnished: Pages) -> None:
    customer_id = furnished.customers["Bluff Ridge Capital LLC"]
    body = {"customer_id": customer_id, "amount": "1.00", "currency": "USD"}
    key = {"Idempotency-Key": "pay-1"}
    first = await owner.call("POST", "/payments", json=body, headers=key)
    second = await owner.call("POST", "/payments", json=body, headers=key)
    assert first[0] == 201
    assert first[:2] == second[:2]
    _, found, _ = await owner.call("GET", "/payments", params={"customer_id": customer_id})
    assert sum(item["amount"] == "1.00" for item in found["items"]) == 1


async def test_a_case_shows_its_gate(owner: Any) -> None:
    _, found, _ = await owner.call("GET", "/cases")
    status, case, _ = await owner.call("GET", f"/cases/{found['items'][0]['case_id']}")
    assert status == 200
    assert {item["key"] for item in case["gate"]["conditions"]} >= {"clause", "notices", "switch"}


async def test_document_and_reference_are_served_to_everybody(furnished: Pages) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{furnished.url}/api/v1/openapi.json") as answer:
            assert answer.status == 200
            document = await answer.json()
        async with http.get(f"{furnished.url}/api/v1/docs") as answer:
            text = await answer.text()
            assert answer.status == 200, text
    assert document["openapi"].startswith("3.1")
    assert sum(len(item) for item in document["paths"].values()) == len(OPERATIONS)
    assert "record_payment" in text
