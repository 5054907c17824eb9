from decimal import Decimal

import pytest

from hashyard_cloud.domain.errors import AmountError, InvoiceStateError
from hashyard_cloud.domain.invoice import InvoiceState, invoice_total, line, moved, settled
from hashyard_cloud.domain.money import Money

STATE = InvoiceState


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def test_lines_and_total() -> None:
    lines = [line("Energy", Decimal("1234.5"), "kWh", usd("0.075")), line("Credit", Decimal(1), "", usd("-10"))]
    assert lines[0].amount == usd("92.59")
    assert invoice_total(lines, "USD") == usd("82.59")


@pytest.mark.parametrize("quantity", [Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
def test_quantities_are_finite_and_not_negative(quantity: Decimal) -> None:
    with pytest.raises(AmountError, match="quantity"):
        line("Energy", quantity, "kWh", usd("1"))


def test_an_empty_or_free_invoice_is_refused() -> None:
    with pytest.raises(AmountError, match="lines"):
        invoice_total([], "USD")
    with pytest.raises(AmountError, match="more than zero"):
        invoice_total([line("Nothing", Decimal(0), "", usd("1"))], "USD")


def test_moves() -> None:
    assert moved(STATE.DRAFT, STATE.ISSUED) is STATE.ISSUED
    with pytest.raises(InvoiceStateError, match="Paid cannot become Cancelled"):
        moved(STATE.PAID, STATE.CANCELLED)


def test_labels_and_what_is_owed() -> None:
    assert STATE.WRITTEN_OFF.label == "Written Off"
    assert [state for state in STATE if state.owed] == [STATE.ISSUED, STATE.OVERDUE, STATE.HELD]


@pytest.mark.parametrize(
    ("state", "still_open", "now", "after"),
    [
        (STATE.DRAFT, "5", 200, STATE.DRAFT),
        (STATE.CANCELLED, "5", 200, STATE.CANCELLED),
        (STATE.WRITTEN_OFF, "5", 200, STATE.WRITTEN_OFF),
        (STATE.ISSUED, "5", 99, STATE.ISSUED),
        (STATE.ISSUED, "5", 100, STATE.OVERDUE),
        (STATE.OVERDUE, "0", 200, STATE.PAID),
        (STATE.OVERDUE, "-1", 200, STATE.PAID),
        (STATE.HELD, "5", 200, STATE.HELD),
        (STATE.HELD, "0", 200, STATE.PAID),
        (STATE.PAID, "5", 200, STATE.OVERDUE),
        (STATE.PAID, "5", 50, STATE.ISSUED),
    ],
)
def test_settled(state: InvoiceState, still_open: str, now: int, after: InvoiceState) -> None:
    assert settled(state, usd(still_open), 100, now) is after
