"""Actions on many units: asked first, told row by row, undone for a while, and never another host's."""

import asyncio
import re
from typing import Final

from hashyard_cloud.services import bulk
from hashyard_cloud.services.ports.bulk import BulkState, RowState
from hashyard_cloud.services.ports.equipment import UnitRow, UnitState
from hashyard_cloud.web.background import BACKGROUND
from hashyard_support.pages import Pages, SeedSite
from hashyard_support.visitor import Visitor

PATIENCE_S: Final = 60


async def furnished_site(pages: Pages, count: int = 4) -> SeedSite:
    site = await pages.site("Pecos North", "PN", "", "America/Chicago", 400)
    await pages.units(site, count, "w", "A01")
    return site


async def asked(visitor: Visitor, form: list[tuple[str, str]]) -> str:
    """The action's id, from the page that asks."""
    page = await visitor.post("/bulk", form)
    found = re.search(r'action="/bulk/([0-9a-f-]+)/run"', page)
    assert found, page[-3_000:]
    return found.group(1)


async def unit(pages: Pages, unit_id: str) -> UnitRow:
    async with pages.database.reading() as tx:
        row = await tx.equipment.get(pages.organisation_id, unit_id)
    assert row is not None
    return row


async def texts(pages: Pages) -> list[str]:
    async with pages.database.reading() as tx:
        return [line.text for line in await tx.activity.all(pages.organisation_id, limit=20)]


async def test_nothing_happens_before_it_is_confirmed_and_all_of_it_can_be_undone(pages: Pages) -> None:
    site = await furnished_site(pages)
    chosen = [("unit_id", one.unit_id) for one in site.units]
    async with pages.browser() as visitor:
        bulk_id = await asked(visitor, [("action", "status"), ("state", "repair"), *chosen])
        assert (await unit(pages, site.units[0].unit_id)).state is UnitState.STAGED
        page = await visitor.post(f"/bulk/{bulk_id}/run", {})
        assert "4 done" in page
        assert (await unit(pages, site.units[3].unit_id)).state is UnitState.REPAIR
        assert "4 units set to repair" in await texts(pages)
        page = await visitor.post(f"/bulk/{bulk_id}/undo", {})
        assert "4 undone" in page
        assert (await unit(pages, site.units[0].unit_id)).state is UnitState.STAGED
        assert "4 units: status undone" in await texts(pages)
        await visitor.post(f"/bulk/{bulk_id}/undo", {}, 409)
        await visitor.post(f"/bulk/{bulk_id}/run", {}, 409)
        assert bulk_id in await visitor.get("/bulk")


async def test_each_row_has_its_own_result(pages: Pages) -> None:
    site = await furnished_site(pages)
    await pages.customer("Bluff Ridge", "ops@bluffridge.example")
    await pages.contract("Bluff Ridge", site.units[:1])
    chosen = [("unit_id", one.unit_id) for one in site.units]
    target = ("contract_id", pages.contracts["Bluff Ridge"])
    async with pages.browser() as visitor:
        bulk_id = await asked(visitor, [("action", "assign"), target, *chosen])
        page = await visitor.post(f"/bulk/{bulk_id}/run", {})
        assert "3 done, 1 refused" in page
        assert "is active and cannot be assigned" in await visitor.get(f"/bulk/{bulk_id}?only=refused")
        await visitor.post(f"/bulk/{bulk_id}/undo", {})
    async with pages.database.reading() as tx:
        held = await tx.equipment.open_assignment(pages.organisation_id, site.units[0].unit_id)
        freed = await tx.equipment.assignments(pages.organisation_id, unit_id=site.units[1].unit_id)
    assert held is not None
    assert freed[0].to_us is not None
    assert freed[0].ended_by.endswith("undone")


async def test_ending_assignments_is_undone_by_assigning_again(pages: Pages) -> None:
    site = await furnished_site(pages)
    await pages.customer("Bluff Ridge", "ops@bluffridge.example")
    await pages.contract("Bluff Ridge", site.units)
    async with pages.browser() as visitor:
        form = [("action", "status"), ("state", "unassigned"), ("all", "1"), ("listed", "/equipment?q=PN-A01")]
        bulk_id = await asked(visitor, form)
        assert "4 done" in await visitor.post(f"/bulk/{bulk_id}/run", {})
        await visitor.post(f"/bulk/{bulk_id}/undo", {})
    async with pages.database.reading() as tx:
        rows = await tx.equipment.assignments(pages.organisation_id, unit_id=site.units[2].unit_id)
    assert [row.to_us is None for row in rows] == [True, False]


