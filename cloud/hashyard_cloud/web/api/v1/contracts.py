"""Contracts: drafts, their set-up, and dated terms."""

from typing import Annotated, Any, Final

from pydantic import Field

from hashyard_cloud.services import contracts
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.contracts import DAY_S, TermsInput
from hashyard_cloud.services.inputs import InputError, read
from hashyard_cloud.services.ports.contracts import (
    BillingBasis,
    ContractKind,
    ContractRow,
    ContractState,
    ContractVersionRow,
)
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import (
    Amount,
    Answer,
    Body,
    Clause,
    Currency,
    Id,
    Instant,
    Line,
    Page,
    PageQuery,
    Seconds,
    at_us,
)
from hashyard_cloud.web.pages import MANAGERS, STAFF

MAX_UNITS: Final = 5_000
_PERCENT_BP: Final = 100
_W_PER_KW: Final = 1_000
WAITS: Final = ("due", "grace", "cure")


class Terms(Answer):
    """What a contract says from `effective_at` on. `rate` is per kWh; waits are in seconds."""

    version: int
    effective_at: str
    currency: str
    billing_basis: BillingBasis
    rate: str
    fixed_monthly: str
    power_cap_kw: float | None
    term_months: int | None
    auto_renew: bool
    notice_days: int
    failover: str | None
    due_s: int
    grace_s: int
    cure_s: int
    late_fee: str
    deposit: str
    minimum_uptime_percent: float
    redirect_clause: str
    redirect_clause_given: bool
    accepted_at: str | None
    accepted_by: str
    spec_model: str
    spec_hashrate_ths: float | None
    spec_quantity: int | None
    connector_fee_percent: float
    payout_wallet: str
    created_at: str
    created_by: str


class Contract(Answer):
    """A contract without its terms. `ends_at` is exclusive."""

    contract_id: str
    customer_id: str
    number: str
    kind: ContractKind
    state: ContractState
    created_at: str
    starts_at: str | None
    ends_at: str | None
    extensions: int


class ContractWithTerms(Answer):
    """A contract with all its dated terms, oldest first."""

    contract: Contract
    terms: list[Terms]


class TermsBody(Body):
    """Terms as people write them. A redirect clause binds once it is given, with who accepted it."""

    kind: ContractKind = ContractKind.HOSTED
    currency: Currency = "USD"
    billing_basis: BillingBasis = BillingBasis.METERED
    rate: Amount = "0"
    fixed_monthly: Amount = "0"
    power_cap_kw: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    term_months: Annotated[int, Field(ge=1, le=240)] | None = None
    auto_renew: bool = False
    notice_days: Annotated[int, Field(ge=0, le=365)] = 30
    failover: Amount = "0"
    due_s: Seconds = 15 * DAY_S
    grace_s: Seconds = 15 * DAY_S
    cure_s: Seconds = 10 * DAY_S
    late_fee: Amount = "0"
    deposit: Amount = "0"
    minimum_uptime_percent: Annotated[float, Field(ge=0, le=100)] = 95
    redirect_clause: Clause = ""
    redirect_clause_given: bool = False
    accepted_by: Line = ""
    spec_model: Line = ""
    spec_hashrate_ths: Annotated[float, Field(ge=0, le=100_000)] | None = None
    spec_quantity: Annotated[int, Field(ge=1, le=100_000)] | None = None
    connector_fee_percent: Annotated[float, Field(ge=0, le=100)] = 0
    payout_wallet: Line = ""


class DraftBody(Body):
    """Whose contract, and its terms."""

    customer_id: Id
    terms: TermsBody


class CompleteBody(Body):
    """The units to assign; none for contracts that need none."""

    unit_ids: Annotated[list[Id], Field(max_length=MAX_UNITS)] = Field(default_factory=list)


class NewTermsBody(Body):
    """Other terms, from a time on that is not past."""

    effective_at: Instant
    terms: TermsBody


class ExtendBody(Body):
    """By how many months."""

    months: Annotated[int, Field(ge=1, le=60)]


class ContractsQuery(PageQuery):
    """Which contracts."""

    customer_id: Id | None = None
    state: ContractState | None = None


def _terms(row: ContractVersionRow) -> Terms:
    return Terms.of(
        row,
        power_cap_kw=None if row.power_cap_w is None else row.power_cap_w / _W_PER_KW,
        minimum_uptime_percent=row.minimum_uptime_bp / _PERCENT_BP,
        connector_fee_percent=(row.connector_fee_bp or 0) / _PERCENT_BP,
    )


