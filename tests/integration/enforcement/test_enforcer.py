"""The way there and back on every family, watched by the simulator: pools, other settings, evidence."""

import asyncio
import copy
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hashyard_agent.enforcement.model import Step
from hashyard_agent.enforcement.sealing import opened
from hashyard_agent.errors import RefusedError
from hashyard_agent.trust import RecordedPool
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import JournalAppended, OrderRefused, SiteControl, Snapshot, UnitPhase, UnitStatus
from hashyard_shared.journal import first_break
from hashyard_shared.orders import OrderKind
from hashyard_shared.signing import encode_base64
from hashyard_support.enforcement import FAMILIES, HOLDING, Site, farm_of, identity_of, true_pools

LIMIT_S = 15


async def _redirected(site: Site, level: int = 4) -> None:
    async with asyncio.timeout(LIMIT_S):
        await site.until(lambda row: row.phase is UnitPhase.REDIRECTED and row.level >= level)


async def _restored(site: Site) -> None:
    async with asyncio.timeout(LIMIT_S):
        await site.until(lambda row: row.phase is UnitPhase.RESTORED and row.step is Step.IDLE)


async def test_all_families_go_to_the_holding_pool_and_come_back_as_they_were(tmp_path: Path) -> None:
    async with farm_of(dict.fromkeys(FAMILIES, 2)) as farm:
        pools = [true_pools(device) for device in farm.devices]
        settings = [copy.deepcopy(device.settings) for device in farm.devices]
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running():
            site.command(OrderKind.REDIRECT)
            await _redirected(site)
            for number, device in enumerate(farm.devices):
                assert true_pools(device) == [(HOLDING.url, f"host.R{number}", "hold")]
                assert device.settings == settings[number]
            site.command(OrderKind.RESTORE)
            await _restored(site)
            assert [true_pools(device) for device in farm.devices] == pools
            assert [device.settings for device in farm.devices] == settings
            assert all(row.level == 4 and not row.episode for row in site.enforcer.units())  # type: ignore[union-attr]
            await asyncio.sleep(0.1)
    lines = [line for event in site.outbox.sent if isinstance(event, JournalAppended) for line in event.lines]
    assert first_break(lines) is None
    assert not any(word in line.text for line in lines for word in ('"hold"', '"x"'))
    first = next(e for e in site.outbox.sent if isinstance(e, UnitStatus))
    assert first.phase is UnitPhase.WAITING


async def test_an_unreadable_password_that_is_not_recorded_refuses_the_redirect(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        before = true_pools(farm.devices[0])
        site = Site(farm, tmp_path)
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.code is ErrorCode.PASSWORD_UNKNOWN)
            assert farm.devices[0].counters.writes == 0
            assert true_pools(farm.devices[0]) == before
            # Recorded on site, the standing order is carried out.
            site.record_all()
            await _redirected(site)


@pytest.mark.parametrize("family", sorted(FAMILIES))
async def test_a_firmware_that_accepts_and_does_nothing_is_found_out(tmp_path: Path, family: str) -> None:
    async with farm_of({family: 1}) as farm:
        before = true_pools(farm.devices[0])
        site = Site(farm, tmp_path)
        site.record_all()
        await site.inject(0, "lie")
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.phase is UnitPhase.FAILED)
            row = site.row("unit-0")
            assert row is not None
            assert row.level == 0
            assert true_pools(farm.devices[0]) == before
            assert not any(isinstance(e, UnitStatus) and e.level >= 2 for e in site.outbox.sent)


async def test_the_emergency_stop_freezes_writes_and_is_reported(tmp_path: Path) -> None:
    async with farm_of({"whatsminer-v2": 2}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        site.stop.set("test")
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.code is ErrorCode.EMERGENCY_STOP)
            assert all(device.counters.writes == 0 for device in farm.devices)
            site.stop.clear()
            await _redirected(site, level=2)
        controls = [e.value for e in site.outbox.sent if isinstance(e, SiteControl)]
        assert controls == ["on", "off"]


async def test_shadow_mode_does_everything_but_the_write(tmp_path: Path) -> None:
    async with farm_of({"antminer-s19": 1, "luxos": 1}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        site.policy_with(shadow_mode=True)
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.phase is UnitPhase.SHADOW)
            assert all(device.counters.writes == 0 for device in farm.devices)


