"""Contracts: drafts, completing their set-up, and new terms from a date on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from hashyard_cloud.domain.terms import months_later
from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError
from hashyard_cloud.services import activity, contract_sites, equipment
from hashyard_cloud.services.inputs import (
    BLANK_NONE,
    BLANK_ZERO,
    Clause,
    Currency,
    Duration,
    Input,
    MicroAmount,
    ShortText,
)
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.contracts import (
    BillingBasis,
    ContractKind,
    ContractRow,
    ContractState,
    ContractVersionRow,
)
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_shared.clock import Clock, utc
from hashyard_shared.ids import new_id

DAY_S: Final = 86_400
W_PER_KW: Final = 1_000
BP_PER_PERCENT: Final = 100
MAX_EXTENSIONS: Final = 3


class TermsInput(Input):
    """The terms as people write them: cap in kW, uptime in per cent, waits as `15 d` or `2 min`."""

    kind: ContractKind = ContractKind.HOSTED
    currency: Currency = "USD"
    billing_basis: BillingBasis = BillingBasis.METERED
    rate: MicroAmount = 0
    fixed_monthly: MicroAmount = 0
    power_cap_kw: Annotated[Annotated[float, Field(ge=0, le=1_000_000)] | None, BLANK_NONE] = None
    term_months: Annotated[Annotated[int, Field(ge=1, le=240)] | None, BLANK_NONE] = None
    auto_renew: bool = False
    notice_days: Annotated[int, Field(ge=0, le=365)] = 30
    failover: MicroAmount = 0
    due: Duration = 15 * DAY_S
    grace: Duration = 15 * DAY_S
    cure: Duration = 10 * DAY_S
    late_fee: MicroAmount = 0
    deposit: MicroAmount = 0
    minimum_uptime_percent: Annotated[float, Field(ge=0, le=100)] = 95
    redirect_clause: Clause = ""
    redirect_clause_given: bool = False
    accepted_by: ShortText = ""
    spec_model: ShortText = ""
    spec_hashrate_ths: Annotated[Annotated[float, Field(ge=0, le=100_000)] | None, BLANK_NONE] = None
    spec_quantity: Annotated[Annotated[int, Field(ge=1, le=100_000)] | None, BLANK_NONE] = None
    connector_fee_percent: Annotated[float, Field(ge=0, le=100), BLANK_ZERO] = 0
    payout_wallet: ShortText = ""


def check(given: TermsInput) -> None:
    """What fields must agree on; raises `MalformedError` that names one."""
    if given.redirect_clause_given and not given.redirect_clause:
        raise MalformedError("Write down the clause that the customer accepted.", field="redirect_clause")
    if given.redirect_clause_given and not given.accepted_by:
        raise MalformedError("Name who accepted the clause for the customer.", field="accepted_by")
    if given.billing_basis is BillingBasis.FIXED and not given.fixed_monthly:
        raise MalformedError("Give the monthly price.", field="fixed_monthly")
    if given.kind is ContractKind.INFINITY and not given.spec_quantity:
        raise MalformedError("Give the number of miners.", field="spec_quantity")
    if given.kind is ContractKind.LEASE and given.auto_renew:
        raise MalformedError("A lease does not renew by itself; extend it by hand.", field="auto_renew")


def version_of(
    clock: Clock, contract: ContractRow, number: int, effective_us: int, actor: Actor, given: TermsInput
) -> ContractVersionRow:
    """These terms as a version that is not stored yet."""
    now_us = clock.now_us()
    same = given.model_dump(
        include={
            *("currency", "billing_basis", "term_months", "auto_renew", "notice_days", "redirect_clause"),
            *("redirect_clause_given", "accepted_by", "spec_model", "spec_hashrate_ths", "spec_quantity"),
            "payout_wallet",
        }
    )
    return ContractVersionRow(
        version_id=new_id(now_us),
        organisation_id=contract.organisation_id,
        contract_id=contract.contract_id,
        version=number,
        effective_us=effective_us,
        rate_micro=given.rate,
        fixed_monthly_micro=given.fixed_monthly,
        power_cap_w=None if given.power_cap_kw is None else round(given.power_cap_kw * W_PER_KW),
        failover_micro=given.failover or None,
        due_s=given.due,
        grace_s=given.grace,
        cure_s=given.cure,
        late_fee_micro=given.late_fee,
        deposit_micro=given.deposit,
        minimum_uptime_bp=round(given.minimum_uptime_percent * BP_PER_PERCENT),
        accepted_us=now_us if given.redirect_clause_given else None,
        connector_fee_bp=round(given.connector_fee_percent * BP_PER_PERCENT),
        created_us=now_us,
        created_by=actor.name,
        **same,
    )


async def get(tx: Transaction, organisation_id: str, contract_id: str) -> ContractRow:
    """The contract; raises `NotFoundError`."""
    row = await tx.contracts.get(organisation_id, contract_id)
    if row is None:
        raise NotFoundError
    return row


async def draft(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, customer_id: str, given: TermsInput
) -> ContractRow:
    """Step 1 of the wizard: save the terms as a draft."""
    check(given)
    now_us = clock.now_us()
    async with database.transaction() as tx:
        if await tx.customers.get(organisation_id, customer_id) is None:
            raise NotFoundError
        row = ContractRow(
            contract_id=new_id(now_us),
            organisation_id=organisation_id,
            customer_id=customer_id,
            number=await tx.contracts.next_number(organisation_id, utc(now_us).year),
            kind=given.kind,
            state=ContractState.DRAFT,
            created_us=now_us,
            starts_us=None,
            ends_us=None,
            extensions=0,
        )
        await tx.contracts.add(row, version_of(clock, row, 1, now_us, actor, given))
        await record(tx, clock, actor, row, "contract.drafted", f"Contract {row.number} drafted")
    return row


async def save_draft(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, contract_id: str, given: TermsInput
) -> ContractRow:
    """Change a draft's terms; raises `ConflictError` once it is not a draft any more."""
    check(given)
    async with database.transaction() as tx:
        row = await get(tx, organisation_id, contract_id)
        if row.state is not ContractState.DRAFT:
            raise ConflictError("Only a draft can be rewritten; give new terms from a date on instead.")
        before = (await tx.contracts.versions(organisation_id, contract_id))[0]
        version = replace(
            version_of(clock, row, 1, before.effective_us, actor, given), version_id=before.version_id
        )
        row = replace(row, kind=given.kind)
        await tx.contracts.replace_draft_version(version)
        await tx.contracts.update(row)
    return row


