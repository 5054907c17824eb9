"""CSV imports: looked at first, then stored all or not at all; and opening balances."""

from typing import Annotated, Final

from pydantic import StringConstraints

from hashyard_cloud.errors import MalformedError, TooLargeError
from hashyard_cloud.services import customers, imports, opening_balances
from hashyard_cloud.services.api_tokens import Access, Area
from hashyard_cloud.services.import_files import ImportKind
from hashyard_cloud.services.ports.ledger import LedgerRow
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import Answer, Body, Reason, instant
from hashyard_cloud.web.pages import MANAGERS, MONEY, STAFF

MAX_TEXT_CHARS: Final = 250_000
"""What fits into a request's body even where every character takes four bytes."""
MAX_PROBLEMS: Final = 100
AREAS: Final = {
    ImportKind.CUSTOMERS: Area.CUSTOMERS,
    ImportKind.EQUIPMENT: Area.EQUIPMENT,
    ImportKind.CONTRACTS: Area.CONTRACTS,
    ImportKind.OPENING_BALANCES: Area.PAYMENTS,
}


class ImportBody(Body):
    """A CSV with its heading. Needs the writing scope of what is imported too."""

    kind: ImportKind
    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS)]


class ImportProblem(Answer):
    """What is wrong with a line; the heading is line 1."""

    line: int
    field: str
    text: str


class ImportPreview(Answer):
    """A file as read: how many rows, how many of them are there already, and the first 100 problems."""

    kind: ImportKind
    rows: int
    known: int
    problem_count: int
    problems: list[ImportProblem]


class Imported(Answer):
    """How many rows were stored, and how many were there already."""

    kind: ImportKind
    stored: int
    known: int


class OpeningBalance(Answer):
    """What a customer owed (positive) or had paid ahead (negative) before Hashyard."""

    entry_id: str
    customer_id: str
    amount: str
    currency: str
    at: str
    note: str
    actor: str


class OpeningBalances(Answer):
    """One for each currency at most."""

    items: list[OpeningBalance]


class ReverseBody(Body):
    """Why; it is part of the record."""

    reason: Annotated[Reason, StringConstraints(max_length=opening_balances.MAX_REASON_CHARS)]


def _balance(row: LedgerRow) -> OpeningBalance:
    return OpeningBalance.of(row, at=instant(row.at_us))


def _allowed(call: Call, kind: ImportKind) -> None:
    call.caller.require(AREAS[kind], Access.WRITE, MANAGERS)


async def preview_import(call: Call, body: ImportBody) -> ImportPreview:
    """Read a CSV and say what is wrong with it; nothing is stored."""
    _allowed(call, body.kind)
    currency = call.caller.organisation.currency
    try:
        found = await imports.preview(call.database, call.clock, call.org, body.kind, body.text.encode(), currency)
    except UnicodeEncodeError as error:
        raise MalformedError("The text is not Unicode.", field="text") from error
    except (MalformedError, TooLargeError) as error:
        raise MalformedError(str(error), field="text") from error
    problems = [ImportProblem.of(one) for one in found.problems[:MAX_PROBLEMS]]
    return ImportPreview(
        kind=body.kind,
        rows=len(found.rows),
        known=found.known,
        problem_count=len(found.problems),
        problems=problems,
    )


async def store_import(call: Call, body: ImportBody) -> Imported:
    """Store a CSV, all rows or none.

    Contracts and opening balances that are there already are left as they are, so that a file may be sent twice.
    """
    _allowed(call, body.kind)
    currency = call.caller.organisation.currency
    try:
        stored = await imports.store(
            call.database, call.clock, call.org, call.actor, body.kind, body.text.encode(), currency
        )
    except UnicodeEncodeError as error:
        raise MalformedError("The text is not Unicode.", field="text") from error
    except (MalformedError, TooLargeError) as error:
        raise MalformedError(str(error), field="text") from error
    return Imported(kind=body.kind, stored=stored.new, known=stored.known)


async def list_opening_balances(call: Call) -> OpeningBalances:
    """A customer's opening balances that are not reversed."""
    async with call.database.reading() as tx:
        customer = await customers.get(tx, call.org, call.ids["customer_id"])
        rows = await opening_balances.of_customer(tx, call.org, customer.customer_id)
    return OpeningBalances(items=[_balance(row) for row in rows])


async def reverse_opening_balance(call: Call, body: ReverseBody) -> OpeningBalance:
    """Undo a wrong opening balance by an entry against it."""
    async with call.database.transaction() as tx:
        await customers.get(tx, call.org, call.ids["customer_id"])
        row = await opening_balances.reverse(
            tx,
            call.now_us,
            call.org,
            call.actor,
            call.ids["customer_id"],
            call.ids["entry_id"],
            body.reason,
        )
    return _balance(row)


_CUSTOMERS: Final = Feature(Area.CUSTOMERS)
_PAYMENTS: Final = Feature(Area.PAYMENTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _CUSTOMERS.act("/imports/preview", preview_import, MANAGERS),
    _CUSTOMERS.act("/imports", store_import, MANAGERS),
    _PAYMENTS.read("/customers/{customer_id}/opening-balances", list_opening_balances, STAFF),
    _PAYMENTS.act("/customers/{customer_id}/opening-balances/{entry_id}/reverse", reverse_opening_balance, MONEY),
)
