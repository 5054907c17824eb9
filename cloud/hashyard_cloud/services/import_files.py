"""CSV files as people send them: the columns of each kind, bounds, and lines with their numbers."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hashyard_cloud.errors import MalformedError, TooLargeError

Lines = Sequence[tuple[int, dict[str, str]]]
"""Number and cells by heading; a line's number counts as an editor does, the heading being 1."""
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_ROWS: Final = 20_000
MAX_CONTRACT_ROWS: Final = 5_000
TRUE_WORDS: Final = frozenset({"1", "yes", "true", "on", "y"})
FALSE_WORDS: Final = frozenset({"", "0", "no", "false", "off", "n"})
LIST_MARK: Final = ";"
"""Between several units or sites in one cell."""


class ImportKind(StrEnum):
    """What is imported."""

    CUSTOMERS = "customers"
    EQUIPMENT = "equipment"
    CONTRACTS = "contracts"
    OPENING_BALANCES = "opening-balances"

    @property
    def label(self) -> str:
        """As people read it."""
        return self.value.replace("-", " ")

    @property
    def max_rows(self) -> int:
        """How many rows one file may have."""
        return MAX_CONTRACT_ROWS if self is ImportKind.CONTRACTS else MAX_ROWS


TERMS_COLUMNS: Final = (
    *("billing_basis", "rate", "fixed_monthly", "currency", "power_cap_kw", "term_months", "auto_renew"),
    *("notice_days", "failover", "due", "grace", "cure", "late_fee", "deposit", "minimum_uptime_percent"),
    *("redirect_clause", "redirect_clause_given", "accepted_by", "spec_model", "spec_hashrate_ths"),
    *("spec_quantity", "connector_fee_percent", "payout_wallet"),
)
COLUMNS: Final[Mapping[ImportKind, tuple[str, ...]]] = {
    ImportKind.CUSTOMERS: (
        *("name", "company", "email", "billing_email", "phone", "currency", "notes"),
        *("active", "portal_access"),
    ),
    ImportKind.EQUIPMENT: (
        *("site", "label", "position", "serial", "mac", "model", "expected_hashrate_ths", "nameplate_w"),
    ),
    ImportKind.CONTRACTS: ("number", "customer", "kind", "starts_on", *TERMS_COLUMNS, "units", "sites"),
    ImportKind.OPENING_BALANCES: ("customer", "amount", "currency", "as_of", "note"),
}
REQUIRED: Final[Mapping[ImportKind, tuple[str, ...]]] = {
    ImportKind.CUSTOMERS: ("name", "email"),
    ImportKind.EQUIPMENT: ("site", "label"),
    ImportKind.CONTRACTS: ("number", "customer"),
    ImportKind.OPENING_BALANCES: ("customer", "amount"),
}
SAMPLES: Final[Mapping[ImportKind, tuple[Mapping[str, str], ...]]] = {
    ImportKind.CUSTOMERS: (
        {"name": "Prairie Hash", "email": "ops@prairie.example", "active": "yes", "portal_access": "yes"},
    ),
    ImportKind.EQUIPMENT: (
        {"site": "PN", "label": "PN-A01-01", "mac": "02:00:00:00:00:01", "model": "Antminer S21"}
        | {"expected_hashrate_ths": "200", "nameplate_w": "3500"},
    ),
    ImportKind.CONTRACTS: (
        {"number": "C-1042", "customer": "ops@prairie.example", "kind": "hosted", "starts_on": "2026-03-01"}
        | {"billing_basis": "metered", "rate": "0.078", "currency": "USD", "term_months": "24"}
        | {"auto_renew": "yes", "notice_days": "30", "due": "15 d", "units": "PN-A01-01; PN-A01-02"},
        {"number": "C-1043", "customer": "Prairie Hash", "kind": "lease", "rate": "0.081", "term_months": "12"},
    ),
    ImportKind.OPENING_BALANCES: (
        {"customer": "ops@prairie.example", "amount": "1250.00", "currency": "USD", "as_of": "2026-03-01"}
        | {"note": "owed under the former system"},
        {"customer": "Prairie Hash", "amount": "-300.00", "currency": "EUR", "note": "prepaid"},
    ),
}
"""What the sample file shows."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line."""

    line: int
    field: str
    text: str


def sample(kind: ImportKind) -> str:
    """A small file of this kind to fill in."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS[kind], restval="")
    writer.writeheader()
    writer.writerows(SAMPLES[kind])
    return text.getvalue()


def parse(kind: ImportKind, body: bytes) -> list[tuple[int, dict[str, str]]]:
    """Lines of a CSV in UTF-8 with a heading; raises `MalformedError` or `TooLargeError` with what to do."""
    if len(body) > MAX_BYTES:
        raise TooLargeError(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB; split it.", field="file")
    try:
        reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig")), strict=True)
        headings = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = headings
        _check_headings(kind, headings)
        lines: list[tuple[int, dict[str, str]]] = []
        for record in reader:
            if len(lines) >= kind.max_rows:
                raise TooLargeError(f"The file has more than {kind.max_rows:,} rows; split it.", field="file")
            if None in record:
                raise MalformedError(
                    f"Line {reader.line_num} has more cells than the heading has columns.", field="file"
                )
            lines.append((reader.line_num, {name: (record.get(name) or "").strip() for name in headings}))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedError(f"The file is not a CSV in UTF-8: {error}", field="file") from error
    if not lines:
        raise MalformedError("The file has no rows below its heading.", field="file")
    return lines


def _check_headings(kind: ImportKind, headings: Sequence[str]) -> None:
    missing = [name for name in REQUIRED[kind] if name not in headings]
    if missing:
        raise MalformedError(f"The first line must name the column {missing[0]}.", field="file")
    unknown = [name for name in headings if name not in COLUMNS[kind]]
    if unknown:
        known = ", ".join(COLUMNS[kind])
        raise MalformedError(f"There is no column {unknown[0][:40]!r}; known are: {known}.", field="file")
    twice = [name for name in headings if headings.count(name) > 1]
    if twice:
        raise MalformedError(f"The column {twice[0]} is there twice.", field="file")