async def complete(
    database: Database,
    clock: Clock,
    organisation_id: str,
    actor: Actor,
    contract_id: str,
    unit_ids: Sequence[str] = (),
) -> ContractRow:
    """Step 2 of the wizard: assign the units and make the contract active from now on."""
    now_us = clock.now_us()
    async with database.transaction() as tx:
        row = await get(tx, organisation_id, contract_id)
        if row.state is not ContractState.DRAFT:
            raise ConflictError(f"Contract {row.number} is {row.state.value} already.")
        if row.kind in {ContractKind.HOSTED, ContractKind.LEASE} and not unit_ids:
            raise MalformedError("Select at least one unit.", field="unit_id")
        version = (await tx.contracts.versions(organisation_id, contract_id))[0]
        zone = await zone_of(tx, organisation_id)
        ends_us = None if version.term_months is None else months_later(now_us, version.term_months, zone)
        row = replace(row, state=ContractState.ACTIVE, starts_us=now_us, ends_us=ends_us)
        await tx.contracts.replace_draft_version(replace(version, effective_us=now_us))
        if row.kind is ContractKind.OPERATIONS:
            await contract_sites.start_in(tx, row, now_us)
        await tx.contracts.update(row)
        if unit_ids:
            await equipment.assign_in(tx, clock, actor, row, unit_ids)
        await record(tx, clock, actor, row, "contract.activated", f"Contract {row.number} is active")
    return row


