"""Gathers what the redirect gate looks at from the stores, for one case."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hashyard_cloud.domain import gate
from hashyard_cloud.domain.partial import Candidate, chosen
from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services.case_money import CaseMoney, case_money
from hashyard_cloud.services.invoices import terms_of
from hashyard_cloud.services.orders import holding_pool
from hashyard_cloud.services.ports.contracts import ContractRow, ContractVersionRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import CaseRow, GateRow, LegalHoldRow
from hashyard_cloud.services.ports.equipment import BoundUnit, UnitState
from hashyard_cloud.services.ports.miners import SeenMiner
from hashyard_cloud.services.ports.notices import NoticeRow
from hashyard_cloud.services.ports.redirects import RedirectUnitRow
from hashyard_shared.clock import iso
from hashyard_shared.errors import ErrorCode
from hashyard_shared.ids import new_id

HELD_TEXTS: Final = {
    ErrorCode.PASSWORD_UNKNOWN: "pool password not recorded on site",
    ErrorCode.NOT_RESTORABLE: "its pools cannot be restored exactly",
    ErrorCode.NO_SNAPSHOT: "no snapshot could be kept",
    ErrorCode.FAMILY_READ_ONLY: "its firmware is read-only",
    ErrorCode.QUARANTINED: "its model and firmware are quarantined",
    ErrorCode.DUPLICATE_MAC: "its MAC address exists twice",
    ErrorCode.BOARD_SWAPPED: "its control board was swapped",
    ErrorCode.MAINTENANCE: "it is paused for maintenance",
    ErrorCode.POOLS_BLANK: "its pool list reads as blank",
    ErrorCode.REASSIGNED: "it belongs to another customer now",
}
"""Refusals that say a unit cannot be redirected and restored exactly; it is held back and the others go."""


@dataclass(frozen=True, slots=True)
class CaseSituation:
    """A case with everything that its gate was judged on."""

    case: CaseRow
    contract: ContractRow
    version: ContractVersionRow
    money: CaseMoney
    notices: Sequence[NoticeRow]
    bound: Sequence[BoundUnit]
    redirect_units: Sequence[RedirectUnitRow]
    facts: gate.Facts
    verdict: gate.Verdict


async def situation(tx: Transaction, now_us: int, case: CaseRow, bounce_wait_s: int) -> CaseSituation:
    """Gather and judge."""
    organisation = await tx.organisations.get(case.organisation_id)
    contract = await tx.contracts.get(case.organisation_id, case.contract_id)
    version = await tx.contracts.version_at(case.organisation_id, case.contract_id, now_us)
    if organisation is None or contract is None or version is None:
        raise NotFoundError
    money = await case_money(tx, case)
    notices = await _notices(tx, case)
    bound = await tx.equipment.bound(case.organisation_id, contract_id=case.contract_id)
    rows = await tx.redirects.units(case.organisation_id, case_id=case.case_id)
    approvals = await tx.defaults.approvals(case.organisation_id, case.case_id)
    pool = await holding_pool(tx, case.organisation_id)
    facts = gate.Facts(
        now_us=now_us,
        clause=_clause(contract, version),
        case=gate.Case(case.case_id, case.number, case.state, case.reason, case.opened_us),
        terms=terms_of(version),
        bounce_wait_s=bounce_wait_s,
        notices=[gate.Notice(row.notice_id, row.kind, row.delivery) for row in notices],
        debt=money.to_cure,
        claim=money.claim,
        disputes=await _disputes(tx, case),
        legal_holds=await _legal_holds(tx, case, {one.unit.site_id for one in bound}),
        approvals_required=organisation.approvals_required,
        approvals=[
            gate.Approval(row.user_id, row.user_name, row.binding) for row in approvals if row.withdrawn_us is None
        ],
        redirect_enabled=organisation.redirect_enabled,
        holding_pool=pool.reference if pool is not None else None,
        units=await _units(tx, now_us, case, bound, rows),
    )
    return CaseSituation(case, contract, version, money, notices, bound, rows, facts, gate.evaluate(facts))


def _clause(contract: ContractRow, version: ContractVersionRow) -> gate.Clause:
    given = version.redirect_clause_given and bool(version.redirect_clause.strip())
    return gate.Clause(
        contract.number,
        version.version,
        version.redirect_clause,
        given,
        version.version_id,
        version.accepted_us,
        version.accepted_by,
    )


async def _notices(tx: Transaction, case: CaseRow) -> list[NoticeRow]:
    """Those of the case itself, and the reminders for its invoices."""
    found = {row.notice_id: row for row in await tx.notices.all(case.organisation_id, case_id=case.case_id)}
    for invoice_id in await tx.defaults.invoice_ids(case.organisation_id, case.case_id):
        for row in await tx.notices.all(case.organisation_id, invoice_id=invoice_id):
            found[row.notice_id] = row
    return sorted(found.values(), key=lambda row: (row.created_us, row.notice_id))


async def _disputes(tx: Transaction, case: CaseRow) -> list[gate.Record]:
    rows = await tx.defaults.disputes(case.organisation_id, case.customer_id)
    return [
        gate.Record(row.dispute_id, f"Raised {iso(row.raised_us)} by {row.raised_by}: {row.text}")
        for row in rows
        if row.resolved_us is None and row.contract_id in {None, case.contract_id}
    ]


async def _legal_holds(tx: Transaction, case: CaseRow, site_ids: set[str]) -> list[gate.Record]:
    rows = await tx.defaults.holds(case.organisation_id)
    return [
        gate.Record(row.hold_id, f"Placed {iso(row.placed_us)} by {row.placed_by}: {row.reason}")
        for row in rows
        if row.lifted_us is None and covers(row, case, site_ids)
    ]


def covers(hold: LegalHoldRow, case: CaseRow, site_ids: set[str]) -> bool:
    """Whether a hold is about this case: each of customer, contract and site that it names must match."""
    return (
        hold.customer_id in {None, case.customer_id}
        and hold.contract_id in {None, case.contract_id}
        and (hold.site_id is None or hold.site_id in site_ids)
    )


async def _units(
    tx: Transaction,
    now_us: int,
    case: CaseRow,
    bound: Sequence[BoundUnit],
    rows: Sequence[RedirectUnitRow],
) -> list[gate.Unit]:
    """The contract's units, or the agreed share of them, each with why it is held back, if it is."""
    wanted = set(
        chosen(
            [Candidate(one.unit.unit_id, one.unit.expected_hashrate_ths or 0.0) for one in bound],
            case.redirect_percent,
        )
    )
    shadowed = {site.site_id for site in await tx.sites.all(case.organisation_id) if site.shadow_mode}
    macs = [one.unit.mac for one in bound if one.unit.mac]
    seen = {one.miner.mac: one for one in await tx.miners.seen(case.organisation_id, macs=macs)}
    by_unit = {row.unit_id: row for row in rows}
    return [
        gate.Unit(
            one.unit.unit_id,
            one.unit.label,
            one.unit.site_id in shadowed,
            _held_back(now_us, one, seen.get(one.unit.mac), by_unit.get(one.unit.unit_id)),
        )
        for one in bound
        if one.unit.unit_id in wanted
    ]


