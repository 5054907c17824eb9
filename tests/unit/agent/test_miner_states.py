import itertools

import pytest

from hashyard_agent import miner_states
from hashyard_agent.errors import (
    MinerAuthError,
    MinerConnectionError,
    MinerMalformedError,
    MinerRefusedError,
    MinerTimeoutError,
)
from hashyard_agent.ports import Reading
from hashyard_shared.telemetry import MinerState

ONLINE = Reading(MinerState.ONLINE, hashrate_ths=95.0, uptime_s=100, active_pool=("a", "b"))


@pytest.mark.parametrize(
    ("rate_ths", "expected_ths", "state"),
    [
        (95.0, 95.0, MinerState.ONLINE),
        (77.0, 95.0, MinerState.ONLINE),
        (75.0, 95.0, MinerState.DEGRADED),
        (0.0, 95.0, MinerState.DEGRADED),
        (0.0, None, MinerState.DEGRADED),
        (5.0, None, MinerState.ONLINE),
    ],
)
def test_a_miner_is_degraded_when_it_mines_clearly_less(
    rate_ths: float, expected_ths: float | None, state: MinerState
) -> None:
    assert miner_states.judged(Reading(MinerState.ONLINE, hashrate_ths=rate_ths), expected_ths).state is state


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (MinerConnectionError("10.0.0.1"), MinerState.UNREACHABLE),
        (MinerTimeoutError("10.0.0.1"), MinerState.UNREACHABLE),
        (MinerMalformedError("10.0.0.1"), MinerState.MISREAD),
        (MinerRefusedError("10.0.0.1"), MinerState.MISREAD),
        (MinerAuthError("10.0.0.1"), MinerState.MISREAD),
    ],
)
def test_what_was_not_seen_is_a_state_and_never_zeros(error: MinerConnectionError, state: MinerState) -> None:
    reading = miner_states.failed(error)
    assert reading.state is state
    assert reading.hashrate_ths is None
    assert reading.power_w is None
    assert "10.0.0.1" in reading.problem


def test_a_failing_miner_is_asked_ever_more_rarely_but_within_minutes() -> None:
    backoff = miner_states.Backoff()
    asked = []
    for cycle in range(40):
        if not backoff.skips():
            asked.append(cycle)
            backoff.failed(60)
    assert asked[:4] == [0, 1, 2, 4]
    assert max(b - a for a, b in itertools.pairwise(asked)) == 5  # 5 cycles of 60 s
    backoff.succeeded()
    assert not backoff.skips()
    assert not backoff.failing


def test_places_in_the_cycle_are_spread_and_stay() -> None:
    ratios = [miner_states.jitter_ratio(f"mac:{number}") for number in range(2000)]
    assert ratios == [miner_states.jitter_ratio(f"mac:{number}") for number in range(2000)]
    for low in range(10):
        assert 120 < sum(low / 10 <= ratio < (low + 1) / 10 for ratio in ratios) < 280


def test_the_slow_lane_looks_when_something_changed() -> None:
    looks = miner_states.worth_a_look
    assert not looks(None, ONLINE)
    assert not looks(ONLINE, ONLINE)
    assert looks(ONLINE, Reading(MinerState.ONLINE, hashrate_ths=95.0, uptime_s=3, active_pool=("a", "b")))
    assert looks(ONLINE, Reading(MinerState.ONLINE, hashrate_ths=95.0, uptime_s=160, active_pool=("c", "b")))
    assert looks(ONLINE, Reading(MinerState.DEGRADED, hashrate_ths=9.0, uptime_s=160, active_pool=("a", "b")))
    assert not looks(ONLINE, Reading(MinerState.UNREACHABLE))


def test_an_own_expected_rate_is_news_only_when_it_differs() -> None:
    assert miner_states.differs(None, 95.0)
    assert not miner_states.differs(95.0, 95.5)
    assert miner_states.differs(95.0, 104.0)
    assert not miner_states.differs(95.0, None)