def _given(body: TermsBody) -> TermsInput:
    values: dict[str, Any] = body.model_dump(exclude_none=True)
    for name in WAITS:
        values[name] = values.pop(f"{name}_s")
    try:
        return read(TermsInput, values)
    except InputError as error:
        raise InputError({_api_name(field): text for field, text in error.errors.items()}) from error


def _api_name(field: str) -> str:
    return f"{field}_s" if field in WAITS else field


async def list_contracts(call: Call, query: ContractsQuery) -> Page[Contract]:
    """All contracts, newest first."""
    async with call.database.reading() as tx:
        rows = await tx.listings.contracts_after(
            call.org,
            paging.after(query),
            query.limit + 1,
            customer_id=query.customer_id,
            state=query.state and query.state.value,
        )
    shown, following = paging.cut(rows, lambda row: (row.created_us, row.contract_id), query)
    return Page[Contract](items=[Contract.of(row) for row in shown], next_cursor=following)


async def _with_terms(call: Call, contract_id: str) -> ContractWithTerms:
    async with call.database.reading() as tx:
        row = await contracts.get(tx, call.org, contract_id)
        versions = await tx.contracts.versions(call.org, contract_id)
    return ContractWithTerms(contract=Contract.of(row), terms=[_terms(version) for version in versions])


async def get_contract(call: Call) -> ContractWithTerms:
    """One contract with its terms."""
    return await _with_terms(call, call.ids["contract_id"])


async def draft_contract(call: Call, body: DraftBody) -> ContractWithTerms:
    """Save a draft."""
    row = await contracts.draft(
        call.database, call.clock, call.org, call.actor, body.customer_id, _given(body.terms)
    )
    return await _with_terms(call, row.contract_id)


async def redraft_contract(call: Call, body: TermsBody) -> ContractWithTerms:
    """Rewrite the terms of a draft."""
    contract_id = call.ids["contract_id"]
    await contracts.save_draft(call.database, call.clock, call.org, call.actor, contract_id, _given(body))
    return await _with_terms(call, contract_id)


async def complete_contract(call: Call, body: CompleteBody) -> Contract:
    """Assign the units and make a draft active, all or nothing."""
    row: ContractRow = await contracts.complete(
        call.database, call.clock, call.org, call.actor, call.ids["contract_id"], body.unit_ids
    )
    return Contract.of(row)


async def discard_contract(call: Call) -> Contract:
    """Cancel a draft; it keeps its number."""
    return Contract.of(
        await contracts.discard(call.database, call.clock, call.org, call.actor, call.ids["contract_id"])
    )


async def add_terms(call: Call, body: NewTermsBody) -> Terms:
    """Other terms from a time on; what was in force before stays."""
    effective_us = at_us(body.effective_at, "effective_at")
    row = await contracts.new_terms(
        call.database,
        call.clock,
        call.org,
        call.actor,
        call.ids["contract_id"],
        effective_us,
        _given(body.terms),
    )
    return _terms(row)


async def extend_contract(call: Call, body: ExtendBody) -> Contract:
    """Extend a term by hand."""
    row = await contracts.extend(
        call.database, call.clock, call.org, call.actor, call.ids["contract_id"], body.months
    )
    return Contract.of(row)


async def end_contract(call: Call) -> Contract:
    """End an active contract now; its units stay assigned."""
    return Contract.of(
        await contracts.end(call.database, call.clock, call.org, call.actor, call.ids["contract_id"])
    )


_CONTRACTS: Final = Feature(Area.CONTRACTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _CONTRACTS.read("/contracts", list_contracts, STAFF),
    _CONTRACTS.add("/contracts", draft_contract, MANAGERS),
    _CONTRACTS.read("/contracts/{contract_id}", get_contract, STAFF),
    _CONTRACTS.put("/contracts/{contract_id}/draft", redraft_contract, MANAGERS),
    _CONTRACTS.act("/contracts/{contract_id}/complete", complete_contract, MANAGERS),
    _CONTRACTS.act("/contracts/{contract_id}/discard", discard_contract, MANAGERS),
    _CONTRACTS.add("/contracts/{contract_id}/terms", add_terms, MANAGERS),
    _CONTRACTS.act("/contracts/{contract_id}/extend", extend_contract, MANAGERS),
    _CONTRACTS.act("/contracts/{contract_id}/end", end_contract, MANAGERS),
)
