"""CSV import of contracts and of opening balances: looked at, stored once, errors by line and field."""

import html
import io
from typing import Any

import pytest
from aiohttp import FormData

from hashyard_cloud.services.import_files import ImportKind, sample
from hashyard_cloud.services.ports.contracts import ContractKind, ContractState
from hashyard_support.pages import Pages
from hashyard_support.visitor import Visitor

CONTRACTS = (
    "number,customer,kind,starts_on,rate,term_months,auto_renew,units,sites,grace\n"
    "C-1,ops@prairie.example,hosted,2026-02-01,0.078,24,yes,PN-A-01-01; JYZZPN000002,,10 d\n"
    "C-2,Prairie Hash,lease,,0.081,12,no,,,\n"
    "C-3,Prairie Hash,o&m,2026-02-01,0,,,,pecos north,\n"
)
BALANCES = (
    "customer,amount,currency,as_of,note\n"
    "ops@prairie.example,1250.00,USD,2026-02-01,owed before\n"
    'Prairie Hash,"-1,300.50",EUR,,prepaid\n'
)


async def prepared(pages: Pages) -> None:
    site = await pages.site("Pecos North", "PN", "", "UTC", 10)
    await pages.units(site, 3, "x", "A")
    await pages.customer("Prairie Hash", "ops@prairie.example")


async def look(visitor: Visitor, kind: str, body: bytes) -> tuple[int, str]:
    form = FormData()
    form.add_field("csrf", await visitor.token())
    form.add_field("file", io.BytesIO(body), filename="list.csv", content_type="text/csv")
    async with visitor.http.post(f"/import/{kind}", data=form) as answer:
        return answer.status, html.unescape(await answer.text())


async def test_contracts_are_looked_at_imported_and_known_when_they_come_again(pages: Pages) -> None:
    await prepared(pages)
    async with pages.browser() as owner:
        status, text = await look(owner, "contracts", CONTRACTS.encode())
        assert status == 200, text
        assert "nothing wrong" in text
        assert "Import 3 rows" in text
        done = await owner.post("/import/contracts", {"confirmed": "1", "text": CONTRACTS})
        assert "3 contracts imported" in done
        status, text = await look(owner, "contracts", CONTRACTS.encode())
        assert status == 200, text
        assert "3 there already" in text
        again = await owner.post("/import/contracts", {"confirmed": "1", "text": CONTRACTS})
        assert "0 contracts imported. 3 were there already." in again
        status, text = await look(owner, "contracts", CONTRACTS.replace("0.078", "0.079").encode())
        assert status == 422
        assert "There is a contract C-1 with another rate;" in text
    async with pages.database.reading() as tx:
        rows = {row.number: row for row in await tx.contracts.all(pages.organisation_id)}
        units = await tx.equipment.bound(pages.organisation_id, contract_id=rows["C-1"].contract_id)
        sites = await tx.contract_sites.sites(pages.organisation_id, rows["C-3"].contract_id)
        version = (await tx.contracts.versions(pages.organisation_id, rows["C-1"].contract_id))[0]
    assert [rows[name].state for name in ("C-1", "C-2", "C-3")] == [
        ContractState.ACTIVE,
        ContractState.DRAFT,
        ContractState.ACTIVE,
    ]
    assert rows["C-3"].kind is ContractKind.OPERATIONS
    assert len(units) == 2
    assert [row.site_id for row in sites] == [pages.sites["PN"].site_id]
    assert (version.auto_renew, version.grace_s, version.effective_us) == (True, 864_000, rows["C-1"].starts_us)


async def test_opening_balances_become_ledger_entries_once_and_are_undone_by_reversal(pages: Pages) -> None:
    await prepared(pages)
    customer_id = pages.customers["Prairie Hash"]
    async with pages.browser() as owner:
        status, text = await look(owner, "opening-balances", BALANCES.encode())
        assert status == 200, text
        done = await owner.post("/import/opening-balances", {"confirmed": "1", "text": BALANCES})
        assert "2 opening balances imported" in done
        again = await owner.post("/import/opening-balances", {"confirmed": "1", "text": BALANCES})
        assert "0 opening balances imported. 2 were there already." in again
        status, text = await look(owner, "opening-balances", BALANCES.replace("1250", "1251").encode())
        assert status == 422
        assert "reverse that one first" in text
        shown = await owner.get(f"/customers/{customer_id}/financials")
        assert "$1,250.00" in shown
        assert "owed before" in shown
        async with pages.database.reading() as tx:
            rows = await tx.ledger.all(pages.organisation_id, customer_id)
        assert sorted(row.amount_micro for row in rows) == [-1_300_500_000, 1_250_000_000]
        owed = next(row for row in rows if row.amount_micro > 0)
        path = f"/customers/{customer_id}/opening-balances/{owed.entry_id}/reverse"
        await owner.post(path, {"reason": ""}, 422)
        await owner.post(path, {"reason": "it was paid before"})
        await owner.post(path, {"reason": "twice"}, 409)
        status, text = await look(owner, "opening-balances", BALANCES.replace("1250", "1251").encode())
        assert status == 200, text


