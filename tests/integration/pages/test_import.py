import html
import io

import pytest
from aiohttp import FormData

from hashyard_support.pages import Pages
from hashyard_support.visitor import Visitor

CUSTOMERS = (
    "name,email,company,active\n"
    "Prairie Hash,board@prairie.example,Prairie Co-op,yes\n"
    "Élan Énergie,a@elan.example,,no\n"
)


async def look(visitor: Visitor, kind: str, body: bytes) -> tuple[int, str]:
    form = FormData()
    form.add_field("csrf", await visitor.token())
    form.add_field("file", io.BytesIO(body), filename="list.csv", content_type="text/csv")
    async with visitor.http.post(f"/import/{kind}", data=form) as answer:
        return answer.status, html.unescape(await answer.text())


async def test_customers_are_looked_at_and_then_imported(pages: Pages) -> None:
    async with pages.browser() as owner:
        status, text = await look(owner, "customers", CUSTOMERS.encode())
        assert status == 200
        assert "nothing wrong" in text
        assert "Prairie Hash" not in await owner.get("/customers")
        done = await owner.post("/import/customers", {"confirmed": "1", "text": CUSTOMERS})
        assert "2 customers imported" in done
        assert "Élan Énergie" in done
        status, text = await look(owner, "customers", CUSTOMERS.encode())
        assert status == 422
        assert "is here already" in text


async def test_units_are_imported_by_the_name_or_code_of_their_site(pages: Pages) -> None:
    await pages.site("Pecos North", "PN", "", "UTC", 10)
    body = "site,label,mac\nPecos North,A-1,02:00:00:00:00:01\npn,A-2,02-00-00-00-00-02\n"
    async with pages.browser() as owner:
        done = await owner.post("/import/equipment", {"confirmed": "1", "text": body})
        assert "2 equipment imported" in done
    async with pages.database.reading() as tx:
        units = await tx.equipment.all(pages.organisation_id)
    assert [unit.mac for unit in units] == ["02:00:00:00:00:01", "02:00:00:00:00:02"]


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("customers", b"\xff\xfe\x00", "not a CSV in UTF-8"),
        ("customers", b"name\nX\n", "must name the column email"),
        ("customers", b"name,email,shoe\nX,a@b.example,9\n", "There is no column 'shoe'"),
        ("customers", b"name,email\n", "no rows below its heading"),
        ("customers", b"name,email\nX,nope\n,b@c.example\n", "name@example.com"),
        ("equipment", b"site,label\nNowhere,A-1\n", "There is no site 'Nowhere'"),
        ("equipment", b"site,label,mac\nPecos North,A-1,zz\n", "aa:bb:cc:dd:ee:ff"),
        ("equipment", b"site,label\nPecos North,A-1\nPecos North,A-1\n", "twice in the file"),
        ("customers", b"name,email\n" + b"x" * (4 * 1024 * 1024), "larger than 4 MB"),
    ],
    ids=["binary", "missing", "unknown", "empty", "wrong", "site", "mac", "twice", "large"],
)
async def test_what_is_wrong_is_named_by_line_and_nothing_is_stored(
    pages: Pages, kind: str, body: bytes, words: str
) -> None:
    await pages.site("Pecos North", "PN", "", "UTC", 10)
    async with pages.browser() as owner:
        status, text = await look(owner, kind, body)
        assert status in {413, 422}
        assert words in text
        async with pages.database.reading() as tx:
            assert await tx.customers.all(pages.organisation_id) == []
            assert await tx.equipment.all(pages.organisation_id) == []
