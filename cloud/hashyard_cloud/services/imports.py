"""CSV import: read whole, checked row by row, stored all or not at all. What is there already is left as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hashyard_cloud.errors import ConflictError
from hashyard_cloud.services import activity, import_balances, import_contracts
from hashyard_cloud.services.customers import CustomerInput
from hashyard_cloud.services.equipment import UnitInput, new_unit
from hashyard_cloud.services.import_balances import Balance
from hashyard_cloud.services.import_contracts import Plan
from hashyard_cloud.services.import_files import FALSE_WORDS, TRUE_WORDS, ImportKind, Lines, Problem, parse
from hashyard_cloud.services.inputs import InputError, read
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.equipment import UnitState
from hashyard_shared.clock import Clock
from hashyard_shared.ids import new_id


@dataclass(frozen=True, slots=True)
class Preview:
    """A file as read. It can be imported when there are no problems; `known` rows are there already."""

    kind: ImportKind
    rows: Sequence[Mapping[str, str]]
    problems: Sequence[Problem]
    known: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """How many rows were stored, and how many were there already."""

    new: int
    known: int


async def preview(
    database: Database, clock: Clock, organisation_id: str, kind: ImportKind, body: bytes, currency: str
) -> Preview:
    """Read and check; nothing is stored."""
    lines = parse(kind, body)
    async with database.reading() as tx:
        checked = await _check(tx, clock, organisation_id, kind, lines, currency)
    return Preview(kind, [row for _, row in lines], checked.problems, checked.known)


@dataclass(slots=True)
class _Checked:
    customers: list[CustomerInput] = field(default_factory=list)
    units: list[UnitInput] = field(default_factory=list)
    contracts: list[Plan] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    known: int = 0

    @property
    def new(self) -> int:
        return len(self.customers) + len(self.units) + len(self.contracts) + len(self.balances)


async def _check(
    tx: Transaction, clock: Clock, organisation_id: str, kind: ImportKind, lines: Lines, currency: str
) -> _Checked:
    found = _Checked()
    if kind is ImportKind.CUSTOMERS:
        known = {row.email for row in await tx.customers.all(organisation_id)}
        for number, row in lines:
            _check_customer(number, row, currency, known, found)
    elif kind is ImportKind.EQUIPMENT:
        await _check_units(tx, organisation_id, lines, found)
    elif kind is ImportKind.CONTRACTS:
        plans = await import_contracts.check(tx, organisation_id, lines, clock)
        found.contracts, found.known, found.problems = plans.new, plans.known, plans.problems
    else:
        balances = await import_balances.check(tx, organisation_id, lines, clock.now_us())
        found.balances, found.known, found.problems = balances.new, balances.known, balances.problems
    return found


async def _check_units(tx: Transaction, organisation_id: str, lines: Lines, found: _Checked) -> None:
    sites = {row.name.lower(): row.site_id for row in await tx.sites.all(organisation_id)}
    sites |= {row.code.lower(): row.site_id for row in await tx.sites.all(organisation_id) if row.code}
    units = await tx.equipment.all(organisation_id)
    taken = {"label": {row.label for row in units}, "mac": {row.mac for row in units if row.mac}}
    for number, row in lines:
        _check_unit(number, row, sites, taken, found)


def _check_customer(number: int, row: dict[str, str], currency: str, known: set[str], found: _Checked) -> None:
    words = {name: row.get(name, "yes").lower() for name in ("active", "portal_access")}
    for name, word in words.items():
        if word not in TRUE_WORDS | FALSE_WORDS:
            found.problems.append(Problem(number, name, "Write yes or no."))
    flags = {name: word in TRUE_WORDS for name, word in words.items()}
    texts = {name: value for name, value in row.items() if name not in flags and value}
    try:
        given = read(CustomerInput, {"currency": currency} | texts | flags)
    except InputError as error:
        found.problems += [Problem(number, name, text) for name, text in error.errors.items()]
        return
    if given.email in known:
        found.problems.append(Problem(number, "email", f"{given.email} is here already, or twice in the file."))
    known.add(given.email)
    found.customers.append(given)


def _check_unit(
    number: int, row: dict[str, str], sites: Mapping[str, str], taken: dict[str, set[str]], found: _Checked
) -> None:
    site_id = sites.get(row["site"].lower())
    if site_id is None:
        found.problems.append(Problem(number, "site", f"There is no site {row['site'][:60]!r}."))
        return
    try:
        given = read(
            UnitInput, {name: value for name, value in row.items() if name != "site"} | {"site_id": site_id}
        )
    except InputError as error:
        found.problems += [Problem(number, name, text) for name, text in error.errors.items()]
        return
    for name in ("label", "mac"):
        value = getattr(given, name)
        if value and value in taken[name]:
            found.problems.append(Problem(number, name, f"{value} is here already, or twice in the file."))
        elif value:
            taken[name].add(value)
    found.units.append(given)


async def store(
    database: Database,
    clock: Clock,
    organisation_id: str,
    actor: Actor,
    kind: ImportKind,
    body: bytes,
    currency: str,
) -> Stored:
    """Check again and store everything; with a single problem nothing is stored."""
    lines = parse(kind, body)
    async with database.transaction() as tx:
        checked = await _check(tx, clock, organisation_id, kind, lines, currency)
        if checked.problems:
            first = checked.problems[0]
            raise ConflictError(
                f"Line {first.line}, {first.field}: {first.text} Nothing was imported.", field="file"
            )
        await _store_customers(tx, clock, organisation_id, checked.customers)
        await _store_units(tx, clock, organisation_id, checked.units)
        await import_contracts.store(tx, clock, organisation_id, actor, checked.contracts)
        await import_balances.store(tx, clock.now_us(), actor, checked.balances)
        if checked.new:
            text = f"{checked.new} {kind.label} imported from a CSV"
            await activity.record(tx, clock.now_us(), organisation_id, actor, "import.stored", text)
    return Stored(checked.new, checked.known)


async def _store_customers(
    tx: Transaction, clock: Clock, organisation_id: str, rows: Sequence[CustomerInput]
) -> None:
    for given in rows:
        now_us = clock.now_us()
        await tx.customers.add(
            CustomerRow(
                customer_id=new_id(now_us),
                organisation_id=organisation_id,
                team_name=given.company or given.name,
                created_us=now_us,
                **given.model_dump(),
            )
        )


async def _store_units(tx: Transaction, clock: Clock, organisation_id: str, rows: Sequence[UnitInput]) -> None:
    for unit in rows:
        await tx.equipment.add(new_unit(clock, organisation_id, unit, UnitState.STAGED))
    for site_id in {unit.site_id for unit in rows}:
        await tx.desired.bump(organisation_id, site_id)
