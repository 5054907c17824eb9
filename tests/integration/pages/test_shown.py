"""What pages show of a host that is lived in."""

import csv
import io
import json

import pytest

from hashyard_support.pages import Pages

# The furnished host is made once, within the first test.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
REDIRECTED = "Bluff Ridge Capital LLC"
DISPUTED = "Cedar Compute LLC"


async def test_the_status_bar_counts_what_is_confirmed(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        bar = await visitor.get(f"/customers/{furnished.customers[REDIRECTED]}/status-bar")
    assert 'data-status="pool-redirected"' in bar
    assert "<b>22 of 24</b> confirmed (level 3+)" in bar
    assert "<b>$9,330.00</b>" in bar


async def test_the_list_counts_every_status_and_filters_by_it(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        text = await visitor.get("/customers")
        assert "Pool Redirected <b>1</b>" in text
        assert "In Default <b>1</b>" in text
        assert "Inactive <b>1</b>" in text
        only = await visitor.get("/customers?status=in-default")
        assert DISPUTED in only
        assert REDIRECTED not in only
        nothing = await visitor.get("/customers?q=nobody")
        assert "Clear filters" in nothing


async def test_the_default_page_shows_each_condition_and_each_exception(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        redirected = await visitor.get(f"/customers/{furnished.customers[REDIRECTED]}/default")
        disputed = await visitor.get(f"/customers/{furnished.customers[DISPUTED]}/default")
    assert "Restore now" in redirected
    assert "Refused: password unknown" in redirected
    assert redirected.index("Refused: password unknown") < redirected.index("PN-B04-02-12")
    assert "Meter readings of September" in disputed
    assert "Restore now" not in disputed


async def test_unreachable_and_stopped_are_never_the_same(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        text = await visitor.get("/equipment?sort=attention&below=1")
    assert "no data" in text
    assert "Unreachable" in text
    assert "Degraded" in text


async def test_a_gap_stays_a_gap_in_chart_and_csv(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        chart = json.loads(await visitor.get("/fleet/chart.json?range=24h"))
        rows = list(csv.reader(io.StringIO(await visitor.get("/fleet/chart.csv?range=24h"))))
    assert len(chart["t"]) == len(chart["v"][0]) == 144
    assert None in chart["v"][0]
    assert 0 not in chart["v"][0]
    assert len(rows) == 145
    assert any(row[1] == "" for row in rows[1:])
    assert any(row[1] not in {"", "0"} for row in rows[1:])


async def test_the_redirect_splits_the_customers_hashrate_by_destination(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        path = f"/customers/{furnished.customers[REDIRECTED]}/chart.json?range=1h"
        chart = json.loads(await visitor.get(path))
    assert any(band["kind"] == "redirected" for band in chart["bands"])
    own = [value for value in chart["v"][0] if value is not None]
    held = [value for value in chart["v"][1] if value is not None]
    assert held
    assert sum(held) > 5 * sum(own)


async def test_exports_hold_what_the_list_shows(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        site_id = furnished.sites["PN"].site_id
        rows = list(csv.DictReader(io.StringIO(await visitor.get(f"/equipment.csv?site={site_id}"))))
    assert len(rows) == len(furnished.sites["PN"].units)
    assert {row["site"] for row in rows} == {"Pecos North"}


async def test_search_opens_a_single_hit(furnished: Pages) -> None:
    async with furnished.browser() as visitor, visitor.http.get("/search", params={"q": "JYZZPN000003"}) as answer:
        assert answer.url.path == f"/equipment/{furnished.sites['PN'].units[2].unit_id}"


async def test_times_show_in_the_zone_with_utc_on_hover(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        text = await visitor.get(f"/sites/{furnished.sites['AF'].site_id}")
    assert "America/Denver" in text
    assert ' UTC">' in text
