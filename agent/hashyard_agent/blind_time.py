"""Time in which nothing was measured because the agent did not run, or that a moved clock made up or hid.

"No data" must be proven: a gap in the ledger says from when to when, and why. Pure.
"""

from dataclasses import dataclass
from typing import Final

from hashyard_shared.clock import US_PER_S
from hashyard_shared.events import Gap

NOT_RUNNING: Final = "agent-not-running"
CLOCK_AHEAD: Final = "clock-set-ahead"
CLOCK_BACK: Final = "clock-set-back"
LATE_CYCLES: Final = 1.5
"""A cycle that is later than so many intervals was missed; less is the jitter of a busy machine."""
CLOCK_STEP_S: Final = 10.0
"""What a clock may run apart between two cycles without a word; NTP slews less than that."""


@dataclass(frozen=True, slots=True)
class CycleMark:
    """The last cycle that was kept: when it began, its samples, and both clocks when it was kept."""

    at_us: int
    samples: int
    boot_id: str
    mono_s: float
    wall_us: int


def since_last_run(mark: CycleMark, *, now_us: int, mono_s: float, boot_id: str, interval_s: float) -> list[Gap]:
    """The gaps between the last kept cycle and the first one of this run.

    Within one boot the monotonic clock tells how long it truly was, so a clock that was moved meanwhile is told
    apart. After a reboot only the wall clock is left, and one that went back is told as such.
    """
    wall_s = (now_us - mark.wall_us) / US_PER_S
    true_s = mono_s - mark.mono_s if boot_id == mark.boot_id else max(0.0, wall_s)
    found = clock_steps(mark.wall_us, now_us, wall_s - true_s)
    # The mark is written when a cycle ends; the next was due an interval after its start.
    behind_s = min(max(0.0, (mark.wall_us - mark.at_us) / US_PER_S), interval_s)
    silent_s = true_s + behind_s
    if silent_s <= LATE_CYCLES * interval_s:
        return found
    cycles = max(1, round(silent_s / interval_s) - 1)
    from_us = mark.wall_us + round((interval_s - behind_s) * US_PER_S)
    to_us = mark.wall_us + round(true_s * US_PER_S)
    gap = Gap(
        from_us=from_us,
        to_us=max(from_us, to_us),
        cycles=cycles,
        samples=cycles * mark.samples,
        reason=NOT_RUNNING,
    )
    return [gap, *found]


def clock_steps(before_us: int, now_us: int, step_s: float) -> list[Gap]:
    """What a step of the wall clock did to the time line: a hole that was none, or a stretch that comes twice."""
    if abs(step_s) < CLOCK_STEP_S:
        return []
    step_us = round(step_s * US_PER_S)
    if step_us > 0:
        return [Gap(from_us=now_us - step_us, to_us=now_us, cycles=0, samples=0, reason=CLOCK_AHEAD)]
    again_until_us = max(before_us, now_us - step_us)
    return [Gap(from_us=now_us, to_us=again_until_us, cycles=0, samples=0, reason=CLOCK_BACK)]
