"""The end of a contract's term in real SQLite: told, renewed or ended, leased machines back with the host."""

from dataclasses import replace
from typing import Any

import pytest

from hashyard_cloud.domain.dunning import NoticeKind
from hashyard_cloud.domain.terms import Step, months_later
from hashyard_cloud.services import contracts
from hashyard_cloud.services.ports.contracts import ContractKind, ContractRow, ContractState, ContractVersionRow
from hashyard_cloud.services.ports.equipment import UnitState
from hashyard_cloud.services.renewals import Renewals
from hashyard_support.money import OWNER, START_US, Host

DAY_S = 86_400
DAY_US = DAY_S * 1_000_000


async def with_term(host: Host, kind: ContractKind = ContractKind.HOSTED, **terms: Any) -> int:
    """Give the host's contract a term of one month from its start on; answers when it ends."""
    ends_us = months_later(START_US, 1)
    async with host.database.transaction() as tx:
        row = await contracts.get(tx, host.org, host.contract)
        await tx.contracts.update(replace(row, kind=ContractKind.HOSTED, state=ContractState.DRAFT))
        version = (await tx.contracts.versions(host.org, host.contract))[0]
        given = {"term_months": 1, "auto_renew": True, "notice_days": 10, "effective_us": START_US}
        await tx.contracts.replace_draft_version(replace(version, **(given | terms)))
        row = replace(row, kind=kind, state=ContractState.ACTIVE, starts_us=START_US, ends_us=ends_us)
        await tx.contracts.update(row)
    return ends_us


async def at(host: Host, now_us: int) -> dict[Step, int]:
    """A round at this time; what was done, without what had to wait."""
    host.clock.at_us = now_us
    done = await Renewals(host.database, host.clock).run()
    return {step: count for step, count in done.items() if step is not Step.WAIT}


async def state(host: Host) -> tuple[ContractRow, list[ContractVersionRow], list[NoticeKind], list[str]]:
    async with host.database.reading() as tx:
        row = await contracts.get(tx, host.org, host.contract)
        versions = await tx.contracts.versions(host.org, host.contract)
        notices = [notice.kind for notice in await tx.notices.all(host.org)]
        actions = [line.action for line in await tx.activity.all(host.org, action="contract.")]
    return row, versions, notices, actions


async def test_a_hosted_contract_is_announced_once_and_renews_at_its_end(host: Host) -> None:
    ends_us = await with_term(host)
    assert await at(host, ends_us - 10 * DAY_US - 1) == {}
    assert await at(host, ends_us - 10 * DAY_US) == {Step.TELL: 1}
    assert await at(host, ends_us - DAY_US) == {}
    assert await at(host, ends_us) == {Step.RENEW: 1}
    assert await at(host, ends_us + 1) == {}
    row, versions, notices, actions = await state(host)
    assert (row.state, row.ends_us) == (ContractState.ACTIVE, months_later(START_US, 2))
    assert [(version.version, version.effective_us) for version in versions] == [(1, START_US), (2, ends_us)]
    assert versions[1].redirect_clause_given == versions[0].redirect_clause_given
    assert notices == [NoticeKind.TERM_NOTICE, NoticeKind.TERM_OVER]
    assert actions == ["contract.renewed"]


async def test_what_was_not_announced_does_not_renew(host: Host) -> None:
    ends_us = await with_term(host)
    assert await at(host, ends_us) == {Step.END: 1}
    row, _, notices, actions = await state(host)
    assert (row.state, row.ends_us) == (ContractState.ENDED, ends_us)
    assert (notices, actions) == ([NoticeKind.TERM_OVER], ["contract.expired"])
    async with host.database.reading() as tx:
        open_units = await tx.equipment.bound(host.org, contract_id=host.contract)
    assert len(open_units) == 3, "hosted machines stay with their owner and wait in RevenueGuard"


async def test_auto_renew_switched_off_in_the_window_ends_the_contract(host: Host) -> None:
    ends_us = await with_term(host)
    assert await at(host, ends_us - 5 * DAY_US) == {Step.TELL: 1}
    given = contracts.TermsInput(term_months=1, auto_renew=False, notice_days=10)
    await contracts.new_terms(host.database, host.clock, host.org, OWNER, host.contract, None, given)
    assert await at(host, ends_us) == {Step.END: 1}


async def test_terms_agreed_for_later_stay_the_last_word_after_a_renewal(host: Host) -> None:
    ends_us = await with_term(host)
    assert await at(host, ends_us - 5 * DAY_US) == {Step.TELL: 1}
    later_us = ends_us + 3 * DAY_US
    given = contracts.TermsInput(term_months=1, auto_renew=True, notice_days=10, rate="0.099")
    await contracts.new_terms(host.database, host.clock, host.org, OWNER, host.contract, later_us, given)
    assert await at(host, ends_us) == {Step.RENEW: 1}
    async with host.database.reading() as tx:
        version = await tx.contracts.version_at(host.org, host.contract, later_us)
    assert version is not None
    assert version.rate_micro == 99_000


@pytest.mark.parametrize("told", [True, False])
async def test_a_lease_never_renews_and_its_machines_go_back(host: Host, told: bool) -> None:
    ends_us = await with_term(host, ContractKind.LEASE, auto_renew=True)
    if told:
        assert await at(host, ends_us - 5 * DAY_US) == {Step.TELL: 1}
    assert await at(host, ends_us) == {Step.END: 1}
    async with host.database.reading() as tx:
        units = await tx.equipment.all(host.org)
        assert await tx.equipment.bound(host.org, contract_id=host.contract) == []
        (first, *_) = await tx.equipment.assignments(host.org, contract_id=host.contract)
    assert {unit.state for unit in units} == {UnitState.UNASSIGNED}
    assert first.to_us == ends_us


@pytest.mark.parametrize("kind", [ContractKind.INFINITY, ContractKind.OPERATIONS])
async def test_the_other_kinds_renew_where_they_say_so(host: Host, kind: ContractKind) -> None:
    ends_us = await with_term(host, kind, notice_days=0)
    assert await at(host, ends_us - 1) == {}
    assert await at(host, ends_us) == {Step.RENEW: 1}


async def test_a_contract_extended_in_its_window_is_announced_again(host: Host) -> None:
    ends_us = await with_term(host, auto_renew=False)
    assert await at(host, ends_us - 5 * DAY_US) == {Step.TELL: 1}
    await contracts.extend(host.database, host.clock, host.org, OWNER, host.contract, 1)
    assert await at(host, ends_us) == {}
    row, *_ = await state(host)
    assert row.ends_us is not None
    assert await at(host, row.ends_us - 9 * DAY_US) == {Step.TELL: 1}