async def test_a_payment_makes_up_for_an_opening_balance(pages: Pages) -> None:
    await prepared(pages)
    async with pages.browser() as owner:
        body = "customer,amount\nPrairie Hash,1250\n"
        await owner.post("/import/opening-balances", {"confirmed": "1", "text": body})
        await pages.pay("Prairie Hash", "1500.00", "k1")
        shown = await owner.get(f"/customers/{pages.customers['Prairie Hash']}/financials")
        assert "$250.00" in shown
        async with pages.database.reading() as tx:
            credit = await tx.ledger.credits(pages.organisation_id)
        assert list(credit.values()) == [250_000_000]


TWICE = (
    "number,customer,starts_on,units\n"
    "C-1,Prairie Hash,2026-02-01,PN-A-01-01\n"
    "C-2,Prairie Hash,2026-02-01,PN-A-01-01\n"
)
BAD: Any = [
    ("contracts", "number,customer\nC-1,Nobody\n", "customer", "There is no customer 'Nobody'"),
    ("contracts", "number,customer\nHC-2026-0001,Prairie Hash\n", "number", "use your own"),
    ("contracts", "number,customer\nC-1,Prairie Hash\nC-1,Prairie Hash\n", "number", "in the file twice"),
    ("contracts", "number,customer,starts_on\nC-1,Prairie Hash,01.02.2026\n", "starts_on", "2026-03-18"),
    ("contracts", "number,customer,starts_on\nC-1,Prairie Hash,2099-01-01\n", "starts_on", "lies in the future"),
    ("contracts", "number,customer,starts_on\nC-1,Prairie Hash,2026-02-01\n", "units", "Name its units"),
    (
        "contracts",
        "number,customer,starts_on,term_months,units\nC-1,Prairie Hash,2020-02-01,12,PN-A-01-01\n",
        "term_months",
        "This term is over",
    ),
    ("contracts", TWICE, "units", "in the file twice"),
    ("contracts", "number,customer,rate\nC-1,Prairie Hash,-1\n", "rate", "at least 0"),
    ("contracts", "number,customer,auto_renew\nC-1,Prairie Hash,maybe\n", "auto_renew", "yes or no"),
    ("contracts", "number,customer,kind,auto_renew\nC-1,Prairie Hash,lease,yes\n", "auto_renew", "does not renew"),
    ("contracts", "number,customer,kind\nC-1,Prairie Hash,rental\n", "kind", "values offered"),
    ("opening-balances", "customer,amount\nPrairie Hash,0\n", "amount", "not zero"),
    ("opening-balances", "customer,amount\nPrairie Hash,<b>5</b>\n", "amount", "is not an amount"),
    ("opening-balances", "customer,amount\nPrairie Hash,1e30\n", "amount", "is not an amount"),
    ("opening-balances", "customer,amount,currency\nPrairie Hash,5,XXX\n", "currency", "Use one of"),
    ("opening-balances", "customer,amount,as_of\nPrairie Hash,5,2099-01-01\n", "as_of", "future"),
    ("opening-balances", "customer,amount\nPrairie Hash,5\nops@prairie.example,6\n", "customer", "there twice"),
]


@pytest.mark.parametrize(("kind", "body", "field", "words"), BAD)
async def test_what_is_wrong_is_named_by_line_and_field(
    pages: Pages, kind: str, body: str, field: str, words: str
) -> None:
    await prepared(pages)
    async with pages.browser() as owner:
        status, text = await look(owner, kind, body.encode())
        assert status == 422, text
        assert f"<code>{field}</code>" in text
        assert words in text
        await owner.post(f"/import/{kind}", {"confirmed": "1", "text": body}, 409)
    async with pages.database.reading() as tx:
        assert await tx.contracts.all(pages.organisation_id) == []
        assert await tx.ledger.credits(pages.organisation_id) == {}


async def test_the_sample_files_have_the_columns_that_are_read(pages: Pages) -> None:
    async with pages.browser() as owner:
        for kind in ImportKind:
            text = await owner.get(f"/import/{kind.value}/example.csv")
            assert text.replace("\r\n", "\n") == sample(kind).replace("\r\n", "\n")
            assert len(text.splitlines()) > 1
        status, text = await look(owner, "contracts", b"number,customer\nC-1,X,surplus cell\n")
        assert status == 422
        assert "more cells than the heading" in text
