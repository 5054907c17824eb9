"""Time without the agent is entered once, in the ledger that the cloud is told, and never over what was kept."""

from pathlib import Path

import pytest

from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.errors import StoreError
from hashyard_shared.clock import US_PER_S, SystemClock
from hashyard_shared.codec import MAX_BODY_BYTES
from hashyard_shared.protocol import BatchKind


class MovedClock(SystemClock):
    """Both clocks, further on by as much as a test says."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now_us(self) -> int:
        return super().now_us() + round(self.passed_s * US_PER_S)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.passed_s


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


def opened(folder: Path, clock: MovedClock) -> SqliteOutbox:
    return SqliteOutbox(folder / "outbox.db", max_bytes=20_000_000, headroom_bytes=0, clock=clock)


def test_a_stop_of_ten_minutes_is_a_gap_once(tmp_path: Path, clock: MovedClock) -> None:
    outbox = opened(tmp_path, clock)
    assert outbox.enter_time_not_running(60) == 0
    last_us = clock.now_us()
    outbox.put(BatchKind.TELEMETRY, last_us, 7, b"body")
    outbox.close()
    clock.passed_s += 600
    outbox = opened(tmp_path, clock)
    assert outbox.enter_time_not_running(60) == 1
    # Killed before the first cycle and started again: told once.
    outbox.close()
    outbox = opened(tmp_path, clock)
    assert outbox.enter_time_not_running(60) == 0
    (row,) = outbox.gaps(10)
    assert (row.gap.reason, row.gap.cycles, row.gap.samples) == ("agent-not-running", 9, 63)
    assert row.gap.from_us >= last_us + 60 * US_PER_S
    assert row.gap.to_us <= clock.now_us()
    assert outbox.seal_gaps() == 1
    outbox.close()


def test_a_restart_at_once_is_none(tmp_path: Path, clock: MovedClock) -> None:
    outbox = opened(tmp_path, clock)
    outbox.put(BatchKind.TELEMETRY, clock.now_us(), 7, b"body")
    outbox.close()
    clock.passed_s += 30
    outbox = opened(tmp_path, clock)
    assert outbox.enter_time_not_running(60) == 0
    outbox.close()


def test_cycles_that_could_not_be_kept_are_not_also_time_without_the_agent(
    tmp_path: Path, clock: MovedClock
) -> None:
    outbox = opened(tmp_path, clock)
    outbox.put(BatchKind.TELEMETRY, clock.now_us(), 7, b"body")
    for _ in range(10):
        clock.passed_s += 60
        with pytest.raises(StoreError):
            outbox.put(BatchKind.TELEMETRY, clock.now_us(), 7, b"x" * (MAX_BODY_BYTES + 1))
    outbox.put(BatchKind.ROSTER, clock.now_us(), 1, b"roster")
    outbox.close()
    outbox = opened(tmp_path, clock)
    assert outbox.enter_time_not_running(60) == 0
    assert outbox.stats().gap_cycles == 10
    outbox.close()
