"""Contracts and their dated versions. Terms are never edited back: a change is a new version from a date on."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ContractKind(StrEnum):
    """The four kinds of contract."""

    HOSTED = "hosted"
    LEASE = "lease"
    INFINITY = "infinity"
    OPERATIONS = "operations"

    @property
    def label(self) -> str:
        """As people read it."""
        return {"operations": "O&M"}.get(self.value, self.value.capitalize())


class ContractState(StrEnum):
    """A draft becomes active when its set-up is completed and ends at its term or when it is ended."""

    DRAFT = "draft"
    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"


class BillingBasis(StrEnum):
    """What the kilowatt hours of an invoice come from."""

    METERED = "metered"
    CALCULATED = "calculated"
    HASHRATE = "hashrate"
    FIXED = "fixed"

    @property
    def label(self) -> str:
        """As people read it."""
        return {
            "metered": "metered (PDU)",
            "calculated": "calculated (nameplate watts by hours)",
            "hashrate": "hash-derived",
            "fixed": "fixed monthly",
        }[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRow:
    """A contract; what it says stands in its versions. `ends_us` is exclusive, None without a term."""

    contract_id: str
    organisation_id: str
    customer_id: str
    number: str
    kind: ContractKind
    state: ContractState
    created_us: int
    starts_us: int | None
    ends_us: int | None
    extensions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractVersionRow:
    """The terms from `effective_us` on, until the next version.

    Money is micro-units of `currency`; `rate_micro` is per kWh, `fixed_monthly_micro` per month. `due_s` counts
    from an invoice's issue, `grace_s` from its due date, `cure_s` from the delivered notice of default.
    `minimum_uptime_bp` is in hundredths of a per cent. `redirect_clause` is the clause's text; it binds only while
    `redirect_clause_given`, with who accepted it and when.
    """

    version_id: str
    organisation_id: str
    contract_id: str
    version: int
    effective_us: int
    currency: str
    billing_basis: BillingBasis
    rate_micro: int
    fixed_monthly_micro: int
    power_cap_w: int | None
    term_months: int | None
    auto_renew: bool
    notice_days: int
    failover_micro: int | None
    due_s: int
    grace_s: int
    cure_s: int
    late_fee_micro: int
    deposit_micro: int
    minimum_uptime_bp: int
    redirect_clause: str
    redirect_clause_given: bool
    accepted_us: int | None
    accepted_by: str
    spec_model: str
    spec_hashrate_ths: float | None
    spec_quantity: int | None
    connector_fee_bp: int | None
    payout_wallet: str
    created_us: int
    created_by: str


class ContractsStore(Protocol):
    """Contracts and versions."""

    async def add(self, row: ContractRow, version: ContractVersionRow) -> None: ...

    async def get(self, organisation_id: str, contract_id: str) -> ContractRow | None: ...

    async def all(self, organisation_id: str, customer_id: str | None = None) -> list[ContractRow]:
        """Newest first; of one customer or of all."""
        ...

    async def update(self, row: ContractRow) -> None: ...

    async def ending(self, organisation_id: str, before_us: int) -> list[ContractRow]:
        """Active contracts whose term ends before this time, the earliest first."""
        ...

    async def next_number(self, organisation_id: str, year: int) -> str:
        """A contract number that was not given out, `HC-2026-0031`."""
        ...

    async def add_version(self, version: ContractVersionRow) -> None: ...

    async def versions(self, organisation_id: str, contract_id: str) -> list[ContractVersionRow]:
        """Oldest first."""
        ...

    async def replace_draft_version(self, version: ContractVersionRow) -> None:
        """Replace version 1 of a contract that is still a draft; nothing happens to any other."""
        ...

    async def version_at(self, organisation_id: str, contract_id: str, at_us: int) -> ContractVersionRow | None:
        """The version in force at this time; before the first one came into force, the first."""
        ...

    async def versions_at(
        self, organisation_id: str, at_us: int, contract_ids: Sequence[str] | None = None
    ) -> dict[str, ContractVersionRow]:
        """For every contract of the organisation, the version in force at this time, by contract_id."""
        ...
