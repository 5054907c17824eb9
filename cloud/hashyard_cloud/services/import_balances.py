"""Opening balances from a CSV: checked row by row, entered in the ledger; a file sent twice changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Annotated, Final

from pydantic import Field

from hashyard_cloud.domain.errors import DomainError
from hashyard_cloud.domain.money import Money
from hashyard_cloud.domain.terms import day_start_us
from hashyard_cloud.errors import MalformedError
from hashyard_cloud.services import contracts, opening_balances
from hashyard_cloud.services.import_files import Lines, Problem
from hashyard_cloud.services.import_people import People, day
from hashyard_cloud.services.inputs import CURRENCIES, Input, InputError, ShortText, read
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_shared.clock import utc

MAX_AMOUNT: Final = 1_000_000_000


class BalanceInput(Input):
    """The cells that are text."""

    customer: Annotated[str, Field(min_length=1, max_length=254)]
    amount: Annotated[str, Field(min_length=1, max_length=32)]
    currency: ShortText = ""
    as_of: ShortText = ""
    note: ShortText = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """One opening balance that can be entered."""

    customer: CustomerRow
    amount: Money
    at_us: int
    note: str


@dataclass(slots=True)
class CheckedBalances:
    """What a file holds: new ones, how many are entered already, and what is wrong."""

    new: list[Balance] = field(default_factory=list)
    known: int = 0
    problems: list[Problem] = field(default_factory=list)


async def check(tx: Transaction, organisation_id: str, lines: Lines, now_us: int) -> CheckedBalances:
    """Look at every line; nothing is stored."""
    people = People.of(await tx.customers.all(organisation_id))
    zone = await contracts.zone_of(tx, organisation_id)
    found, seen = CheckedBalances(), set[tuple[str, str]]()
    for number, row in lines:
        try:
            balance = _balance(people, zone, now_us, read(BalanceInput, row), seen)
            if await _is_known(tx, balance):
                found.known += 1
            else:
                found.new.append(balance)
        except InputError as error:
            found.problems += [Problem(number, name, text) for name, text in error.errors.items()]
        except MalformedError as error:
            found.problems.append(Problem(number, error.field or "customer", str(error)))
    return found


def _balance(
    people: People, zone: tzinfo, now_us: int, given: BalanceInput, seen: set[tuple[str, str]]
) -> Balance:
    customer = people.find(given.customer)
    amount = _amount(given.amount, given.currency or customer.currency)
    today = utc(now_us).astimezone(zone).date()
    as_of = day(given.as_of, "as_of") if given.as_of else today
    if as_of > today:
        raise MalformedError("It must not lie in the future.", field="as_of")
    key = (customer.customer_id, amount.currency)
    if key in seen:
        raise MalformedError(f"{customer.name} is there twice in {amount.currency}.", field="customer")
    seen.add(key)
    return Balance(customer, amount, day_start_us(as_of, zone), given.note)


async def _is_known(tx: Transaction, balance: Balance) -> bool:
    row = await opening_balances.known(tx, balance.customer, balance.amount.currency)
    if row is None:
        return False
    if row.amount_micro != balance.amount.micro:
        there = Money(row.amount_micro, row.currency).text()
        raise MalformedError(
            f"{balance.customer.name} has an opening balance of {there} already; reverse that one first.",
            field="amount",
        )
    return True


def _amount(text: str, currency: str) -> Money:
    if currency not in CURRENCIES:
        raise MalformedError(f"Use one of {', '.join(CURRENCIES)}.", field="currency")
    try:
        amount = Money.parse(text, currency)
    except DomainError as error:
        raise MalformedError(str(error), field="amount") from error
    if amount.micro == 0:
        raise MalformedError("An opening balance is not zero; leave the customer out.", field="amount")
    if abs(amount.micro) > MAX_AMOUNT * 1_000_000:
        raise MalformedError(f"Give at most {MAX_AMOUNT:,}.", field="amount")
    return amount


async def store(tx: Transaction, now_us: int, actor: Actor, found: Sequence[Balance]) -> None:
    """Enter what is new."""
    for one in found:
        await opening_balances.add_in(tx, now_us, actor, one.customer, one.amount, one.at_us, one.note)
