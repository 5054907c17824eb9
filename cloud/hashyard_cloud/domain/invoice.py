"""Invoices: lines, totals and the states between draft and paid. Immutable once issued."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from hashyard_cloud.domain.errors import AmountError, InvoiceStateError
from hashyard_cloud.domain.money import Money, total

MAX_LINES: Final = 5_000


class InvoiceState(StrEnum):
    """Where an invoice stands."""

    DRAFT = "draft"
    ISSUED = "issued"
    PAID = "paid"
    OVERDUE = "overdue"
    HELD = "held"
    WRITTEN_OFF = "written-off"
    CANCELLED = "cancelled"

    @property
    def label(self) -> str:
        """As people read it."""
        return self.value.replace("-", " ").title()

    @property
    def owed(self) -> bool:
        """Whether what is open on it counts as owed now or later."""
        return self in _OWED


_OWED: Final = frozenset({InvoiceState.ISSUED, InvoiceState.OVERDUE, InvoiceState.HELD})

_ALLOWED: Final[dict[InvoiceState, frozenset[InvoiceState]]] = {
    InvoiceState.DRAFT: frozenset({InvoiceState.ISSUED, InvoiceState.CANCELLED}),
    InvoiceState.ISSUED: frozenset(
        {
            InvoiceState.PAID,
            InvoiceState.OVERDUE,
            InvoiceState.HELD,
            InvoiceState.WRITTEN_OFF,
            InvoiceState.CANCELLED,
        }
    ),
    InvoiceState.OVERDUE: frozenset(
        {
            InvoiceState.PAID,
            InvoiceState.ISSUED,
            InvoiceState.HELD,
            InvoiceState.WRITTEN_OFF,
            InvoiceState.CANCELLED,
        }
    ),
    # A held invoice can be paid, but is not overdue before it is released.
    InvoiceState.HELD: frozenset(
        {InvoiceState.PAID, InvoiceState.ISSUED, InvoiceState.WRITTEN_OFF, InvoiceState.CANCELLED}
    ),
    # A payment that bounced opens the invoice again.
    InvoiceState.PAID: frozenset({InvoiceState.ISSUED, InvoiceState.OVERDUE}),
    InvoiceState.WRITTEN_OFF: frozenset(),
    InvoiceState.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """`quantity` of `unit` at `unit_price`; `amount` is their product, rounded to the cent."""

    description: str
    quantity: Decimal
    unit: str
    unit_price: Money
    amount: Money


def line(description: str, quantity: Decimal, unit: str, unit_price: Money) -> InvoiceLine:
    """A line with its amount worked out. Quantities are finite; a credit has a negative price."""
    if not quantity.is_finite() or quantity < 0:
        raise AmountError(f"quantity {quantity} of {description!r} must be zero or more")
    return InvoiceLine(description, quantity, unit, unit_price, unit_price.times(quantity).rounded())


def invoice_total(lines: Iterable[InvoiceLine], currency: str) -> Money:
    """The sum of the lines; an invoice for nothing, or with too many lines, is refused."""
    amounts = [item.amount for item in lines]
    if not 1 <= len(amounts) <= MAX_LINES:
        raise AmountError(f"an invoice has 1 to {MAX_LINES} lines, not {len(amounts)}")
    result = total(amounts, currency)
    if not result.positive:
        raise AmountError(f"an invoice must be for more than zero, not {result.text()}")
    return result


def moved(state: InvoiceState, to: InvoiceState) -> InvoiceState:
    """`to`, if an invoice may go there from `state`; else `InvoiceStateError`."""
    if to not in _ALLOWED[state]:
        raise InvoiceStateError(f"an invoice that is {state.label} cannot become {to.label}")
    return to


def settled(state: InvoiceState, still_open: Money, due_at_us: int, now_us: int) -> InvoiceState:
    """The state that ledger and time give an invoice: paid when nothing is open, overdue past the due date."""
    if state in {InvoiceState.DRAFT, InvoiceState.WRITTEN_OFF, InvoiceState.CANCELLED}:
        return state
    if not still_open.positive:
        return InvoiceState.PAID
    if state is InvoiceState.HELD:
        return state
    return InvoiceState.OVERDUE if now_us >= due_at_us else InvoiceState.ISSUED
