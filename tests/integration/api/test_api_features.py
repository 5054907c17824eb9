"""The API beyond money and machines: imports, O&M, invitations, agreements, usage, evidence."""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from hashyard_cloud.services.ports.users import Role
from hashyard_support.pages import Pages

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

NAME = "Stratum Eight"


async def test_a_csv_is_looked_at_stored_once_and_known_afterwards(owner: Any) -> None:
    body = {"kind": "contracts", "text": f"number,customer,kind,rate\nAPI-1,{NAME},hosted,0.08\n"}
    status, looked, _ = await owner.call("POST", "/imports/preview", json=body)
    assert (status, looked["rows"], looked["problem_count"]) == (200, 1, 0)
    status, stored, _ = await owner.call("POST", "/imports", json=body)
    assert (status, stored["stored"], stored["known"]) == (200, 1, 0)
    status, stored, _ = await owner.call("POST", "/imports", json=body)
    assert (status, stored["stored"], stored["known"]) == (200, 0, 1)
    body["text"] = "number,customer\nAPI-2,Nobody\n"
    status, looked, _ = await owner.call("POST", "/imports/preview", json=body)
    assert looked["problems"] == [{"line": 2, "field": "customer", "text": "There is no customer 'Nobody'."}]
    status, problem, _ = await owner.call("POST", "/imports", json=body)
    assert (status, problem["field"]) == (409, "file")
    status, problem, _ = await owner.call("POST", "/imports", json=body | {"text": "shoe\n1\n"})
    assert (status, problem["field"]) == (422, "text")
    status, problem, _ = await owner.call("POST", "/imports", json=body | {"text": "x" * 400_000})
    assert (status, problem["field"]) == (422, "text")


async def test_an_import_needs_the_scope_of_what_it_imports(
    furnished: Pages, new_token: Any, as_program: Any
) -> None:
    secret = await new_token(furnished, "dana@caprock.example", Role.OWNER, ["customers:write"])
    async with as_program(furnished, secret) as program:
        body = {"kind": "opening-balances", "text": f"customer,amount\n{NAME},5\n"}
        status, problem, _ = await program.call("POST", "/imports", json=body)
        assert status == 403
        assert "payments:write" in problem["detail"]


async def test_an_opening_balance_is_entered_and_reversed(owner: Any, furnished: Pages) -> None:
    path = f"/customers/{furnished.customers[NAME]}/opening-balances"
    text = f"customer,amount,currency\n{NAME},-12.50,EUR\n"
    await owner.call("POST", "/imports", json={"kind": "opening-balances", "text": text})
    _, found, _ = await owner.call("GET", path)
    (balance,) = found["items"]
    assert (balance["amount"], balance["currency"]) == ("-12.50", "EUR")
    reverse = f"{path}/{balance['entry_id']}/reverse"
    status, undone, _ = await owner.call("POST", reverse, json={"reason": "typed wrong"})
    assert (status, undone["amount"]) == (200, "12.50")
    status, _, _ = await owner.call("POST", reverse, json={"reason": "again"})
    assert status == 409
    _, found, _ = await owner.call("GET", path)
    assert found["items"] == []


async def test_an_operations_contract_has_sites_and_services(owner: Any, furnished: Pages) -> None:
    site_id = furnished.sites["PN"].site_id
    terms = {"kind": "operations", "billing_basis": "fixed", "fixed_monthly": "1.00"}
    body = {"customer_id": furnished.customers[NAME], "terms": terms}
    _, made, _ = await owner.call("POST", "/contracts", json=body)
    path = f"/contracts/{made['contract']['contract_id']}"
    status, problem, _ = await owner.call("POST", f"{path}/complete", json={})
    assert (status, problem["field"]) == (422, "site_ids")
    scope = {"site_ids": [site_id], "services": [{"name": "Technician", "monthly": "900.00"}]}
    status, told, _ = await owner.call("PUT", f"{path}/sites", json=scope)
    assert (status, told["services"][0]["monthly"]) == (200, "900.00")
    status, active, _ = await owner.call("POST", f"{path}/complete", json={})
    assert (status, active["state"]) == (200, "active")
    scope["services"] = [{"name": "Technician", "monthly": "0"}]
    status, problem, _ = await owner.call("PUT", f"{path}/sites", json=scope)
    assert (status, problem["field"]) == (422, "monthly")
    hosted = f"/contracts/{furnished.contracts[NAME]}/sites"
    status, _, _ = await owner.call("PUT", hosted, json={"site_ids": [site_id]})
    assert status == 409


