"""Earnings by day in the portal: whose word the hashrate is, what the holding pool has, and the same as CSV."""

import csv
import io

import pytest

from hashyard_cloud.services import earnings
from hashyard_cloud.services.earnings import MEASURED, POOL, Earnings
from hashyard_cloud.services.ports.pool_figures import PoolFigureRow
from hashyard_cloud.services.ports.rollups import DAY_US
from hashyard_support.pages import INTERVAL_S, Pages

PRICE = 0.06772


async def mined(pages: Pages, cycles: int = 12) -> None:
    """Two machines of one customer, read for two hours that begin with a whole hour."""
    now_us = pages.clock.now_us()
    pages.move_s(3_600 - now_us / 1e6 % 3_600 + 1)
    site = await pages.site("Pecos North", "PN", "", "UTC", 100)
    units = await pages.units(site, 2, "ridge", "B04")
    await pages.customer("Bluff Ridge Capital LLC", "ops@bluffridge.example")
    await pages.contract("Bluff Ridge Capital LLC", units)
    await pages.roster(site)
    pages.move_s(3_600)
    for _ in range(cycles):
        pages.move_s(INTERVAL_S)
        await pages.cycle(site, pages.clock.now_us())
    await pages.settle()


async def told(pages: Pages) -> Earnings:
    now_us = pages.clock.now_us()
    async with pages.database.reading() as tx:
        customer = await tx.customers.get(pages.organisation_id, pages.customers["Bluff Ridge Capital LLC"])
        assert customer is not None
        return await earnings.report(tx, customer, now_us // DAY_US * DAY_US - DAY_US, now_us + 1)


async def test_measured_hashrate_times_the_hashprice_is_what_a_day_earned(pages: Pages) -> None:
    await mined(pages)
    found = await told(pages)
    hours = sum(day.ths_hours for day in found.days)
    assert 300 < hours < 700, "two machines of 140 and 186 TH/s over one to two hours"
    assert {day.source for day in found.days} == {MEASURED}
    assert found.total_micro / 1e6 == pytest.approx(hours / 24 * PRICE, rel=1e-4)
    async with pages.browser() as owner:
        await owner.post(f"/customers/{pages.customers['Bluff Ridge Capital LLC']}/view-portal", {})
        page = await owner.get("/portal/earnings?range=7d")
        assert "measured" in page
        assert "Holding pool, TH/s" not in page
        rows = list(csv.DictReader(io.StringIO(await owner.get("/portal/earnings.csv?range=7d"))))
    assert sum(float(row["earned"]) for row in rows) == pytest.approx(found.total_micro / 1e6, abs=1e-5)


async def test_what_the_holding_pool_has_is_nobodys_earnings(pages: Pages) -> None:
    await mined(pages, cycles=6)
    before = (await told(pages)).total_micro
    site = pages.sites["PN"]
    for unit in site.units:
        unit.held = True
    for _ in range(6):
        pages.move_s(INTERVAL_S)
        await pages.cycle(site, pages.clock.now_us())
    await pages.settle()
    found = await told(pages)
    assert sum(day.held_ths_hours for day in found.days) > 200
    assert found.total_micro == pytest.approx(before, rel=0.35)
    assert (
        found.total_micro / 1e6 < sum(day.ths_hours + day.held_ths_hours for day in found.days) / 24 * PRICE * 0.7
    )


async def test_the_pools_own_figures_are_taken_where_they_tell_of_every_worker(pages: Pages) -> None:
    await mined(pages)
    days = [day.day for day in (await told(pages)).days]
    workers = [f"ridge.{unit.label.lower()}" for unit in pages.sites["PN"].units]

    async def say(count: int) -> None:
        rows = [
            PoolFigureRow(
                organisation_id=pages.organisation_id,
                pool="pool-a",
                worker=worker,
                day=day,
                hashrate_cths=5_000,
                shares_accepted=None,
                source="pool.csv",
                source_sha256="0" * 64,
                imported_us=0,
            )
            for worker in workers[:count]
            for day in days
        ]
        async with pages.database.transaction() as tx:
            await tx.pool_figures.put(rows)

    await say(1)
    assert {day.source for day in (await told(pages)).days} == {MEASURED}
    await say(2)
    found = await told(pages)
    assert {day.source for day in found.days} == {POOL}
    assert found.days[0].ths_hours == pytest.approx(2 * 50 * 24)
