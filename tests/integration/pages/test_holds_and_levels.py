"""Legal holds on a site and on everything; what the holding pool itself says, beside the miners' word."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hashyard_cloud.services.ports.pool_figures import PoolFigureRow
from hashyard_shared.clock import iso
from hashyard_support.pages import Pages
from hashyard_support.visitor import Visitor

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
BLUFF = "Bluff Ridge Capital LLC"


@pytest_asyncio.fixture(loop_scope="module")
async def owner(furnished: Pages) -> AsyncIterator[Visitor]:
    async with furnished.browser() as visitor:
        yield visitor


async def _open_hold(pages: Pages) -> str:
    async with pages.database.reading() as tx:
        rows = await tx.defaults.holds(pages.organisation_id)
    return next(row.hold_id for row in rows if row.lifted_us is None)


@pytest.mark.parametrize("everything", [True, False])
async def test_a_hold_on_a_site_or_on_everything_shuts_the_gate_at_once_and_is_lifted(
    furnished: Pages, owner: Visitor, everything: bool
) -> None:
    where = "everything" if everything else furnished.sites["PN"].site_id
    gate = f"/customers/{furnished.customers[BLUFF]}/default"
    assert "Say why" in await owner.post("/legal-holds", {"where": where, "reason": " "}, 422)
    await owner.post("/legal-holds", {"where": where, "reason": "Order of the court"})
    page = await owner.get("/legal-holds")
    assert "Order of the court" in page
    assert ("Everything" if everything else "Pecos North") in page
    assert "Order of the court" in await owner.get(gate)
    hold_id = await _open_hold(furnished)
    await owner.post(f"/legal-holds/{hold_id}/lift", {"reason": ""}, 422)
    await owner.post(f"/legal-holds/{hold_id}/lift", {"reason": "The order was withdrawn"})
    page = await owner.get("/legal-holds")
    assert "The order was withdrawn" in page
    assert "No legal hold is in force" in page
    async with furnished.database.reading() as tx:
        lines = [row.action for row in await tx.activity.all(furnished.organisation_id, limit=10)]
    assert {"legal-hold.placed", "legal-hold.lifted"} <= set(lines)


async def test_the_pools_own_figures_are_labelled_as_such(furnished: Pages, owner: Visitor) -> None:
    address = f"/customers/{furnished.customers[BLUFF]}/default"
    assert "no figures of it were imported" in await owner.get(address)
    async with furnished.database.transaction() as tx:
        units = await tx.redirects.units(furnished.organisation_id)
        worker = next(row.active_worker for row in units if row.active_worker)
        figure = PoolFigureRow(
            organisation_id=furnished.organisation_id,
            pool="caprock",
            worker=worker,
            day=iso(furnished.clock.now_us())[:10],
            hashrate_cths=9_870,
            shares_accepted=123_456,
            source="pool-export.csv",
            source_sha256="0" * 64,
            imported_us=furnished.clock.now_us(),
        )
        await tx.pool_figures.put([figure])
    text = await owner.get(address)
    assert "The pool says" in text
    assert "98.7" in text
    assert "Level 5 is the holding pool's own word, from pool-export.csv" in text
