"""Time that an agent accounts for as unseen shows in the usage: it is neither downtime nor unexplained."""

from hashyard_cloud.services import usage
from hashyard_cloud.services.ports.rollups import DAY_US
from hashyard_shared.clock import US_PER_S
from hashyard_shared.events import Gap
from hashyard_support.money import Host

HOUR_US = 3_600 * US_PER_S


async def test_what_the_gap_ledger_accounts_for_is_agent_blind(host: Host) -> None:
    assert host.agent is not None
    host.clock.pass_s(3 * 86_400)
    now_us = host.clock.now_us()
    day = now_us // DAY_US * DAY_US - DAY_US
    gaps = [
        Gap(from_us=day + HOUR_US, to_us=day + 3 * HOUR_US, cycles=120, samples=360, reason="agent-not-running"),
        # Two reasons for one hour count once, and a moved clock hides nothing.
        Gap(from_us=day + 2 * HOUR_US, to_us=day + 3 * HOUR_US, cycles=60, samples=180, reason="disk-full"),
        Gap(from_us=day + 9 * HOUR_US, to_us=day + 10 * HOUR_US, cycles=0, samples=0, reason="clock-set-ahead"),
    ]
    async with host.database.transaction() as tx:
        for place, gap in enumerate(gaps):
            await tx.agents.add_gap(host.agent, 1, 1, place, gap)
        found = await usage.report(tx, host.org, host.customer, day - DAY_US, day + DAY_US, now_us)
    by_day = {one.start_us: one.usage for one in found.days}
    assert by_day[day].blind_ms == 3 * 2 * 3_600_000
    assert by_day[day - DAY_US].blind_ms == 0
    assert found.total.blind_ms == 3 * 2 * 3_600_000
    assert [one.usage.blind_ms for one in found.units] == [2 * 3_600_000] * 3
    assert found.total.coverage_ratio == 0
