"""The redirect ledger: from hours at the holding pool to the ledger, to cure, and to the customer's credit."""

import pytest

from hashyard_cloud.domain.default import CaseState
from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.domain.ledger import EntryKind
from hashyard_cloud.domain.money import Money
from hashyard_cloud.errors import MalformedError
from hashyard_cloud.services import hashprices
from hashyard_cloud.services.case_money import CaseMoney, case_money
from hashyard_cloud.services.recovery import Recovery, day_of, pool_address
from hashyard_shared.events import UnitPhase
from hashyard_shared.orders import OrderKind, ReasonCode
from hashyard_support.money import OWNER, Host, S

HOUR_S = 3_600
HOLDING = "stratum+tcp://holding.example:3333"
PRICE = "0.05"


BOTH = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])


def recovery(host: Host) -> Recovery:
    return Recovery(host.database, host.clock, host.built.defaults, 60)


async def price(host: Host, text: str = PRICE, day: str = "", source: str = "index") -> None:
    async with host.database.transaction() as tx:
        now_us = host.clock.now_us()
        await hashprices.put(tx, now_us, host.org, OWNER, Money.parse(text, "USD"), day, source)


async def mine(
    host: Host,
    number: int,
    at_us: int,
    ths: float,
    hours: float = 1,
    url: str = HOLDING,
    worker: str | None = None,
) -> None:
    """Add to the hour of `at_us`: so much hashrate for so long at a pool, as projection does."""
    seat = (host.org, url, f"host.A-{number:02d}" if worker is None else worker)
    known_ms = round(hours * HOUR_S * 1_000)
    async with host.database.transaction() as tx:
        name = f"mac:d4:e8:53:0a:00:{number:02x}"
        miner_no = (await tx.miners.numbers(host.org, [name]))[name]
        pool_no = (await tx.miners.pool_numbers([seat]))[seat]
        hour_us = at_us // (HOUR_S * S) * HOUR_S * S
        sums = (60, known_ms, 0, 0, 0, known_ms, round(ths * 100) * known_ms, 0, 0)
        await tx.rollups.add_hours([(miner_no, hour_us, pool_no, *sums)])


async def money(host: Host) -> CaseMoney:
    async with host.database.reading() as tx:
        return await case_money(tx, (await tx.defaults.cases(host.org))[0])


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


async def test_hours_at_the_holding_pool_are_valued_by_the_price_of_the_day(host: Host) -> None:
    await price(host)
    await host.to_confirmed()
    at_us = host.clock.now_us()
    await mine(host, 1, at_us, 240)
    await mine(host, 2, at_us, 480)
    await recovery(host).run()
    found = await money(host)
    assert found.pending == usd("1.50")
    assert found.recovered == usd("1.50")
    assert found.to_cure == usd("998.50")
    assert found.open == usd("1000")
    async with host.database.reading() as tx:
        rows = await tx.redirects.accruals(host.org, (await host.case()).case_id)
    assert [(row.unit_id, row.ths_hours_micro, row.hashprice_source) for row in rows] == [
        ("unit-1", 240_000_000, "index"),
        ("unit-2", 480_000_000, "index"),
    ]


async def test_what_is_not_at_the_holding_pool_at_level_three_is_not_counted(host: Host) -> None:
    await price(host)
    await host.to_redirect()
    rows = await host.rows()
    await host.report(rows[0], UnitPhase.REDIRECTED, 3)
    await host.report(rows[1], UnitPhase.REDIRECTED, 2)
    at_us = host.clock.now_us()
    await mine(host, 1, at_us, 240, url="stratum+tcp://pool.example:3333", worker="customer.1")
    await mine(host, 1, at_us, 240, worker="somebody.else")
    await mine(host, 1, at_us - 2 * HOUR_S * S, 240)
    await mine(host, 2, at_us, 240)
    await recovery(host).run()
    assert (await money(host)).pending == usd("0")
    await mine(host, 1, at_us, 240, url="HOLDING.example:3333")
    await recovery(host).run()
    assert (await money(host)).pending == usd("0.50")


async def test_without_a_price_nothing_is_invented(host: Host) -> None:
    await host.to_confirmed()
    await mine(host, 1, host.clock.now_us(), 240)
    await recovery(host).run()
    assert (await money(host)).recovered == usd("0")
    await price(host)
    await recovery(host).run()
    assert (await money(host)).recovered == usd("0.50")


@BOTH
async def test_finished_days_are_booked_once_and_late_hours_are_added(host: Host) -> None:
    await price(host)
    await host.to_confirmed()
    first_us = host.clock.now_us()
    await mine(host, 1, first_us, 2_400)
    host.clock.pass_s(24 * HOUR_S)
    for _ in range(2):
        await recovery(host).run()
    found = await money(host)
    assert (found.booked, found.pending, found.open) == (usd("5"), usd("0"), usd("995"))
    assert found.claim == usd("1000")

    await price(host, "9", day_of(first_us), "corrected")
    await mine(host, 2, first_us, 480)
    await mine(host, 1, first_us, 2_400, hours=0.5)
    await recovery(host).run()
    found = await money(host)
    # The other unit's day is new and takes the corrected price; the booked day keeps its own.
    assert found.booked == usd("5") + usd("2.50") + usd("180")