async def test_an_invitation_is_sent_once_and_its_link_told_once(owner: Any, furnished: Pages) -> None:
    body = {"email": "new@stratumeight.example", "customer_id": furnished.customers[NAME]}
    key = {"Idempotency-Key": "invite-1"}
    status, sent, _ = await owner.call("POST", "/invites", json=body, headers=key)
    assert (status, sent["invite"]["role"]) == (201, "customer")
    assert "/host/caprock/auth?invite=" in sent["link"]
    status, again, _ = await owner.call("POST", "/invites", json=body, headers=key)
    assert "invite=" not in str(again)
    _, listed, _ = await owner.call("GET", "/invites", params={"customer_id": furnished.customers[NAME]})
    assert [one["email"] for one in listed["items"]] == ["new@stratumeight.example"]
    invite_id = sent["invite"]["invite_id"]
    status, revoked, _ = await owner.call("DELETE", f"/invites/{invite_id}")
    assert status == 200
    assert revoked["revoked_at"]
    status, problem, _ = await owner.call("POST", "/invites", json={"email": "x@y.example"})
    assert (status, problem["field"]) == (422, "role")


async def test_a_member_is_removed_and_the_team_named(owner: Any, furnished: Pages) -> None:
    customer_id = furnished.customers[NAME]
    await furnished.member("gone@stratumeight.example", Role.CUSTOMER, "", customer_id)
    _, members, _ = await owner.call("GET", f"/customers/{customer_id}/members")
    gone = next(one for one in members["items"] if one["email"] == "gone@stratumeight.example")
    path = f"/customers/{customer_id}/members/{gone['user_id']}"
    assert (await owner.call("DELETE", path))[0] == 200
    assert (await owner.call("DELETE", path))[0] == 404
    status, team, _ = await owner.call("PUT", f"/customers/{customer_id}/team-name", json={"team_name": "Eight"})
    assert (status, team["team_name"]) == (200, "Eight")


async def test_an_agreement_gets_versions_and_is_retired(owner: Any) -> None:
    status, made, _ = await owner.call("POST", "/agreements", json={"title": "Rules", "text": "One."})
    assert status == 201
    path = f"/agreements/{made['agreement']['agreement_id']}"
    status, revised, _ = await owner.call("POST", f"{path}/versions", json={"text": "Two."})
    assert [one["version"] for one in revised["versions"]] == [1, 2]
    assert revised["versions"][1]["sha256"] == hashlib.sha256(b"Two.").hexdigest()
    assert (await owner.call("POST", f"{path}/versions", json={"text": "Two."}))[0] == 409
    assert (await owner.call("POST", f"{path}/retire"))[0] == 200
    assert (await owner.call("POST", f"{path}/versions", json={"text": "Three."}))[0] == 404


async def test_usage_is_told_with_its_source(owner: Any, furnished: Pages) -> None:
    path = f"/customers/{furnished.customers[NAME]}/usage"
    span = {"from_at": "2026-03-02T00:00:00Z", "to_at": "2026-03-01T00:00:00Z"}
    status, problem, _ = await owner.call("GET", path, params=span)
    assert (status, problem["field"]) == (422, "to_at")
    span = {"from_at": "2026-03-01T00:00:00Z", "to_at": "2026-03-05T00:00:00Z"}
    status, told, _ = await owner.call("GET", path, params=span)
    assert (status, told["source"]) == (200, "miner-reported")
    now = furnished.clock.now_us() // 1_000_000
    ends = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    starts = datetime.fromtimestamp(now - 5 * 86_400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"/customers/{furnished.customers[NAME]}/earnings"
    status, earned, _ = await owner.call("GET", path, params={"from_at": starts, "to_at": ends})
    assert (status, earned["currency"]) == (200, "USD")
    assert {day["hashrate_source"] for day in earned["days"]} <= {"measured", "the pool's own figures"}
    assert float(earned["total"]) > 0


async def test_the_evidence_bundle_comes_with_its_hash(owner: Any) -> None:
    _, cases, _ = await owner.call("GET", "/cases")
    status, made, _ = await owner.call("POST", f"/cases/{cases['items'][0]['case_id']}/evidence")
    assert status == 201
    data = base64.b64decode(made["zip_base64"])
    assert data[:2] == b"PK"
    assert hashlib.sha256(data).hexdigest() == made["sha256"]
