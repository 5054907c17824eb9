"""Contracts from a CSV: under their own numbers, running since their start, with their units; or as drafts."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, tzinfo
from typing import Annotated, Final

from pydantic import Field

from hashyard_cloud.domain.terms import day_start_us, months_later
from hashyard_cloud.errors import ConflictError, MalformedError
from hashyard_cloud.services import contract_sites, contracts, equipment
from hashyard_cloud.services.contracts import TermsInput
from hashyard_cloud.services.import_files import FALSE_WORDS, LIST_MARK, TRUE_WORDS, Lines, Problem
from hashyard_cloud.services.import_people import People, day
from hashyard_cloud.services.inputs import Input, InputError, Name, read
from hashyard_cloud.services.ports.activity import SYSTEM, Actor
from hashyard_cloud.services.ports.contracts import ContractKind, ContractRow, ContractState
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.equipment import UnitRow
from hashyard_shared.clock import Clock, utc
from hashyard_shared.ids import new_id

MAX_NUMBER_CHARS: Final = 40
MAX_CELL_CHARS: Final = 100_000
_OWN: Final = re.compile(r"HC-\d{4}-\d+", re.IGNORECASE)
_OTHERS: Final = ("number", "customer", "starts_on", "units", "sites")
_FLAGS: Final = ("auto_renew", "redirect_clause_given")
_NOT_TERMS: Final = frozenset({"version_id", "effective_us", "accepted_us", "created_us", "created_by"})
_ON_UNITS: Final = frozenset({ContractKind.HOSTED, ContractKind.LEASE})


class ContractCells(Input):
    """The cells that are not terms."""

    number: Annotated[Name, Field(max_length=MAX_NUMBER_CHARS)]
    customer: Annotated[str, Field(min_length=1, max_length=254)]
    starts_on: Annotated[str, Field(max_length=10)] = ""
    units: Annotated[str, Field(max_length=MAX_CELL_CHARS)] = ""
    sites: Annotated[str, Field(max_length=MAX_CELL_CHARS)] = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One contract that can be stored; without `starts_us` it is a draft."""

    number: str
    customer: CustomerRow
    terms: TermsInput
    starts_us: int | None
    ends_us: int | None
    unit_ids: Sequence[str]
    site_ids: Sequence[str]


@dataclass(slots=True)
class CheckedContracts:
    """What a file holds: new ones, how many are there already, and what is wrong."""

    new: list[Plan] = field(default_factory=list)
    known: int = 0
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _House:
    """What is there, and what the file has taken so far."""

    people: People
    numbers: dict[str, ContractRow]
    units: Mapping[str, list[UnitRow]]
    sites: Mapping[str, str]
    zone: tzinfo
    now_us: int
    taken: set[str] = field(default_factory=set)

    @property
    def today(self) -> date:
        return utc(self.now_us).astimezone(self.zone).date()


async def _house(tx: Transaction, organisation_id: str, now_us: int) -> _House:
    units: defaultdict[str, list[UnitRow]] = defaultdict(list)
    for unit in await tx.equipment.all(organisation_id):
        for name in {unit.label, unit.serial, unit.mac or ""} - {""}:
            units[name.casefold()].append(unit)
    sites = await tx.sites.all(organisation_id)
    names = {row.name.casefold(): row.site_id for row in sites}
    names |= {row.code.casefold(): row.site_id for row in sites if row.code}
    return _House(
        People.of(await tx.customers.all(organisation_id)),
        {row.number.casefold(): row for row in await tx.contracts.all(organisation_id)},
        units,
        names,
        await contracts.zone_of(tx, organisation_id),
        now_us,
    )


async def check(tx: Transaction, organisation_id: str, lines: Lines, clock: Clock) -> CheckedContracts:
    """Look at every line; nothing is stored."""
    house = await _house(tx, organisation_id, clock.now_us())
    found = CheckedContracts()
    for number, row in lines:
        try:
            cells = read(ContractCells, {name: row[name] for name in _OTHERS if row.get(name)})
            customer, terms = house.people.find(cells.customer), _terms(row)
            terms = terms if row.get("currency") else terms.model_copy(update={"currency": customer.currency})
            there = house.numbers.get(cells.number.casefold())
            if there is not None:
                await _same(tx, clock, there, customer, terms)
                found.known += 1
            else:
                found.new.append(_plan(house, cells, customer, terms))
        except InputError as error:
            found.problems += [Problem(number, name, text) for name, text in error.errors.items()]
        except MalformedError as error:
            found.problems.append(Problem(number, error.field or "number", str(error)))
    return found


def _terms(row: Mapping[str, str]) -> TermsInput:
    values: dict[str, object] = {name: text for name, text in row.items() if text and name not in _OTHERS}
    for name in _FLAGS:
        word = row.get(name, "").lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            raise MalformedError("Write yes or no.", field=name)
        values[name] = word in TRUE_WORDS
    kind = str(values.get("kind", "")).lower()
    if kind:
        values["kind"] = "operations" if kind in {"o&m", "om"} else kind
    terms = read(TermsInput, values)
    contracts.check(terms)
    return terms


