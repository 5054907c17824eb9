"""RevenueGuard: what mines for nobody is named with since when and what it costs, until somebody decides on it."""

import re

from hashyard_cloud.services.ports.fleet import UnitFilter, UnitView
from hashyard_shared.clock import iso
from hashyard_support.pages import DAY_S, Pages, SeedUnit
from hashyard_support.visitor import Visitor

HASHPRICE = 0.06772
NOTHING = "Every machine that mines is under an active contract."


async def earning(pages: Pages, *, held: int, free: int, **terms: str) -> tuple[list[SeedUnit], list[SeedUnit]]:
    """Units under a contract and units under none, all of which mine now."""
    site = await pages.site("Pecos North", "PN", "Texas", "America/Chicago", 100)
    theirs, nobodys = await pages.units(site, held, "b04", "B04"), await pages.units(site, free, "a01", "A01")
    await pages.customer("Bluff Ridge", "ops@bluffridge.example")
    await pages.contract("Bluff Ridge", theirs, **terms)
    pages.clock.offset_us = 0
    await pages.roster(site)
    await pages.cycle(site, pages.clock.now_us())
    await pages.settle()
    return theirs, nobodys


async def listed(owner: Visitor) -> dict[str, str]:
    """The rows of the page by unit id."""
    text = await owner.get("/revenue-guard")
    rows = re.findall(r"<tr><td.*?</tr>", text, re.DOTALL)
    found = {match[1]: row for row in rows if (match := re.search(r'name="unit_id" value="([^"]+)"', row))}
    assert bool(found) is (NOTHING not in text)
    return found


async def view(pages: Pages, unit: SeedUnit) -> UnitView:
    async with pages.database.reading() as tx:
        wanted = UnitFilter(search=unit.label)
        (found,), _ = await tx.fleet.units(pages.organisation_id, wanted, pages.clock.now_us())
    return found


async def test_what_earns_for_nobody_stands_there_until_it_is_decided_on(pages: Pages) -> None:
    _, (one, two) = await earning(pages, held=1, free=2)
    async with pages.browser() as owner:
        rows = await listed(owner)
        assert set(rows) == {one.unit_id, two.unit_id}
        seen = await view(pages, one)
        assert "assigned to nobody" in rows[one.unit_id]
        assert f'datetime="{iso(seen.state_since_us)}"' in rows[one.unit_id]
        assert seen.hashrate_ths
        assert f"<b>{seen.hashrate_ths * HASHPRICE:.2f}</b>" in rows[one.unit_id]
        form = {"unit_id": one.unit_id, "contract_id": pages.contracts["Bluff Ridge"], "next": "/revenue-guard"}
        await owner.post("/equipment/assign", form)
        assert set(await listed(owner)) == {two.unit_id}
        form = {"unit_id": two.unit_id, "state": "repair", "next": "/revenue-guard"}
        await owner.post("/equipment/release", form)
        assert (await view(pages, two)).hashrate_ths
        assert not await listed(owner)


async def test_a_contract_whose_term_ran_out_leaves_its_units_there_since_its_end(pages: Pages) -> None:
    pages.move_s(-40 * DAY_S)
    (unit,), _ = await earning(pages, held=1, free=0, term_months="1")
    async with pages.database.reading() as tx:
        row = await tx.contracts.get(pages.organisation_id, pages.contracts["Bluff Ridge"])
    assert row is not None
    assert row.ends_us is not None
    async with pages.browser() as owner:
        rows = await listed(owner)
        assert f"{row.number} has ended" in rows[unit.unit_id]
        assert "Bluff Ridge" in rows[unit.unit_id]
        assert f'datetime="{iso(row.ends_us)}"' in rows[unit.unit_id]
        await owner.post("/equipment/release", {"unit_id": unit.unit_id, "state": "repair"})
        assert not await listed(owner)


async def test_a_contract_takes_over_what_an_ended_one_still_holds(pages: Pages) -> None:
    (unit, other), _ = await earning(pages, held=2, free=0)
    await pages.customer("Cedar Compute", "ops@cedar.example")
    (spare,) = await pages.units(pages.sites["PN"], 1, "a02", "A02")
    await pages.contract("Cedar Compute", [spare])
    ended, taker = pages.contracts["Bluff Ridge"], pages.contracts["Cedar Compute"]
    form = {"unit_id": unit.unit_id, "contract_id": taker, "next": "/revenue-guard"}
    async with pages.browser() as owner:
        refused = await owner.post("/equipment/assign", form, 409)
        assert f"{unit.label} is active and cannot be assigned." in refused
        await owner.post(f"/contracts/{ended}/end", {})
        text = await owner.get("/revenue-guard")
        assert f'<option value="{taker}">' in text
        assert f'<option value="{ended}">' not in text
        await owner.post("/equipment/assign", form)
        assert set(await listed(owner)) == {other.unit_id}
    async with pages.database.reading() as tx:
        held = await tx.equipment.open_assignment(pages.organisation_id, unit.unit_id)
    assert held is not None
    assert held.contract_id == taker
