import html
import re

import pytest

from hashyard_cloud.errors import ConflictError
from hashyard_cloud.services.contracts import TermsInput
from hashyard_cloud.services.inputs import InputError, read
from hashyard_cloud.services.ports.equipment import AssignmentRow, UnitState
from hashyard_support.pages import Pages
from hashyard_support.visitor import Visitor

NEW_CUSTOMER = {"name": "Prairie Hash", "email": "Board@Prairie.example", "currency": "USD", "active": "1"}


async def new_site(visitor: Visitor) -> str:
    text = await visitor.post("/sites/new", {"name": "Hall One", "timezone": "America/Denver", "currency": "USD"})
    found = re.search(r"/sites/([0-9a-f-]{36})/edit", text)
    assert found
    return found[1]


async def add_customer(visitor: Visitor, **more: str) -> str:
    text = await visitor.post("/customers/new", NEW_CUSTOMER | more)
    found = re.search(r"/customers/([0-9a-f-]{36})/edit", text)
    assert found
    return found[1]


async def test_adding_a_customer_leads_to_the_page_and_tells_nobody(pages: Pages) -> None:
    async with pages.browser() as visitor:
        text = await visitor.post("/customers/new", NEW_CUSTOMER | {"notes": "Ünïcode ☃"})
        assert "<h1>Prairie Hash</h1>" in text
        assert "board@prairie.example" in text
        assert "portal access off" in text
        assert "Ünïcode ☃" in text
        assert "No e-mail was written yet" in await visitor.get("/mailbox")


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"name": ""}, "name", "Fill this in"),
        ({"email": "not an address"}, "email", "name@example.com"),
        ({"email": "a@b@c.example"}, "email", "name@example.com"),
        ({"billing_email": "x"}, "billing_email", "name@example.com"),
        ({"currency": "dollars"}, "currency", ""),
        ({"name": "x" * 1_000_000}, "name", "at most 120 characters"),
        ({"notes": "x" * 1_000_000}, "notes", "at most 4,000 characters"),
        ({"phone": "\x00\x01"}, "phone", "control characters"),
    ],
)
async def test_a_wrong_field_is_named_and_what_was_typed_is_kept(
    pages: Pages, form: dict[str, str], field: str, words: str
) -> None:
    async with pages.browser() as visitor:
        text = await visitor.post("/customers/new", NEW_CUSTOMER | {"company": "Kept & Sons"} | form, 422)
        assert f'id="{field}-error"' in text
        assert words in html.unescape(text)
        assert "Kept &amp; Sons" in text
        assert f'id="f-{field}"' in text


async def test_switching_portal_access_off_is_shown(pages: Pages) -> None:
    async with pages.browser() as visitor:
        customer_id = await add_customer(visitor, portal_access="1")
        assert "portal access on" in await visitor.get(f"/customers/{customer_id}")
        text = await visitor.post(f"/customers/{customer_id}/edit", NEW_CUSTOMER)
        assert "portal access off" in text
        assert "Changed: portal access" in await visitor.get(f"/customers/{customer_id}/activity")


async def test_the_wizard_goes_from_terms_to_an_active_contract(pages: Pages) -> None:
    async with pages.browser() as visitor:
        site_id = await new_site(visitor)
        customer_id = await add_customer(visitor)
        for number in range(3):
            unit = {"site_id": site_id, "label": f"A-{number}", "mac": f"02:00:00:00:00:0{number}"}
            await visitor.post("/equipment/new", unit)
        terms = {"customer_id": customer_id, "kind": "hosted", "rate": "0.078", "due": "15 d", "grace": "2 min"}
        text = await visitor.post("/contracts/new", terms)
        assert "Assign units" in text
        contract = re.search(r"/contracts/([0-9a-f-]{36})/terms", text)
        assert contract
        again = await visitor.post(f"/contracts/{contract[1]}/units", {}, 422)
        assert "Select at least one unit" in again
        chosen = re.findall(r'name="unit_id" value="([^"]+)"', text)[:2]
        done = await visitor.post(f"/contracts/{contract[1]}/units", [("unit_id", one) for one in chosen])
        assert "is active with 2 units" in done
        assert "15 d / 2 min" in done.replace("15 d / 2 min /", "15 d / 2 min")
        equipment = await visitor.get(f"/customers/{customer_id}/equipment")
        assert "A-0" in equipment
        assert "1 are staged or unassigned" in equipment


async def test_new_terms_are_dated_and_the_old_ones_stay(pages: Pages) -> None:
    async with pages.browser() as visitor:
        site_id = await new_site(visitor)
        customer_id = await add_customer(visitor)
        await visitor.post("/equipment/new", {"site_id": site_id, "label": "A-1"})
        terms = {"customer_id": customer_id, "kind": "hosted", "rate": "0.078"}
        text = await visitor.post("/contracts/new", terms)
        contract = re.search(r"/contracts/([0-9a-f-]{36})/terms", text)
        unit = re.search(r'name="unit_id" value="([^"]+)"', text)
        assert contract
        assert unit
        path = f"/contracts/{contract[1]}"
        await visitor.post(f"{path}/units", {"unit_id": unit[1]})
        pages.move_s(60)
        page = await visitor.post(f"{path}/terms", {"kind": "hosted", "rate": "0.0812"})
        assert "$0.0812" in page
        assert "$0.0780" in page
        clause = {"kind": "hosted", "rate": "0.0812", "redirect_clause": "", "redirect_clause_given": "1"}
        text = await visitor.post(f"{path}/terms", clause, 422)
        assert 'id="redirect_clause-error"' in text