async def discard(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, contract_id: str
) -> ContractRow:
    """Cancel a draft; it keeps its number."""
    async with database.transaction() as tx:
        row = await get(tx, organisation_id, contract_id)
        if row.state is not ContractState.DRAFT:
            raise ConflictError("Only a draft can be discarded.")
        row = replace(row, state=ContractState.CANCELLED)
        await tx.contracts.update(row)
        await record(tx, clock, actor, row, "contract.discarded", f"Draft {row.number} discarded")
    return row


async def new_terms(
    database: Database,
    clock: Clock,
    organisation_id: str,
    actor: Actor,
    contract_id: str,
    effective_us: int | None,
    given: TermsInput,
) -> ContractVersionRow:
    """Other terms from a date on, None being now; what was in force before stays as it was."""
    check(given)
    async with database.transaction() as tx:
        row = await get(tx, organisation_id, contract_id)
        if row.state is not ContractState.ACTIVE:
            raise ConflictError("New terms can be given to an active contract only.")
        versions = await tx.contracts.versions(organisation_id, contract_id)
        now_us = clock.now_us()
        from_us = now_us if effective_us is None else effective_us
        if from_us < max(now_us, versions[-1].effective_us + 1):
            raise MalformedError(
                "New terms start now or later, and after the terms before them.", field="effective"
            )
        version = version_of(clock, row, versions[-1].version + 1, from_us, actor, given)
        await tx.contracts.add_version(version)
        text = f"Contract {row.number}: version {version.version}"
        await record(tx, clock, actor, row, "contract.version", text)
    return version


async def extend(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, contract_id: str, months: int
) -> ContractRow:
    """Extend a term by hand, a limited number of times."""
    if not 1 <= months <= 60:
        raise MalformedError("Extend by 1 to 60 months.", field="months")
    async with database.transaction() as tx:
        row = await get(tx, organisation_id, contract_id)
        if row.state is not ContractState.ACTIVE or row.ends_us is None:
            raise ConflictError("Only an active contract with a term can be extended.")
        if row.extensions >= MAX_EXTENSIONS:
            raise ConflictError(f"This contract was extended {MAX_EXTENSIONS} times already; make a new one.")
        zone = await zone_of(tx, organisation_id)
        day = utc(row.starts_us or row.ends_us).astimezone(zone).day
        ends_us = months_later(row.ends_us, months, zone, day)
        row = replace(row, ends_us=ends_us, extensions=row.extensions + 1)
        await tx.contracts.update(row)
        await record(
            tx, clock, actor, row, "contract.extended", f"Contract {row.number} extended by {months} months"
        )
    return row


async def end(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, contract_id: str
) -> ContractRow:
    """End an active contract now. Its units stay assigned and show up as earning without a contract."""
    async with database.transaction() as tx:
        row = await get(tx, organisation_id, contract_id)
        if row.state is not ContractState.ACTIVE:
            raise ConflictError("Only an active contract can be ended.")
        row = replace(row, state=ContractState.ENDED, ends_us=clock.now_us())
        await tx.contracts.update(row)
        await record(tx, clock, actor, row, "contract.ended", f"Contract {row.number} ended")
    return row


async def zone_of(tx: Transaction, organisation_id: str) -> ZoneInfo:
    """The host's time zone, in which terms are counted."""
    row = await tx.organisations.get(organisation_id)
    if row is None:
        raise NotFoundError
    return ZoneInfo(row.timezone)


async def record(tx: Transaction, clock: Clock, actor: Actor, row: ContractRow, action: str, text: str) -> None:
    """A line in the activity log about a contract."""
    await activity.record(
        tx,
        clock.now_us(),
        row.organisation_id,
        actor,
        action,
        text,
        customer_id=row.customer_id,
        object_kind="contract",
        object_id=row.contract_id,
    )
