"""O&M contracts through the forms: sites and services instead of units, dated, with a card of their own."""

import re
from typing import Final

from hashyard_cloud.services.ports.contracts import ContractState
from hashyard_support.pages import Pages
from hashyard_support.visitor import Visitor

TERMS: Final = {
    "kind": "operations",
    "currency": "USD",
    "billing_basis": "fixed",
    "fixed_monthly": "1",
    "notice_days": "30",
    "due": "15 d",
    "grace": "15 d",
    "cure": "10 d",
    "minimum_uptime_percent": "95",
}


async def drafted(pages: Pages, owner: Visitor) -> str:
    """A draft of an O&M contract, at the wizard's second step."""
    await pages.customer("Prairie Hash", "ops@prairie.example")
    form = TERMS | {"customer_id": pages.customers["Prairie Hash"]}
    text = await owner.post("/contracts/new", form)
    found = re.search(r"/contracts/([0-9a-f-]{36})/discard", text)
    assert found, text[:2_000]
    assert "Sites and services" in text
    return found.group(1)


async def test_an_operations_contract_is_set_up_with_sites_and_services(pages: Pages) -> None:
    one = await pages.site("Pecos North", "PN", "Texas", "America/Chicago", 400)
    two = await pages.site("Rook Creek", "RC", "", "America/Chicago", 260)
    async with pages.browser() as owner:
        contract_id = await drafted(pages, owner)
        path = f"/contracts/{contract_id}/sites"
        nothing = await owner.post(path, {"complete": "1"}, 422)
        assert "Select at least one site" in nothing
        typed = [
            ("site_ids", one.site_id),
            ("service_name", "Technician <b>24/7</b>"),
            ("service_monthly", "-5"),
            ("service_site_id", ""),
            ("complete", "1"),
        ]
        wrong = await owner.post(path, typed, 422)
        assert "Technician &lt;b&gt;24/7&lt;/b&gt;" in wrong
        assert 'value="-5"' in wrong
        assert "Give at least 0" in wrong
        typed[2] = ("service_monthly", "2500")
        done = await owner.post(path, typed)
        assert "$2,500.00" in done
        overview = await owner.get(f"/customers/{pages.customers['Prairie Hash']}")
        assert "Assigned sites" in overview
        pages.move_s(600)
        more = [("site_ids", one.site_id), ("site_ids", two.site_id)]
        more += [("service_name", "Security"), ("service_monthly", "900"), ("service_site_id", two.site_id)]
        await owner.post(path, more)
        await owner.post(path, [("site_ids", "nowhere")], 422)
    async with pages.database.reading() as tx:
        row = await tx.contracts.get(pages.organisation_id, contract_id)
        services = await tx.contract_sites.services(pages.organisation_id, contract_id)
        sites = await tx.contract_sites.of_customer(pages.organisation_id, pages.customers["Prairie Hash"])
    assert row is not None
    assert row.state is ContractState.ACTIVE
    assert [(one.name[:5], one.monthly_micro, one.to_us is None) for one in services] == [
        ("Techn", 2_500_000_000, False),
        ("Secur", 900_000_000, True),
    ]
    assert services[0].from_us == row.starts_us
    assert len(sites) == 2
    async with pages.browser() as owner:
        await owner.post(f"/customers/{pages.customers['Prairie Hash']}/view-portal", {})
        shown = await owner.get("/portal/contracts")
        assert "Security" in shown
        assert "Technician" not in shown


async def test_other_contracts_have_no_sites(pages: Pages) -> None:
    site = await pages.site("Pecos North", "PN", "", "UTC", 10)
    units = await pages.units(site, 1, "x", "A")
    await pages.customer("Prairie Hash", "ops@prairie.example")
    contract_id = await pages.contract("Prairie Hash", units)
    async with pages.browser() as owner:
        await owner.post(f"/contracts/{contract_id}/sites", [("site_ids", site.site_id)], 200)
        assert "Assigned sites" not in await owner.get(f"/customers/{pages.customers['Prairie Hash']}")
        shown = await owner.get(f"/contracts/{contract_id}")
        assert "At its end" in shown
    async with pages.database.reading() as tx:
        assert await tx.contract_sites.sites(pages.organisation_id, contract_id) == []