async def test_two_owners_at_once_are_impossible_in_the_database(pages: Pages) -> None:
    async with pages.browser() as visitor:
        await new_site(visitor)
    site = await pages.site("Second", "SE", "", "UTC", 10)
    (unit,) = await pages.units(site, 1, "w", "A01")
    await pages.customer("One", "one@example.com")
    await pages.customer("Two", "two@example.com")
    await pages.contract("One", [unit])
    (other,) = await pages.units(site, 1, "w", "A02")
    second = await pages.contract("Two", [other])
    row = AssignmentRow(
        assignment_id="forced",
        organisation_id=pages.organisation_id,
        unit_id=unit.unit_id,
        contract_id=second,
        customer_id=pages.customers["Two"],
        from_us=1,
        to_us=None,
        ended_by="",
    )
    with pytest.raises(ConflictError):
        async with pages.database.transaction() as tx:
            await tx.equipment.assign(row)
    async with pages.browser() as visitor:
        text = await visitor.post("/equipment/assign", {"contract_id": second, "unit_id": unit.unit_id}, 409)
        assert "cannot be assigned" in text


async def test_ending_an_assignment_dates_it_and_frees_the_unit(pages: Pages) -> None:
    site = await pages.site("Hall", "HA", "", "UTC", 10)
    (unit,) = await pages.units(site, 1, "w", "A01")
    await pages.customer("One", "one@example.com")
    await pages.contract("One", [unit])
    pages.move_s(3_600)
    async with pages.browser() as visitor:
        await visitor.post("/equipment/release", {"unit_id": unit.unit_id, "state": "repair"})
        page = await visitor.get(f"/equipment/{unit.unit_id}")
        assert "Taken from One" in page
        assert "Assigned to One" in page
    async with pages.database.reading() as tx:
        (held,) = await tx.equipment.assignments(pages.organisation_id, unit_id=unit.unit_id)
        row = await tx.equipment.get(pages.organisation_id, unit.unit_id)
    assert held.to_us is not None
    assert held.to_us > held.from_us
    assert row is not None
    assert row.state is UnitState.REPAIR


async def test_a_payment_sent_twice_is_recorded_once(pages: Pages) -> None:
    site = await pages.site("Hall", "HA", "", "UTC", 10)
    units = await pages.units(site, 1, "w", "A01")
    await pages.customer("One", "one@example.com")
    await pages.contract("One", units)
    await pages.invoice("One", "120.00")
    path = f"/customers/{pages.customers['One']}/payments/new"
    async with pages.browser() as visitor:
        key = re.search(r'name="key" value="([^"]+)"', await visitor.get(path))
        assert key
        form = {"key": key[1], "amount": "100.00", "method": "transfer"}
        await visitor.post(path, form)
        text = await visitor.post(path, form)
        assert text.count("$100.00") == 1
        assert "$20.00" in text
        assert 'id="amount-error"' in await visitor.post(path, form | {"key": "other", "amount": "-5"}, 422)


async def test_numbers_left_blank_are_none_and_wrong_ones_are_named(pages: Pages) -> None:
    blank = {"power_cap_kw": "", "term_months": " ", "spec_hashrate_ths": "", "spec_quantity": ""}
    blank["connector_fee_percent"] = ""
    terms = read(TermsInput, blank)
    assert (terms.power_cap_kw, terms.term_months, terms.spec_hashrate_ths) == (None, None, None)
    with pytest.raises(InputError) as raised:
        read(TermsInput, {"power_cap_kw": "-1", "term_months": "1.5", "spec_quantity": "x"})
    assert set(raised.value.errors) == {"power_cap_kw", "term_months", "spec_quantity"}
    site = await pages.site("Pecos North", "PN", "", "UTC", 10)
    async with pages.browser() as owner:
        form = {"site_id": site.site_id, "label": "B-1", "expected_hashrate_ths": "", "nameplate_w": ""}
        assert "B-1" in await owner.post("/equipment/new", form)
        wrong = await owner.post("/equipment/new", form | {"label": "Żółw", "nameplate_w": "-4"}, 422)
        assert "Give at least 0" in wrong
        assert "Żółw" in wrong


async def test_a_site_keeps_its_taxes_and_every_decimal_of_its_price(pages: Pages) -> None:
    form = {"name": "Hall Two", "timezone": "UTC", "currency": "USD", "energy_price": "0.041255"}
    async with pages.browser() as owner:
        wrong = await owner.post("/sites/new", form | {"tax_percent": "-8"}, 422)
        assert "Give at least 0" in wrong
        await owner.post("/sites/new", form | {"tax_percent": "8.25"})
        async with pages.database.reading() as tx:
            (site,) = await tx.sites.all(pages.organisation_id)
        assert (site.tax_bp, site.energy_price_micro) == (825, 41_255)
        shown = await owner.get(f"/sites/{site.site_id}/edit")
        assert 'value="0.041255"' in shown
        assert 'value="8.25"' in shown
