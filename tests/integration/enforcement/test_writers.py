"""The conformance suite of the merge writers: each switches, proves, restores, and changes nothing else."""

import asyncio
import copy
from dataclasses import replace

import pytest

from hashyard_agent.adapters.writers import pool_writers
from hashyard_agent.enforcement.comparison import same_groups
from hashyard_agent.errors import MinerAuthError, MinerError, MinerRefusedError
from hashyard_agent.ports import Pool, PoolGroup, PoolWriter
from hashyard_shared.errors import ErrorCode
from hashyard_simulator.device import Device
from hashyard_simulator.faults import FaultKind
from hashyard_support.enforcement import FAMILIES, FactoryLogins, farm_of, identity_of, true_pools

HOLD = Pool("stratum+tcp://holding.example:3333", "host.R1", "hold")
BACK = 6.0


def _writer(device: Device) -> PoolWriter:
    return pool_writers(FactoryLogins(), lambda _: device.identity.mac)[FAMILIES[device.family]]


async def _until_read(writer: PoolWriter, device: Device, groups: tuple[PoolGroup, ...]) -> None:
    async with asyncio.timeout(BACK):
        while True:
            try:
                if same_groups(groups, (await writer.read(identity_of(device))).groups):
                    return
            except MinerError:
                pass
            await asyncio.sleep(0.02)


async def _until_active(writer: PoolWriter, device: Device, pool: Pool) -> None:
    async with asyncio.timeout(BACK):
        while True:
            try:
                active = (await writer.status(identity_of(device))).active
                if active and active.alive and active.worker == pool.worker:
                    return
            except MinerError:
                pass
            await asyncio.sleep(0.02)


def _with_passwords(device: Device, groups: tuple[PoolGroup, ...]) -> tuple[PoolGroup, ...]:
    known = {(url.removeprefix("stratum+tcp://"), user): word for url, user, word in true_pools(device)}
    return tuple(
        replace(
            group,
            pools=tuple(
                replace(p, password=known.get((p.url.removeprefix("stratum+tcp://"), p.worker), ""))
                for p in group.pools
            ),
        )
        for group in groups
    )


@pytest.mark.parametrize("family", sorted(FAMILIES))
async def test_a_switch_and_its_way_back_change_pools_and_nothing_else(family: str) -> None:
    async with farm_of({family: 1}) as farm:
        device = farm.devices[0]
        writer, who = _writer(device), identity_of(device)
        pools_before, settings_before = true_pools(device), copy.deepcopy(device.settings)

        seen = await writer.identify(who)
        assert (seen.mac, seen.family) == (who.mac, who.family)
        assert who.firmware in seen.firmware
        before = await writer.read(who)
        back = _with_passwords(device, before.groups)
        assert writer.unwritable(back) is None

        target = (replace(before.groups[0], pools=(HOLD,)),)
        await writer.write(who, before, target)
        await _until_read(writer, device, target)
        await _until_active(writer, device, HOLD)
        assert true_pools(device) == [(HOLD.url, HOLD.worker, HOLD.password)]
        assert device.settings == settings_before
        during = await writer.read(who)
        assert during.settings == before.settings

        await writer.write(who, during, back)
        await _until_read(writer, device, back)
        await _until_active(writer, device, back[0].pools[0])
        assert true_pools(device) == pools_before
        assert device.settings == settings_before
        assert (await writer.read(who)).settings == before.settings


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("mode", ["blank", "empty"])
async def test_a_blank_pool_list_is_a_failed_read(family: str, mode: str) -> None:
    async with farm_of({family: 1}) as farm:
        device = farm.devices[0]
        await farm.inject(device.identity.ip, FaultKind.BLANK_POOLS, {"mode": mode})
        with pytest.raises(MinerError) as caught:
            await _writer(device).read(identity_of(device))
        assert caught.value.code is ErrorCode.POOLS_BLANK


@pytest.mark.parametrize("family", sorted(FAMILIES))
async def test_nothing_blank_is_ever_written(family: str) -> None:
    async with farm_of({family: 1}) as farm:
        device = farm.devices[0]
        writer, who = _writer(device), identity_of(device)
        before = await writer.read(who)
        for groups in (
            (),
            (PoolGroup(()),),
            (PoolGroup((Pool("", "", ""),)),),
            (PoolGroup((Pool("a", "b", None),)),),
        ):
            with pytest.raises(MinerError):
                await writer.write(who, before, groups)
        assert device.counters.writes == 0


@pytest.mark.parametrize("family", sorted(FAMILIES))
async def test_a_refused_write_is_told_as_refused(family: str) -> None:
    async with farm_of({family: 1}) as farm:
        device = farm.devices[0]
        writer, who = _writer(device), identity_of(device)
        before = await writer.read(who)
        await farm.inject(device.identity.ip, FaultKind.REFUSE, {})
        with pytest.raises((MinerRefusedError, MinerAuthError)):
            await writer.write(who, before, (PoolGroup((HOLD,)),))


@pytest.mark.parametrize(
    "family", ["antminer-old", "antminer-s19", "braiins", "vnish", "whatsminer-v2", "whatsminer-v3"]
)
async def test_a_changed_password_is_told_as_such(family: str) -> None:
    async with farm_of({family: 1}) as farm:
        device = farm.devices[0]
        writer, who = _writer(device), identity_of(device)
        before = await writer.read(who)
        await farm.inject(device.identity.ip, FaultKind.AUTH, {})
        with pytest.raises(MinerAuthError):
            await writer.write(who, before, (PoolGroup((HOLD,)),))


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("kind", ["half_json", "reset", "drop"])
async def test_a_broken_answer_is_an_error_and_not_a_configuration(family: str, kind: str) -> None:
    async with farm_of({family: 1}) as farm:
        device = farm.devices[0]
        await farm.inject(device.identity.ip, FaultKind(kind), {})
        with pytest.raises(MinerError):
            await _writer(device).read(identity_of(device))


@pytest.mark.parametrize("family", ["luxos", "cgminer"])
async def test_pools_added_one_by_one_can_be_written_again_after_a_cut(family: str) -> None:
    async with farm_of({family: 1}) as farm:
        device = farm.devices[0]
        writer, who = _writer(device), identity_of(device)
        before = await writer.read(who)
        target = (PoolGroup((HOLD,)),)
        # Two writes go through (the new pool, the switch), the removal of the old ones does not.
        await farm.inject(device.identity.ip, FaultKind.RESET, {"scope": "write", "count": 1})
        with pytest.raises(MinerError):
            await writer.write(who, before, target)
        await writer.write(who, before, target)
        assert true_pools(device) == [(HOLD.url, HOLD.worker, HOLD.password)]