@BOTH
async def test_the_redirect_ends_by_itself_at_cure_and_the_surplus_is_the_customers(host: Host) -> None:
    await price(host)
    await host.to_confirmed()
    await mine(host, 1, host.clock.now_us(), 480_480)
    await recovery(host).run()
    case = await host.case()
    assert case.state is CaseState.RECOVERED
    assert {(order.kind, order.reason) for order in await host.orders()} == {
        (OrderKind.RESTORE, ReasonCode.DEBT_RECOVERED)
    }
    async with host.database.reading() as tx:
        entries = await tx.ledger.by_reference(host.org, case.case_id)
        credit = (await tx.ledger.credits(host.org))[host.customer, "USD"]
        (invoice,) = await tx.invoices.all(host.org)
    assert sorted((row.kind, row.amount_micro) for row in entries) == [
        (EntryKind.RECOVERY, -1_000 * S),
        (EntryKind.SURPLUS, -1 * S),
    ]
    assert credit == 1 * S
    assert invoice.state is InvoiceState.PAID


async def test_paying_what_the_page_asks_cures_although_some_was_mined(host: Host) -> None:
    await price(host)
    await host.to_confirmed()
    await mine(host, 1, host.clock.now_us(), 240.123)
    await recovery(host).run()
    asked = (await money(host)).to_cure
    assert asked == usd("999.49")
    async with host.database.transaction() as tx:
        customer = await tx.customers.get(host.org, host.customer)
        assert customer is not None
        assert await host.built.payments.owed(tx, customer, "USD") == asked
        done = await host.built.payments.record(tx, host.org, OWNER, host.customer, asked, "k")
    assert done.cases_ended == 1
    async with host.database.reading() as tx:
        assert sum((await tx.ledger.open_by_invoice(host.org)).values()) == 0


async def test_what_was_mined_after_the_end_is_credited_when_all_are_back(host: Host) -> None:
    await price(host)
    await host.to_confirmed()
    async with host.database.transaction() as tx:
        await host.built.payments.record(tx, host.org, OWNER, host.customer, usd("1000"), "k")
    await mine(host, 1, host.clock.now_us(), 240)
    host.clock.pass_s(61)
    await recovery(host).run()
    async with host.database.reading() as tx:
        assert (await tx.ledger.credits(host.org)).get((host.customer, "USD"), 0) == 0
    for row in await host.rows():
        await host.report(row, UnitPhase.RESTORED, 3)
    await recovery(host).run()
    async with host.database.reading() as tx:
        assert (await tx.ledger.credits(host.org))[host.customer, "USD"] == usd("0.50").micro


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("stratum+tcp://Pool.example:3333", "pool.example:3333"),
        ("pool.example:3333", "pool.example:3333"),
        ("stratum+ssl://[2001:db8::1]:443/path?x=1", "[2001:db8::1]:443"),
    ],
)
def test_pool_addresses_are_compared_without_scheme_and_path(url: str, address: str) -> None:
    assert pool_address(url) == address


async def test_a_series_is_imported_whole_or_not_at_all(host: Host) -> None:
    good = b"day,price\n2026-01-30,0.051\n2026-01-31,0.052\n"
    async with host.database.transaction() as tx:
        assert await hashprices.import_csv(tx, 1, host.org, OWNER, good, "USD", "series.csv") == 2
    bad = b"day,price\n2026-02-01,0.05\n2026-02-30x,0.05\n"
    with pytest.raises(MalformedError, match="Line 3: '2026-02-30x' is not a day"):
        async with host.database.transaction() as tx:
            await hashprices.import_csv(tx, 1, host.org, OWNER, bad, "USD", "bad.csv")
    async with host.database.reading() as tx:
        assert [row.day for row in await tx.hashprices.all(host.org, "USD")] == ["2026-01-31", "2026-01-30"]
        found = await tx.hashprices.at(host.org, "USD", "2026-03-01")
    assert found is not None
    assert (found.price_micro, found.source) == (52_000, "series.csv")


@pytest.mark.parametrize("body", [b"", b"date,value\n1,2\n", b"\xff\xfe", b"day,price\n2026-01-01,-1\n"])
async def test_a_series_that_cannot_be_read_is_refused(host: Host, body: bytes) -> None:
    with pytest.raises(MalformedError):
        async with host.database.transaction() as tx:
            await hashprices.import_csv(tx, 1, host.org, OWNER, body, "USD", "x")
