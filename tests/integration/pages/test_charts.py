"""Charts of miners, customers and sites: figures, ranges, own times, gaps, and the file of the same."""

import csv
import io
import json
from typing import Any, Final

import pytest

from hashyard_cloud.errors import MalformedError
from hashyard_cloud.web.chart_ranges import custom
from hashyard_shared.clock import US_PER_S, utc
from hashyard_support.pages import Pages
from hashyard_support.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")
REDIRECTED: Final = "Bluff Ridge Capital LLC"
METRICS: Final = ("hashrate", "temperature", "power", "uptime")


def addresses(pages: Pages) -> list[str]:
    return [
        "/fleet/chart",
        f"/sites/{pages.sites['PN'].site_id}/chart",
        f"/customers/{pages.customers[REDIRECTED]}/chart",
        f"/equipment/{pages.sites['PN'].units[0].unit_id}/chart",
    ]


async def drawn(visitor: Visitor, address: str, query: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await visitor.get(f"{address}.json?{query}"))
    return found


async def test_every_figure_in_every_range_has_values_and_the_file_shows_the_same(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        for address in addresses(furnished):
            for metric in METRICS:
                for range_ in ("24h", "7d", "30d"):
                    query = f"range={range_}&metric={metric}"
                    chart = await drawn(visitor, address, query)
                    assert any(value is not None for value in chart["v"][0]), (address, query)
                    rows = list(csv.reader(io.StringIO(await visitor.get(f"{address}.csv?{query}"))))[1:]
                    figures = [None if row[1] == "" else float(row[1]) for row in rows]
                    assert figures == chart["v"][0], (address, query)


async def test_what_was_not_seen_is_a_gap_and_never_zero(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        for metric in METRICS:
            chart = await drawn(visitor, addresses(furnished)[1], f"range=7d&metric={metric}")
            assert chart["v"][0][0] is None
            assert 0 not in chart["v"][0]
            assert chart["bands"][0]["kind"] == "gap"


async def test_a_redirect_is_shaded_on_every_figure(furnished: Pages) -> None:
    async with furnished.browser() as visitor:
        for metric in METRICS:
            chart = await drawn(visitor, addresses(furnished)[2], f"range=24h&metric={metric}")
            assert "redirected" in {band["kind"] for band in chart["bands"]}


async def test_times_of_ones_own_are_in_the_sites_zone(furnished: Pages) -> None:
    span = custom("2026-03-01T00:00", "2026-03-02T00:00", furnished.clock.now_us(), "America/Chicago")
    assert utc(span.from_us).hour == 6
    async with furnished.browser() as visitor:
        chart = await drawn(
            visitor, addresses(furnished)[1], "range=custom&from=2026-03-01T00:00&to=2026-03-02T00:00"
        )
        assert chart["from"] == span.from_us // US_PER_S
        assert chart["to"] == span.to_us // US_PER_S


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("2026-03-02T00:00", "2026-03-01T00:00", "to"),
        ("yesterday", "2026-03-01T00:00", "from"),
        ("2026-03-01T00:00", "", "to"),
        ("1969-03-01T00:00", "2026-03-01T00:00", "from"),
        ("2020-03-01T00:00", "2026-03-01T00:00", "from"),
        ("8999-03-01T00:00", "8999-03-02T00:00", "from"),
    ],
)
async def test_a_range_that_cannot_be_is_refused_with_its_field(first: str, last: str, field: str) -> None:
    with pytest.raises(MalformedError) as caught:
        custom(first, last, 1_790_000_000 * US_PER_S, "America/Chicago")
    assert caught.value.field == field


async def test_a_page_keeps_what_was_typed_and_says_what_is_wrong(furnished: Pages) -> None:
    path = f"/sites/{furnished.sites['PN'].site_id}"
    query = "range=custom&from=2026-03-02T00%3A00&to=2026-03-01T00%3A00"
    async with furnished.browser() as visitor:
        page = await visitor.get(f"{path}?{query}")
        assert "The end must be after the beginning." in page
        assert 'value="2026-03-02T00:00"' in page
        await visitor.get(f"{path}/chart.json?{query}", 422)
