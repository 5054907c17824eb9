"""What is entered for time in which nothing was measured."""

from hashyard_agent.blind_time import CLOCK_AHEAD, CLOCK_BACK, NOT_RUNNING, CycleMark, clock_steps, since_last_run
from hashyard_shared.clock import US_PER_S
from hashyard_shared.events import Gap

START_US = 1_800_000_000 * US_PER_S
# A cycle of 60 s that began at START and was kept 40 s later.
MARK = CycleMark(at_us=START_US, samples=50, boot_id="b", mono_s=1_000.0, wall_us=START_US + 40 * US_PER_S)


def back(after_s: float, *, moved_s: float = 0.0, boot: str = "b") -> list[Gap]:
    """The agent's first look `after_s` after the mark, with a wall clock that was moved meanwhile."""
    now_us = MARK.wall_us + round((after_s + moved_s) * US_PER_S)
    return since_last_run(MARK, now_us=now_us, mono_s=MARK.mono_s + after_s, boot_id=boot, interval_s=60)


def test_a_restart_within_the_cycle_is_no_gap() -> None:
    assert back(20) == []
    assert back(45) == []


def test_the_time_without_the_agent_is_a_gap_from_the_first_cycle_that_is_missing() -> None:
    (gap,) = back(600)
    assert gap.reason == NOT_RUNNING
    assert gap.from_us == START_US + 60 * US_PER_S
    assert gap.to_us == MARK.wall_us + 600 * US_PER_S
    assert (gap.cycles, gap.samples) == (10, 500)


def test_a_clock_that_was_moved_meanwhile_is_told_apart_within_one_boot() -> None:
    gap, step = back(600, moved_s=3_600)
    assert (gap.cycles, gap.to_us) == (10, MARK.wall_us + 600 * US_PER_S)
    assert (step.reason, step.cycles) == (CLOCK_AHEAD, 0)
    assert step.to_us - step.from_us == 3_600 * US_PER_S
    gap, step = back(600, moved_s=-3_600)
    assert gap.cycles == 10
    assert step.reason == CLOCK_BACK
    assert step.to_us > step.from_us


def test_after_a_reboot_the_wall_clock_is_all_there_is() -> None:
    (gap,) = back(600, boot="other")
    assert gap.cycles == 10
    (step,) = back(0, moved_s=-86_400, boot="other")
    assert (step.reason, step.cycles) == (CLOCK_BACK, 0)


def test_small_steps_are_left_alone() -> None:
    assert clock_steps(START_US, START_US + 60 * US_PER_S, 2.0) == []
    assert clock_steps(START_US, START_US + 60 * US_PER_S, -9.0) == []


def test_a_mark_of_an_old_cycle_that_was_kept_late_does_not_make_up_silence() -> None:
    mark = CycleMark(at_us=0, samples=50, boot_id="b", mono_s=1_000.0, wall_us=START_US)
    assert since_last_run(mark, now_us=START_US + US_PER_S, mono_s=1_001.0, boot_id="b", interval_s=60) == []