def _held_back(now_us: int, bound: BoundUnit, seen: SeenMiner | None, row: RedirectUnitRow | None) -> str | None:
    unit = bound.unit
    if unit.mac is None:
        return "has no MAC address"
    if unit.state in {UnitState.REPAIR, UnitState.RETIRED}:
        return f"is in state {unit.state.value}"
    if seen is None:
        return "was never found on site"
    if not seen.miner.writable:
        return f"runs {seen.miner.family or 'an unknown firmware'}, which is read-only"
    if row is not None and row.held_code is not None and (row.held_until_us or 0) > now_us:
        return HELD_TEXTS.get(row.held_code, row.held_code.value)
    return None


async def record_gate(tx: Transaction, found: CaseSituation, occasion: str) -> None:
    """Keep the gate as it was judged: evidence shows what a redirect rested on, not what is true today."""
    case, now_us = found.case, found.facts.now_us
    conditions = [
        {
            "key": item.key.value,
            "met": item.met,
            "effect": item.effect.value,
            "title": item.title,
            "text": item.text,
            "evidence": item.evidence,
        }
        for item in found.verdict.conditions
    ]
    await tx.defaults.add_gate(
        GateRow(
            gate_id=new_id(now_us),
            organisation_id=case.organisation_id,
            case_id=case.case_id,
            at_us=now_us,
            occasion=occasion,
            open=found.verdict.open,
            conditions=json.dumps(conditions, ensure_ascii=False),
            currency=case.currency,
            claim_micro=found.money.claim.micro,
            to_cure_micro=found.money.to_cure.micro,
            binding=found.facts.binding,
            unit_ids=json.dumps([unit.unit_id for unit in found.verdict.units]),
        )
    )
