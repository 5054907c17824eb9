"""CSV import of customers and units: read whole, checked row by row, stored all or not at all."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hashyard_cloud.errors import ConflictError, MalformedError, TooLargeError
from hashyard_cloud.services import activity
from hashyard_cloud.services.customers import CustomerInput
from hashyard_cloud.services.equipment import UnitInput, new_unit
from hashyard_cloud.services.inputs import InputError, read
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.equipment import UnitState
from hashyard_shared.clock import Clock
from hashyard_shared.ids import new_id

Lines = Sequence[tuple[int, dict[str, str]]]
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_ROWS: Final = 20_000
MAX_PROBLEMS_SHOWN: Final = 100
TRUE_WORDS: Final = frozenset({"1", "yes", "true", "on", "y"})


class ImportKind(StrEnum):
    """What is imported."""

    CUSTOMERS = "customers"
    EQUIPMENT = "equipment"


COLUMNS: Final[Mapping[ImportKind, tuple[str, ...]]] = {
    ImportKind.CUSTOMERS: (
        *("name", "company", "email", "billing_email", "phone", "currency", "notes"),
        *("active", "portal_access"),
    ),
    ImportKind.EQUIPMENT: (
        *("site", "label", "position", "serial", "mac", "model", "expected_hashrate_ths", "nameplate_w"),
    ),
}
REQUIRED: Final[Mapping[ImportKind, tuple[str, ...]]] = {
    ImportKind.CUSTOMERS: ("name", "email"),
    ImportKind.EQUIPMENT: ("site", "label"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line; `line` counts as an editor does, the heading being 1."""

    line: int
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """A file as read. It can be imported when there are no problems."""

    kind: ImportKind
    rows: Sequence[Mapping[str, str]]
    problems: Sequence[Problem]


def parse(kind: ImportKind, body: bytes) -> list[tuple[int, dict[str, str]]]:
    """Lines of a CSV in UTF-8 with a heading; raises `MalformedError` or `TooLargeError` with what to do."""
    if len(body) > MAX_BYTES:
        raise TooLargeError(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB; split it.")
    try:
        reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig")), strict=True)
        headings = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = headings
        missing = [name for name in REQUIRED[kind] if name not in headings]
        if missing:
            raise MalformedError(f"The first line must name the column {missing[0]}.", field="file")
        unknown = [name for name in headings if name not in COLUMNS[kind]]
        if unknown:
            known = ", ".join(COLUMNS[kind])
            raise MalformedError(f"There is no column {unknown[0][:40]!r}; known are: {known}.", field="file")
        lines: list[tuple[int, dict[str, str]]] = []
        for record in reader:
            if len(lines) >= MAX_ROWS:
                raise TooLargeError(f"The file has more than {MAX_ROWS:,} rows; split it.")
            lines.append((reader.line_num, {name: (record.get(name) or "").strip() for name in headings}))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedError(f"The file is not a CSV in UTF-8: {error}", field="file") from error
    if not lines:
        raise MalformedError("The file has no rows below its heading.", field="file")
    return lines


async def preview(
    database: Database, organisation_id: str, kind: ImportKind, body: bytes, currency: str
) -> Preview:
    """Read and check; nothing is stored."""
    lines = parse(kind, body)
    async with database.reading() as tx:
        checked = await _check(tx, organisation_id, kind, lines, currency)
    return Preview(kind, [row for _, row in lines], checked.problems)


@dataclass(slots=True)
class _Checked:
    customers: list[CustomerInput]
    units: list[UnitInput]
    problems: list[Problem]


async def _check(
    tx: Transaction,
    organisation_id: str,
    kind: ImportKind,
    lines: Sequence[tuple[int, dict[str, str]]],
    currency: str,
) -> _Checked:
    found = _Checked([], [], [])
    if kind is ImportKind.CUSTOMERS:
        known = {row.email for row in await tx.customers.all(organisation_id)}
        for number, row in lines:
            _check_customer(number, row, currency, known, found)
        return found
    sites = {row.name.lower(): row.site_id for row in await tx.sites.all(organisation_id)}
    sites |= {row.code.lower(): row.site_id for row in await tx.sites.all(organisation_id) if row.code}
    units = await tx.equipment.all(organisation_id)
    taken = {"label": {row.label for row in units}, "mac": {row.mac for row in units if row.mac}}
    for number, row in lines:
        _check_unit(number, row, sites, taken, found)
    return found


def _check_customer(number: int, row: dict[str, str], currency: str, known: set[str], found: _Checked) -> None:
    flags = {name: row.get(name, "yes").lower() in TRUE_WORDS for name in ("active", "portal_access")}
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
) -> int:
    """Check again and store everything; with a single problem nothing is stored. Answers how many."""
    lines = parse(kind, body)
    async with database.transaction() as tx:
        checked = await _check(tx, organisation_id, kind, lines, currency)
        if checked.problems:
            first = checked.problems[0]
            raise ConflictError(
                f"Line {first.line}, {first.field}: {first.text} Nothing was imported.", field="file"
            )
        for given in checked.customers:
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
        for unit in checked.units:
            await tx.equipment.add(new_unit(clock, organisation_id, unit, UnitState.STAGED))
        for site_id in {unit.site_id for unit in checked.units}:
            await tx.desired.bump(organisation_id, site_id)
        text = f"{len(lines)} {kind.value} imported from a CSV"
        await activity.record(tx, clock.now_us(), organisation_id, actor, "import.stored", text)
    return len(lines)
