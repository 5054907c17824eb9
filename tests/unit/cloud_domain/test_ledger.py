import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashyard_cloud.domain.errors import AmountError, LedgerError
from hashyard_cloud.domain.ledger import (
    EntryKind,
    LedgerEntry,
    OpenInvoice,
    allocate,
    balance,
    credit,
    open_on_invoice,
    reversal,
)
from hashyard_cloud.domain.money import Money, total


def usd(micro: int) -> Money:
    return Money(micro, "USD")


def entry(entry_id: str, kind: EntryKind, micro: int, invoice_id: str | None = None) -> LedgerEntry:
    return LedgerEntry(entry_id, 1, kind, usd(micro), invoice_id, "reference")


def test_balance_open_and_credit() -> None:
    entries = [
        entry("1", EntryKind.INVOICE, 100, "a"),
        entry("2", EntryKind.PAYMENT, -60, "a"),
        entry("3", EntryKind.PAYMENT, -25),
    ]
    assert balance(entries, "USD") == usd(15)
    assert open_on_invoice(entries, "a", "USD") == usd(40)
    assert credit(entries, "USD") == usd(25)


def test_a_reversal_undoes_once_and_is_not_itself_reversed() -> None:
    payment = entry("2", EntryKind.PAYMENT, -60, "a")
    undone = reversal(payment, [payment], "3", 9, "bounced cheque")
    assert undone == LedgerEntry("3", 9, EntryKind.REVERSAL, usd(60), "a", "reference", "2", "bounced cheque")
    assert balance([payment, undone], "USD") == usd(0)
    with pytest.raises(LedgerError, match="already"):
        reversal(payment, [payment, undone], "4", 10, "")
    with pytest.raises(LedgerError, match="is a reversal"):
        reversal(undone, [payment, undone], "4", 10, "")


def test_allocation_goes_to_the_oldest_due_date_first() -> None:
    invoices = [
        OpenInvoice("new", 30, usd(50)),
        OpenInvoice("paid", 5, usd(0)),
        OpenInvoice("old", 10, usd(40)),
        OpenInvoice("newest", 40, usd(50)),
    ]
    assert allocate(usd(60), invoices).parts == (("old", usd(40)), ("new", usd(20)))
    assert allocate(usd(200), invoices).left == usd(60)


@pytest.mark.parametrize("micro", [0, -1])
def test_nothing_cannot_be_allocated(micro: int) -> None:
    with pytest.raises(AmountError):
        allocate(usd(micro), [])


@given(
    st.integers(1, 10**12),
    st.lists(st.tuples(st.integers(0, 5), st.integers(-100, 10**11)), max_size=8),
)
def test_allocation_loses_nothing_and_never_overpays(amount: int, items: list[tuple[int, int]]) -> None:
    invoices = [OpenInvoice(str(at), due, usd(owed)) for at, (due, owed) in enumerate(items)]
    result = allocate(usd(amount), invoices)
    assert total([part for _, part in result.parts], "USD") + result.left == usd(amount)
    owed = {invoice.invoice_id: invoice.open for invoice in invoices}
    assert all(usd(0) < part <= owed[invoice_id] for invoice_id, part in result.parts)
    fully_paid = all(dict(result.parts).get(key, usd(0)) == max(value, usd(0)) for key, value in owed.items())
    assert fully_paid or result.left == usd(0)
