"""What notices say: plain words, with what is owed, until when, and what happens otherwise."""

from collections.abc import Sequence

from hashyard_cloud.domain.dunning import Terms, duration_text
from hashyard_cloud.domain.money import Money
from hashyard_cloud.services.ports.contracts import ContractVersionRow
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_shared.clock import iso

Text = tuple[str, str]
"""Subject and body."""


def invoice(row: InvoiceRow, open_amount: Money) -> Text:
    """A new invoice."""
    due = iso(row.due_us) if row.due_us is not None else "on receipt"
    return (
        f"Invoice {row.number}: {open_amount.text()} due {due}",
        (
            f"Invoice {row.number} over {Money(row.total_micro, row.currency).text()} is due {due}.\n"
            f"Open: {open_amount.text()}.\n"
        ),
    )


def reminder(row: InvoiceRow, open_amount: Money, terms: Terms) -> Text:
    """An invoice is overdue."""
    due = iso(row.due_us or 0)
    return (
        f"Reminder: invoice {row.number} is overdue, {open_amount.text()} open",
        (
            f"Invoice {row.number} was due {due}; {open_amount.text()} is open.\n"
            f"If it is not paid within {duration_text(terms.grace_s)} after that, your account is in default.\n"
        ),
    )


def default(number: str, reason: str, owed: Money, terms: Terms, version: ContractVersionRow) -> Text:
    """A default case was opened; the cure period begins when this is delivered."""
    clause = (
        f"\nYour contract carries this redirect clause:\n\n{version.redirect_clause}\n\n"
        f"If the default is not cured within {duration_text(terms.cure_s)} after delivery of this notice, "
        "your machines may be pointed at our holding pool. What they earn there is set against the debt; "
        "they come back when it is cured, and anything above the debt is credited to you.\n"
        if version.redirect_clause_given
        else ""
    )
    return (
        f"Notice of default {number}: {owed.text()} to cure",
        (
            f"Default case {number} was opened: {reason}.\nTo cure: {owed.text()}.\n"
            f"Cure period: {duration_text(terms.cure_s)} from delivery of this notice.\n{clause}\n"
            "If you dispute this, tell us now: a dispute freezes the case at once.\n"
        ),
    )


def redirected(number: str, units: int, owed: Money) -> Text:
    """Redirect orders were issued."""
    return (
        f"{number}: {units} machines are being pointed at our holding pool",
        (
            f"The cure period of default case {number} is over with {owed.text()} open.\n"
            f"{units} machines are ordered to our holding pool. What they earn there is set against the debt.\n"
            f"To cure: {owed.text()}. They come back as soon as it is paid.\n"
        ),
    )


def restored(number: str, why: str) -> Text:
    """Restore orders were issued."""
    return (
        f"{number}: your machines are being given back",
        f"Default case {number}: {why}. Your machines are ordered back to the pools they had before.\n",
    )


def journal_head(day: str, heads: Sequence[tuple[str, int, str]]) -> Text:
    """The heads of the journals that record what is done to a customer's machines: (agent, lines, hash)."""
    lines = "\n".join(f"{agent}: {count} lines, {digest}" for agent, count, digest in heads)
    return (
        f"Enforcement journal, head of {day}",
        (
            "Keep this message: with these figures you can tell later whether anything that was recorded up to "
            f"now was changed, added or taken out.\n\n{lines}\n"
        ),
    )


def receipt(amount: Money, still_open: Money) -> Text:
    """A payment was recorded."""
    rest = f"{still_open.text()} is still open." if still_open.positive else "Nothing is open. Thank you."
    return f"Payment of {amount.text()} received", f"We recorded your payment of {amount.text()}. {rest}\n"


def term_notice(number: str, ends: str, renewed_until: str | None, *, lease: bool) -> Text:
    """A term comes to its end; with `renewed_until` it renews unless the host is told otherwise."""
    if renewed_until is not None:
        return (
            f"Contract {number} renews on {ends}",
            (
                f"The term of contract {number} ends on {ends}. It renews by itself until {renewed_until}, on the "
                "terms in force.\nIf you do not want that, answer before that day.\n"
            ),
        )
    after = "The machines go back to us then." if lease else "Tell us if you want to go on."
    return f"Contract {number} ends on {ends}", f"The term of contract {number} ends on {ends}. {after}\n"


def term_over(number: str, ends: str, renewed_until: str | None, *, lease: bool) -> Text:
    """A term is over: renewed, or ended."""
    if renewed_until is not None:
        return (
            f"Contract {number} is renewed until {renewed_until}",
            f"Contract {number} was renewed on {ends}, until {renewed_until}, on the terms in force.\n",
        )
    after = "The leased machines are with us again." if lease else "Ask us for a new contract to go on."
    return f"Contract {number} has ended", f"The term of contract {number} ended on {ends}. {after}\n"
