"""A customer's recorded pools, assigned: written at once to a unit at its customer, else kept for its restore."""

import asyncio
from pathlib import Path

import pytest

from hashyard_agent.enforcement.model import Step, UnitRow
from hashyard_agent.trust import RecordedPool
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import SiteControl, UnitPhase
from hashyard_shared.orders import OrderKind
from hashyard_support.enforcement import CUSTOMER_ID, FAMILIES, HOLDING, Site, farm_of, true_pools

LIMIT_S = 30
FRESH = RecordedPool(url="stratum+tcp://new.example:3333", worker="acme.{unit}", password="n")


def _there(row: UnitRow) -> bool:
    return row.step is Step.IDLE and row.phase is UnitPhase.RESTORED and not row.to_recorded


@pytest.mark.parametrize("family", sorted(FAMILIES))
async def test_assigned_pools_are_written_and_proven_and_nothing_else_changes(tmp_path: Path, family: str) -> None:
    async with farm_of({family: 1}) as farm:
        device = farm.devices[0]
        settings = {name: value for name, value in device.settings.items() if name != "groups"}
        site = Site(farm, tmp_path)
        site.record(FRESH)
        async with site.running(), asyncio.timeout(LIMIT_S):
            site.offer()
            number = site.local("assign", customer=CUSTOMER_ID)
            assert (await site.answered(number)).startswith("taken: 1 units get the recorded pools now")
            await site.until(_there)
            row = site.row("unit-0")
            assert row is not None
            assert row.level >= 3
            pools = [(url.removeprefix("stratum+tcp://"), worker) for url, worker, _ in true_pools(device)]
            assert pools == [("new.example:3333", "acme.R0")]
            assert {name: value for name, value in device.settings.items() if name != "groups"} == settings
            # A redirect afterwards comes back to the assigned pools, not to those from before them.
            site.command(OrderKind.REDIRECT)
            await site.until(lambda row: row.phase is UnitPhase.REDIRECTED and row.level >= 3)
            site.command(OrderKind.RESTORE)
            await site.until(_there)
            assert true_pools(device)[0][1] == "acme.R0"


async def test_a_redirected_unit_keeps_them_for_its_restore(tmp_path: Path) -> None:
    async with farm_of({"luxos": 2}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running(), asyncio.timeout(LIMIT_S):
            site.command(OrderKind.REDIRECT, ["unit-0"])
            await site.until(lambda row: row.phase is UnitPhase.REDIRECTED and row.level >= 3, units=["unit-0"])
            site.record(FRESH)
            answer = await site.answered(site.local("assign", customer=CUSTOMER_ID))
            assert answer == "taken: 1 units get the recorded pools now; 1 are redirected and come back to them"
            await site.until(_there, units=["unit-1"])
            assert true_pools(farm.devices[0])[0][0] == HOLDING.url
            assert true_pools(farm.devices[1])[0][1] == "acme.R1"
            site.command(OrderKind.RESTORE, ["unit-0"])
            await site.until(_there)
            assert true_pools(farm.devices[0])[0][1] == "acme.R0"


async def test_without_a_record_it_is_refused_by_name_and_nothing_is_written(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        before = true_pools(farm.devices[0])
        site = Site(farm, tmp_path)
        async with site.running(), asyncio.timeout(LIMIT_S):
            site.offer()
            assert site.enforcer is not None
            answer = await site.enforcer.assign_pools(CUSTOMER_ID, "a person in the cloud")
            assert answer.code is ErrorCode.POOLS_NOT_RECORDED
            assert CUSTOMER_ID in answer.text
            assert true_pools(farm.devices[0]) == before


async def test_from_the_cloud_it_counts_for_the_daily_cap_and_is_told(tmp_path: Path) -> None:
    async with farm_of({"luxos": 2}) as farm:
        site = Site(farm, tmp_path)
        site.policy_with(daily_cap_units=1)
        site.record(FRESH)
        async with site.running(), asyncio.timeout(LIMIT_S):
            site.offer()
            assert site.enforcer is not None
            refused = await site.enforcer.assign_pools(CUSTOMER_ID, "a person in the cloud")
            assert refused.code is ErrorCode.ORDER_OVER_DAILY_CAP
            site.local("confirm", units=["unit-0", "unit-1"])
            taken = await site.enforcer.assign_pools(CUSTOMER_ID, "a person in the cloud")
            assert taken.code is None
            await site.until(_there)
            told = [event for event in site.outbox.sent if isinstance(event, SiteControl)]
            assert ("pools-assigned", CUSTOMER_ID) in [(event.control, event.value) for event in told]
            assert site.enforcer.cap.disturbed() == set(site.macs)


async def test_a_unit_that_changed_hands_while_redirected_moves_only_when_it_is_named(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running(), asyncio.timeout(LIMIT_S):
            site.command(OrderKind.REDIRECT)
            await site.until(lambda row: row.phase is UnitPhase.REDIRECTED and row.level >= 3)
            site.customers["unit-0"] = "cust-2"
            site.record(FRESH, customer_id="cust-2")
            site.command(OrderKind.RESTORE)
            await site.until(lambda row: row.code is ErrorCode.REASSIGNED)
            # Neither a restore by hand nor an assignment of all leads it to anybody.
            assert "pools assign cust-2" in await site.answered(site.local("restore", mac=site.macs[0]))
            assert (await site.answered(site.local("assign", customer="cust-2"))).startswith("refused")
            assert true_pools(farm.devices[0])[0][0] == HOLDING.url
            await site.answered(site.local("assign", customer="cust-2", macs=site.macs))
            await site.until(_there)
            assert true_pools(farm.devices[0]) == [("stratum+tcp://new.example:3333", "acme.R0", "n")]


async def test_a_stop_holds_an_assignment_until_it_ends(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        before = true_pools(farm.devices[0])
        site = Site(farm, tmp_path)
        site.record(FRESH)
        site.stop.set("smoke")
        async with site.running(), asyncio.timeout(LIMIT_S):
            site.offer()
            await site.answered(site.local("assign", customer=CUSTOMER_ID))
            await site.until(lambda row: row.code is ErrorCode.EMERGENCY_STOP)
            assert true_pools(farm.devices[0]) == before
        # It is kept over a restart of the agent, too.
        site.stop.clear()
        async with site.running(boot_id="boot-2"), asyncio.timeout(LIMIT_S):
            site.offer()
            await site.until(_there)
            assert true_pools(farm.devices[0])[0][1] == "acme.R0"