async def _same(
    tx: Transaction, clock: Clock, there: ContractRow, customer: CustomerRow, terms: TermsInput
) -> None:
    """Whether a contract of this number is this one; raises `MalformedError` where it is another."""
    first = (await tx.contracts.versions(there.organisation_id, there.contract_id))[0]
    as_stored = contracts.version_of(clock, there, 1, first.effective_us, SYSTEM, terms)
    names = [one.name for one in fields(first) if one.name not in _NOT_TERMS]
    other = [name for name in names if getattr(as_stored, name) != getattr(first, name)]
    if there.customer_id != customer.customer_id or there.kind is not terms.kind or other:
        what = other[0].removesuffix("_micro") if other else "customer"
        raise MalformedError(
            f"There is a contract {there.number} with another {what}; give that one new terms instead.",
            field="number",
        )


def _plan(house: _House, cells: ContractCells, customer: CustomerRow, terms: TermsInput) -> Plan:
    if _OWN.fullmatch(cells.number):
        raise MalformedError("Numbers such as HC-2026-0001 are given out here; use your own.", field="number")
    key = cells.number.casefold()
    if key in house.taken:
        raise MalformedError(f"{cells.number} is in the file twice.", field="number")
    unit_ids, site_ids = _units(house, cells.units), _sites(house, cells.sites)
    starts_us = ends_us = None
    if cells.starts_on:
        starts_us, ends_us = _span(house, day(cells.starts_on, "starts_on"), terms)
        if terms.kind in _ON_UNITS and not unit_ids:
            raise MalformedError("Name its units, or leave starts_on empty for a draft.", field="units")
        if terms.kind is ContractKind.OPERATIONS and not site_ids:
            raise MalformedError("Name its sites, or leave starts_on empty for a draft.", field="sites")
    elif unit_ids:
        raise MalformedError("A draft has no units yet; give starts_on, or leave them out.", field="units")
    if site_ids and terms.kind is not ContractKind.OPERATIONS:
        raise MalformedError("Only an O&M contract is about sites.", field="sites")
    if unit_ids and terms.kind is ContractKind.OPERATIONS:
        raise MalformedError("An O&M contract is about sites, not units.", field="units")
    house.taken |= {key, *unit_ids}
    return Plan(cells.number, customer, terms, starts_us, ends_us, unit_ids, site_ids)


def _span(house: _House, starts_on: date, terms: TermsInput) -> tuple[int, int | None]:
    if starts_on > house.today:
        raise MalformedError(
            "It lies in the future; leave it empty and complete the draft then.", field="starts_on"
        )
    starts_us = day_start_us(starts_on, house.zone)
    if terms.term_months is None:
        return starts_us, None
    ends_us = months_later(starts_us, terms.term_months, house.zone)
    if ends_us <= house.now_us:
        raise MalformedError("This term is over; give the start and the length that run now.", field="term_months")
    return starts_us, ends_us


def _units(house: _House, cell: str) -> list[str]:
    found = []
    for name in (part.strip() for part in cell.split(LIST_MARK)):
        if not name:
            continue
        units = house.units.get(name.casefold(), [])
        if len(units) != 1:
            words = "Several units are" if units else "There is no unit"
            raise MalformedError(f"{words} {name[:60]!r}.", field="units")
        unit = units[0]
        if unit.state not in equipment.ASSIGNABLE:
            raise MalformedError(f"{unit.label} is {unit.state.value} and cannot be assigned.", field="units")
        if unit.unit_id in house.taken or unit.unit_id in found:
            raise MalformedError(f"{unit.label} is in the file twice.", field="units")
        found.append(unit.unit_id)
    if len(found) > equipment.MAX_UNITS_PER_ACTION:
        raise MalformedError(f"Name at most {equipment.MAX_UNITS_PER_ACTION:,} units.", field="units")
    return found


def _sites(house: _House, cell: str) -> list[str]:
    names = [part.strip() for part in cell.split(LIST_MARK) if part.strip()]
    missing = [name for name in names if name.casefold() not in house.sites]
    if missing:
        raise MalformedError(f"There is no site {missing[0][:60]!r}.", field="sites")
    if len(names) > contract_sites.MAX_SITES:
        raise MalformedError(f"Name at most {contract_sites.MAX_SITES} sites.", field="sites")
    return list(dict.fromkeys(house.sites[name.casefold()] for name in names))


async def store(tx: Transaction, clock: Clock, organisation_id: str, actor: Actor, plans: Sequence[Plan]) -> None:
    """Store what is new, with its units."""
    for plan in plans:
        await _store_one(tx, clock, organisation_id, actor, plan)


async def _store_one(tx: Transaction, clock: Clock, organisation_id: str, actor: Actor, plan: Plan) -> None:
    now_us = clock.now_us()
    row = ContractRow(
        contract_id=new_id(now_us),
        organisation_id=organisation_id,
        customer_id=plan.customer.customer_id,
        number=plan.number,
        kind=plan.terms.kind,
        state=ContractState.DRAFT if plan.starts_us is None else ContractState.ACTIVE,
        created_us=now_us,
        starts_us=plan.starts_us,
        ends_us=plan.ends_us,
        extensions=0,
    )
    effective_us = now_us if plan.starts_us is None else plan.starts_us
    await tx.contracts.add(row, contracts.version_of(clock, row, 1, effective_us, actor, plan.terms))
    if plan.site_ids:
        await contract_sites.save_in(tx, clock, actor, row, plan.site_ids, [])
    if plan.unit_ids:
        try:
            await equipment.assign_in(tx, clock, actor, row, plan.unit_ids)
        except ConflictError as error:
            raise ConflictError(f"{plan.number}: {error}", field="units") from error
    what = "as a draft" if plan.starts_us is None else "as active"
    await contracts.record(tx, clock, actor, row, "contract.imported", f"Contract {row.number} imported {what}")
