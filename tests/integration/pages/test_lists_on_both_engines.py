"""Every shape of list, order and sum gives the same on SQLite and on PostgreSQL."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashyard_cloud.services.ports.fleet import Health, TotalsBy, UnitFilter, UnitSort
from hashyard_cloud.services.ports.listings import ListFilter
from hashyard_cloud.storage.database import SqlDatabase
from hashyard_support.pages import Pages, running

pytestmark = pytest.mark.timeout(180)


async def filled(pages: Pages) -> None:
    pages.organisation_id = await pages.host(slug="caprock")
    site = await pages.site("Pecos North", "PN", "Texas", "America/Chicago", 400)
    units = await pages.units(site, 14, "w", "A01")
    for place, name in enumerate(("Bluff Ridge", "Cedar Compute")):
        await pages.customer(name, f"ops{place}@example.com")
        await pages.contract(name, units[place * 4 : place * 4 + 4])
        await pages.invoice(name, "100.00")
    await pages.roster(site, extra=3)
    await pages.cycle(site, pages.clock.now_us(), dead=2)
    await pages.settle()


def filters(pages: Pages) -> list[UnitFilter]:
    customer_id, contract_id = pages.customers["Bluff Ridge"], pages.contracts["Bluff Ridge"]
    site_id = pages.sites["PN"].site_id
    found = [UnitFilter(sort=sort, descending=down) for sort in UnitSort for down in (False, True)]
    found += [UnitFilter(sort=sort, limit=3, offset=6) for sort in UnitSort]
    return [
        *found,
        UnitFilter(site_id=site_id, lifecycle="active"),
        UnitFilter(customer_id=customer_id, contract_id=contract_id, sort=UnitSort.CUSTOMER),
        UnitFilter(health=Health.DEGRADED),
        UnitFilter(below_expected=True, sort=UnitSort.ATTENTION),
        UnitFilter(assigned=True),
        UnitFilter(assigned=False, assignable=True),
        UnitFilter(search="cedar"),
        UnitFilter(search="JYZZPN00001", limit=2),
        UnitFilter(search="100%_\\"),
        UnitFilter(offset=50),
    ]


async def answers(pages: Pages) -> list[Any]:
    """Labels and counts of everything that is listed."""
    now_us, organisation_id = pages.clock.now_us(), pages.organisation_id
    told: list[Any] = []
    async with pages.database.reading() as tx:
        for wanted in filters(pages):
            rows, total = await tx.fleet.units(organisation_id, wanted, now_us)
            # Readings differ a little from run to run, so which of them come first is not compared.
            whole = total == len(rows)
            labels = sorted((row.label, row.health, row.hashrate_ths is None) for row in rows) if whole else []
            told.append((wanted.sort, total, len(rows), labels))
            if wanted.sort is UnitSort.LABEL:
                told.append([row.label for row in rows])
            told.append(len(await tx.fleet.unit_ids(organisation_id, wanted, now_us)))
        for by in TotalsBy:
            sums = await tx.fleet.totals(organisation_id, by, now_us)
            told.append(sorted((one.units, one.known, one.online, one.degraded) for one in sums.values()))
        for search in ("", "new0", "nothing"):
            found, total = await tx.fleet.found(
                organisation_id, now_us, site_id=pages.sites["PN"].site_id, search=search, limit=2, offset=1
            )
            told.append((total, len(found)))
        for search in ("", "cedar", "-0001", "nothing"):
            listed = ListFilter(search=search)
            contracts = await tx.listings.contracts(organisation_id, listed)
            invoices = await tx.listings.invoices(organisation_id, listed)
            customers = await tx.listings.customers(organisation_id, search, 5)
            told += [(len(rows), total) for rows, total in (contracts, invoices)]
            told.append((len(customers[0]), customers[1]))
        told += [await tx.listings.contract_counts(organisation_id), len(await numbers(tx, pages))]
    return told


async def numbers(tx: Any, pages: Pages) -> list[int]:
    found: list[int] = await tx.fleet.miner_nos(pages.organisation_id, customer_id=pages.customers["Bluff Ridge"])
    return found


async def test_both_engines_list_alike(tmp_path: Path, postgresql: Callable[[], str]) -> None:
    told = []
    for name, dsn in (("lite", None), ("postgres", postgresql())):
        async with running(tmp_path / name, database_dsn=dsn) as pages:
            assert isinstance(pages.database, SqlDatabase)
            assert pages.database.is_sqlite is (dsn is None)
            await filled(pages)
            told.append(await answers(pages))
    assert told[0] == told[1]