async def test_a_unit_that_is_offline_comes_back_first(tmp_path: Path) -> None:
    async with farm_of({"whatsminer-v2": 3}) as farm:
        pools = [true_pools(device) for device in farm.devices]
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running():
            site.command(OrderKind.REDIRECT)
            await _redirected(site)
            await site.inject(1, "drop")
            site.command(OrderKind.RESTORE)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.step is Step.IDLE, units=["unit-0", "unit-2"])
                await site.until(
                    lambda row: row.offline and row.code is ErrorCode.MINER_UNREACHABLE, units=["unit-1"]
                )
            await site.heal(1)
            await _restored(site)
            assert [true_pools(device) for device in farm.devices] == pools


async def test_drift_is_applied_again_within_a_limit_and_reported(tmp_path: Path) -> None:
    async with farm_of({"whatsminer-v2": 1}) as farm:
        device = farm.devices[0]
        site = Site(farm, tmp_path)
        site.record_all()
        site.policy_with(drift_reapply_max=1)
        original = [pool.copy() for pool in device.pools]
        async with site.running():
            site.command(OrderKind.REDIRECT)
            await _redirected(site)
            device.replace_pools([pool.copy() for pool in original])
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.drifts == 1 and row.step is Step.HELD)
            assert true_pools(device)[0][0] == HOLDING.url
            device.replace_pools([pool.copy() for pool in original])
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.step is Step.STUCK and row.code is ErrorCode.DRIFTED)
            assert true_pools(device)[0][0] != HOLDING.url