async def test_what_changed_since_is_left_as_it_is(pages: Pages) -> None:
    site = await furnished_site(pages, 2)
    other = await pages.site("Rook Creek", "RC", "", "America/Chicago", 400)
    chosen = [("unit_id", one.unit_id) for one in site.units]
    async with pages.browser() as visitor:
        bulk_id = await asked(visitor, [("action", "move"), ("to_site", other.site_id), *chosen])
        assert "2 done" in await visitor.post(f"/bulk/{bulk_id}/run", {})
        await visitor.post("/equipment/release", {"unit_id": site.units[0].unit_id, "state": "repair"})
        page = await visitor.post(f"/bulk/{bulk_id}/undo", {})
        assert "1 undone" in page
        assert "It changed since, and was left as it is." in page
    assert (await unit(pages, site.units[0].unit_id)).site_id == other.site_id
    assert (await unit(pages, site.units[1].unit_id)).site_id == site.site_id


async def test_adoption_is_undone_while_nobody_has_the_unit(pages: Pages) -> None:
    site = await furnished_site(pages, 1)
    await pages.roster(site, extra=3)
    await pages.settle()
    async with pages.browser() as visitor:
        form = [("action", "adopt"), ("prefix", "NEW"), ("all", "1"), ("listed", "/equipment/found")]
        bulk_id = await asked(visitor, form)
        assert "3 done" in await visitor.post(f"/bulk/{bulk_id}/run", {})
        assert "NEW-" in await visitor.get("/equipment?state=unassigned")
        assert "3 undone" in await visitor.post(f"/bulk/{bulk_id}/undo", {})
        assert "3 miners" in await visitor.get("/equipment/found")


async def test_many_rows_go_on_behind_the_request_and_a_stop_loses_nothing(pages: Pages) -> None:
    site = await furnished_site(pages, bulk.PIECE_ROWS + 20)
    chosen = [("unit_id", one.unit_id) for one in site.units]
    async with pages.browser() as visitor, asyncio.timeout(PATIENCE_S):
        bulk_id = await asked(visitor, [("action", "status"), ("state", "repair"), *chosen])
        # As if the service had stopped after the first piece.
        await bulk.begin(pages.database, pages.clock, pages.organisation_id, bulk_id)
        await bulk.piece(pages.database, pages.clock, pages.actor, pages.organisation_id, bulk_id)
        assert "100 of 120 done" in await visitor.get(f"/bulk/{bulk_id}/progress")
        await visitor.post(f"/bulk/{bulk_id}/run", {}, 409)
        pages.move_s(bulk.STALLED_US / 1e6 + 1)
        assert "Continue" in await visitor.get(f"/bulk/{bulk_id}")
        await visitor.post(f"/bulk/{bulk_id}/run", {})
        await pages.app[BACKGROUND].settled()
        async with pages.database.reading() as tx:
            row = await bulk.get(tx, pages.organisation_id, bulk_id)
            counts = await tx.bulk.counts(pages.organisation_id, bulk_id)
    assert row.state is BulkState.DONE
    assert counts == {RowState.DONE: bulk.PIECE_ROWS + 20}


async def test_the_way_back_closes(pages: Pages) -> None:
    site = await furnished_site(pages, 1)
    async with pages.browser() as visitor:
        form = [("action", "status"), ("state", "repair"), ("unit_id", site.units[0].unit_id)]
        bulk_id = await asked(visitor, form)
        await visitor.post(f"/bulk/{bulk_id}/run", {})
        pages.move_s(bulk.UNDO_US / 1e6 + 1)
        assert "/undo" not in await visitor.get(f"/bulk/{bulk_id}")
        await visitor.post(f"/bulk/{bulk_id}/undo", {}, 409)


async def test_what_makes_no_sense_is_refused_with_its_field(pages: Pages) -> None:
    site = await furnished_site(pages, 1)
    chosen = ("unit_id", site.units[0].unit_id)
    async with pages.browser() as visitor:
        for form in (
            [("action", "explode"), chosen],
            [("action", "status"), ("state", "repair")],
            [("action", "status"), ("state", "active"), chosen],
            [("action", "move"), ("to_site", "nowhere"), chosen],
            [("action", "assign"), ("contract_id", ""), chosen],
            [("action", "adopt"), ("prefix", "x" * 90), ("miner_id", "mac:02:00")],
        ):
            await visitor.post("/bulk", form, 422)
