"""Odd URLs, many slots, several groups, disabled slots: written and read back exactly, or refused beforehand."""

import asyncio
import copy
from pathlib import Path

import pytest

from hashyard_agent.enforcement.comparison import same_groups
from hashyard_agent.enforcement.model import Step
from hashyard_agent.ports import Pool, PoolGroup
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import UnitPhase
from hashyard_shared.orders import OrderKind
from hashyard_simulator.spec import PoolSpec
from hashyard_support.enforcement import FAMILIES, Site, farm_of, identity_of, true_pools, writers_for

ODD_URLS = [
    "stratum+ssl://pool.example:443",
    "stratum2+tcp://pool.example:3336/9awtMD5KQgvRUh2yFbjVeT7b6hjipWcAsQHd6wEhgtDT9soosna",
    "stratum+tcp://pool.example:3333/path?account=a&mode=solo",
    "stratum+tcp://[2001:db8::10]:3333",
    "stratum+tcp://POOL.Example:3333",
]
LIMIT_S = 15


async def _there_and_back(site: Site) -> None:
    async with asyncio.timeout(LIMIT_S):
        site.command(OrderKind.REDIRECT)
        await site.until(lambda row: row.phase is UnitPhase.REDIRECTED or row.phase is UnitPhase.REFUSED)
        site.command(OrderKind.RESTORE)
        await site.until(lambda row: row.goal is OrderKind.RESTORE and row.step is Step.IDLE)


@pytest.mark.parametrize("url", ODD_URLS)
async def test_an_odd_url_comes_back_as_it_was_or_the_redirect_is_refused(tmp_path: Path, url: str) -> None:
    pools = (PoolSpec(url=url, user="{customer}.{n:03}"), PoolSpec(url="stratum+tcp://pool-b.example:25"))
    async with farm_of(dict.fromkeys(FAMILIES, 1), pools=pools) as farm:
        before = [true_pools(device) for device in farm.devices]
        settings = [copy.deepcopy(device.settings) for device in farm.devices]
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running():
            await _there_and_back(site)
        assert [true_pools(device) for device in farm.devices] == before
        assert [device.settings for device in farm.devices] == settings


@pytest.mark.parametrize("count", [1, 5])
async def test_one_slot_and_five(tmp_path: Path, count: int) -> None:
    pools = [PoolSpec(url=f"stratum+tcp://pool-{number}.example:3333") for number in range(count)]
    families = ["luxos", "cgminer", "vnish", "braiins"] if count > 3 else sorted(FAMILIES)
    async with farm_of(dict.fromkeys(families, 1), pools=pools) as farm:
        before = [true_pools(device) for device in farm.devices]
        assert all(len(pools) == count for pools in before)
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running():
            await _there_and_back(site)
        assert [true_pools(device) for device in farm.devices] == before


async def test_groups_keep_their_names_quotas_and_shares(tmp_path: Path) -> None:
    async with farm_of({"braiins": 1}) as farm:
        device = farm.devices[0]
        device.settings["groups"] = [
            {"uid": "a" * 16, "name": "Main", "strategy": "quota", "value": 3},
            {"uid": "b" * 16, "name": "Donation", "strategy": "fixed_share_ratio", "value": 0.125},
        ]
        device.pools[2].group = 1
        device.pools[1].enabled = False
        settings = copy.deepcopy(device.settings)
        slots = [(pool.url, pool.user, pool.password, pool.group, pool.enabled) for pool in device.pools]
        site = Site(farm, tmp_path)
        async with site.running():
            await _there_and_back(site)
        assert device.settings == settings
        assert [(p.url, p.user, p.password, p.group, p.enabled) for p in device.pools] == slots


async def test_more_groups_than_can_be_written_refuse_the_redirect(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        device = farm.devices[0]
        device.pools[2].group = 1
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.code is ErrorCode.NOT_RESTORABLE)
            assert device.counters.writes == 0
            # The host accepts in writing that this unit may not come back exactly.
            site.pin(site.trust().model_copy(update={"inexact_units": {"unit-0": "host"}}))
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.phase is UnitPhase.REDIRECTED)


async def test_a_disabled_slot_stays_disabled() -> None:
    async with farm_of({"luxos": 1}) as farm:
        device = farm.devices[0]
        device.pools[1].enabled = False
        writer, who = writers_for(farm)["luxos"], identity_of(device)
        before = await writer.read(who)
        assert [pool.enabled for pool in before.groups[0].pools] == [True, False, True]
        await writer.write(who, before, (PoolGroup((Pool("stratum+tcp://h.example:1", "h", "h"),)),))
        back = (PoolGroup(tuple(Pool(p.url, p.worker, "x", p.enabled) for p in before.groups[0].pools)),)
        await writer.write(who, before, back)
        assert same_groups(back, (await writer.read(who)).groups)