async def test_a_lease_that_runs_out_without_contact_goes_back(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        before = true_pools(farm.devices[0])
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running():
            now_us = site.clock.now_us()
            site.command(OrderKind.REDIRECT, expires_at_us=now_us + 2_500_000)
            await _redirected(site, level=3)
            await _restored(site)
            assert true_pools(farm.devices[0]) == before
            row = site.row("unit-0")
            assert row is not None
            assert row.origin == "lease"


async def test_with_time_unknown_no_redirect_begins_and_a_restore_does(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running(time=False):
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                refused = await site.event(OrderRefused)
            assert refused.code is ErrorCode.ORDER_TIME_UNKNOWN
            site.hear_time()
            await _redirected(site, level=2)
        # The machine starts anew and hears nobody: the way back is open all the same.
        async with site.running(boot_id="boot-2", time=False):
            site.command(OrderKind.RESTORE)
            await _restored(site)


async def test_a_swapped_board_and_a_moved_address_are_not_written_by_mistake(tmp_path: Path) -> None:
    async with farm_of({"antminer-s19": 2}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        first, second = farm.devices
        # Discovery has not noticed yet: the address of the first now belongs to another board.
        site.locator.stale = {device.identity.mac: identity_of(device) for device in farm.devices}
        await site.inject(0, "swap_board")
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.code is ErrorCode.IDENTITY_CHANGED, units=["unit-0"])
                await site.until(lambda row: row.level >= 3, units=["unit-1"])
            assert first.counters.writes == 0
            assert true_pools(second)[0][0] == HOLDING.url


async def test_a_snapshot_is_synced_sealed_and_only_the_recovery_key_opens_it(tmp_path: Path) -> None:
    key, stranger = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    async with farm_of({"antminer-s19": 1}) as farm:
        before = true_pools(farm.devices[0])
        site = Site(farm, tmp_path)
        public = encode_base64(key.public_key().public_bytes_raw())
        site.pin(site.trust().model_copy(update={"snapshot_key": public}))
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                event = await site.event(Snapshot)
    assert "holding" not in event.sealed
    row = opened(event.sealed, encode_base64(key.private_bytes_raw()))
    assert [(pool.url, pool.worker, pool.password) for pool in row.groups[0].pools] == before
    with pytest.raises(RefusedError):
        opened(event.sealed, encode_base64(stranger.private_bytes_raw()))


async def test_pools_assigned_during_a_redirect_are_where_it_comes_back_to(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running():
            site.command(OrderKind.REDIRECT)
            await _redirected(site, level=3)
            fresh = RecordedPool(url="stratum+tcp://new.example:3333", worker="acme.{unit}", password="n")
            site.record(fresh, assigned_at_us=site.clock.now_us())
            site.command(OrderKind.RESTORE)
            await _restored(site)
            assert true_pools(farm.devices[0]) == [("stratum+tcp://new.example:3333", "acme.R0", "n")]


async def test_a_unit_reassigned_meanwhile_is_not_restored_to_anybody(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running():
            site.command(OrderKind.REDIRECT)
            await _redirected(site, level=3)
            site.customers["unit-0"] = "cust-2"
            site.command(OrderKind.RESTORE)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.code is ErrorCode.REASSIGNED)
            assert true_pools(farm.devices[0])[0][0] == HOLDING.url


async def test_a_board_swapped_during_a_redirect_leaves_the_old_one_alone(tmp_path: Path) -> None:
    async with farm_of({"antminer-s19": 1}) as farm:
        site = Site(farm, tmp_path)
        async with site.running():
            site.command(OrderKind.REDIRECT)
            await _redirected(site, level=3)
            old_mac = site.macs[0]
            await site.inject(0, "swap_board")
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.code is ErrorCode.MINER_UNREACHABLE)
            site.macs[0] = farm.devices[0].identity.mac
            site.command(OrderKind.RESTORE)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.mac == site.macs[0] and row.code is not None)
            left = site.row(f"unit-0@{old_mac}")
            assert left is not None
            assert left.code is ErrorCode.BOARD_SWAPPED


async def test_two_devices_with_one_mac_are_not_written(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        site.locator.duplicates = set(site.macs)
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                refused = await site.event(OrderRefused)
            assert refused.code is ErrorCode.DUPLICATE_MAC
            assert farm.devices[0].counters.writes == 0


async def test_a_firmware_that_lies_twice_is_quarantined_and_others_of_it_are_left_alone(tmp_path: Path) -> None:
    async with farm_of({"whatsminer-v2": 6}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        site.policy_with(write_attempts_max=1, canary_wait_s=30)
        for number in range(6):
            await site.inject(number, "lie")
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(
                    lambda row: (
                        row.code in {ErrorCode.QUARANTINED, ErrorCode.WRITE_NOT_TAKEN} and row.goal is not None
                    )
                )
            for model in {device.model.name for device in farm.devices}:
                tried = [d for d in farm.devices if d.model.name == model and d.counters.writes]
                assert len(tried) <= site.policy.quarantine_after


async def test_maintenance_and_a_local_restore_keep_the_cloud_away(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        before = true_pools(farm.devices[0])
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running():
            site.command(OrderKind.REDIRECT)
            await _redirected(site, level=3)
            site.local("restore", mac=site.macs[0])
            await _restored(site)
            assert true_pools(farm.devices[0]) == before
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.code is ErrorCode.MAINTENANCE)
            assert true_pools(farm.devices[0]) == before
            site.local("maintenance", mac=site.macs[0], reason="")
            await _redirected(site, level=3)


async def test_a_local_redirect_needs_a_pinned_pool_and_no_cloud(tmp_path: Path) -> None:
    async with farm_of({"luxos": 1}) as farm:
        site = Site(farm, tmp_path)
        site.record_all()
        async with site.running(time=False):
            stranger = site.local("redirect", mac=site.macs[0], pool="stranger")
            own = site.local("redirect", mac=site.macs[0], pool="main", hours=1)
            async with asyncio.timeout(LIMIT_S):
                assert (await site.answered(stranger)).startswith("refused")
                assert await site.answered(own) == "taken"
                while not any(row.level >= 3 for row in site.enforcer.units()):  # type: ignore[union-attr]  # noqa: ASYNC110 - of another loop's making
                    await asyncio.sleep(0.02)
            assert true_pools(farm.devices[0])[0][0] == HOLDING.url


async def test_a_unit_seen_again_is_restored_at_once_without_waiting_for_the_next_look(tmp_path: Path) -> None:
    async with farm_of({"luxos": 2}) as farm:
        before = true_pools(farm.devices[0])
        site = Site(farm, tmp_path)
        site.record_all()
        site.policy_with(offline_retry_s=3_600)
        async with site.running():
            site.command(OrderKind.REDIRECT)
            await _redirected(site, level=3)
            await site.inject(0, "drop")
            site.command(OrderKind.RESTORE)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.offline, units=["unit-0"])
            await site.heal(0)
            assert site.enforcer is not None
            site.enforcer.miner_seen(site.macs[0])
            await _restored(site)
            assert true_pools(farm.devices[0]) == before


async def test_no_more_is_restarted_in_a_minute_than_the_watts_of_the_site_allow(tmp_path: Path) -> None:
    async with farm_of({"antminer-s19": 4}) as farm:
        site = Site(farm, tmp_path)
        watts = farm.devices[0].model.power_w
        site.policy_with(watts_per_minute=2.5 * watts)
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                while sum(row.level >= 3 for row in site.enforcer.units()) < 2:  # type: ignore[union-attr]  # noqa: ASYNC110 - of another loop's making
                    await asyncio.sleep(0.02)
            # The third has its turn when the minute is over; a second of many turns shows that it waits.
            await asyncio.sleep(1)
            assert site.enforcer is not None
            written = [row for row in site.enforcer.units() if row.written_at_us is not None]
            assert len(written) == 2
            restarted = [device for device in farm.devices if true_pools(device)[0][0] == HOLDING.url]
            assert sum(device.model.power_w for device in restarted) <= site.policy.watts_per_minute
