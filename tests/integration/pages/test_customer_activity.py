"""A customer's Activity tab: only what concerns them, by what it was about, on the page and as CSV."""

import csv
import io
import re

import pytest

from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import ActivityRow
from hashyard_support.pages import Pages

pytestmark = pytest.mark.asyncio(loop_scope="module")
THEIRS, OTHERS = "Bluff Ridge Capital LLC", "Cedar Compute LLC"


async def recorded(furnished: Pages, name: str) -> list[ActivityRow]:
    async with furnished.database.reading() as tx:
        customer_id = furnished.customers[name]
        return await tx.activity.all(furnished.organisation_id, customer_id=customer_id, limit=10_000)


async def exported(furnished: Pages, address: str) -> list[dict[str, str]]:
    async with furnished.browser() as owner, owner.http.get(address) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/csv"
        return list(csv.DictReader(io.StringIO(await answer.text())))


async def test_the_export_holds_all_of_one_customer_and_nothing_of_another(furnished: Pages) -> None:
    lines = await exported(furnished, f"/customers/{furnished.customers[THEIRS]}/activity.csv")
    theirs = await recorded(furnished, THEIRS)
    assert [line["hash"] for line in lines] == [row.hash for row in theirs]
    assert lines
    others = {row.hash for row in await recorded(furnished, OTHERS)}
    assert others
    assert not others & {line["hash"] for line in lines}
    assert OTHERS not in str(lines)


async def test_the_filter_holds_on_the_page_on_older_pages_and_in_the_export(furnished: Pages) -> None:
    base = f"/customers/{furnished.customers[THEIRS]}/activity"
    theirs = await recorded(furnished, THEIRS)
    topics = sorted({row.action.partition(".")[0] for row in theirs})
    assert len(topics) > 1
    async with furnished.browser() as owner:
        every = await owner.get(base)
        for topic in topics:
            assert f'<option value="{topic}">' in every
            wanted = [row for row in theirs if row.action.startswith(f"{topic}.")]
            seen, address = [], f"{base}?about={topic}"
            while address:
                text = await owner.get(address)
                seen += re.findall(r'<code title="([0-9a-f]{64})">', text)
                older = re.search(r'href="([^"]+)">Older<', text)
                address = older[1].replace("&amp;", "&") if older else ""
            assert seen == [row.hash for row in wanted]
        some = await exported(furnished, f"{base}.csv?about={topics[0]}")
        assert {line["action"].partition(".")[0] for line in some} == {topics[0]}


async def test_what_cannot_be_understood_filters_nothing(furnished: Pages) -> None:
    base = f"/customers/{furnished.customers[THEIRS]}/activity"
    async with furnished.browser() as owner:
        whole = re.findall(r'<code title="([0-9a-f]{64})">', await owner.get(base))
        for query in ("about=%25", "about=nothing", f"before={'9' * 30}", "before=-1"):
            assert re.findall(r'<code title="([0-9a-f]{64})">', await owner.get(f"{base}?{query}")) == whole
        await owner.get("/customers/nobody/activity.csv", 404)


async def test_the_chain_of_everything_that_happened_is_whole(furnished: Pages) -> None:
    async with furnished.database.reading() as tx:
        assert await activity.first_break(tx, furnished.organisation_id) is None
        last = await tx.activity.last(furnished.organisation_id)
    assert last is not None
    assert last.position > len(await recorded(furnished, THEIRS))
