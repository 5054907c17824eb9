"""What a reading means: the states of a miner, and when to look closer. Pure."""

import zlib
from dataclasses import dataclass, replace
from typing import Final

from hashyard_agent.errors import MinerConnectionError, MinerError, MinerTimeoutError
from hashyard_agent.ports import Reading
from hashyard_shared.telemetry import MinerState

DEGRADED_BELOW_RATIO: Final = 0.8
EXPECTED_CHANGE_RATIO: Final = 0.02
MAX_BACKOFF_CYCLES: Final = 8
MAX_BACKOFF_S: Final = 300.0
FAILURES_BEFORE_BACKOFF: Final = 2
MISREADS_BEFORE_SUSPICION: Final = 3
UNIDENTIFIED: Final = Reading(MinerState.UNIDENTIFIED, problem="no firmware profile fits what answers here")
LOST: Final = Reading(MinerState.UNREACHABLE, problem="its address belongs to another device now")


def judged(reading: Reading, expected_ths: float | None) -> Reading:
    """The reading with its state: degraded when it mines clearly less than expected, or not at all."""
    if reading.state is not MinerState.ONLINE or reading.hashrate_ths is None:
        return reading
    if reading.hashrate_ths <= 0:
        return replace(reading, state=MinerState.DEGRADED, problem="it does not hash")
    if expected_ths and reading.hashrate_ths < expected_ths * DEGRADED_BELOW_RATIO:
        share = reading.hashrate_ths / expected_ths
        return replace(reading, state=MinerState.DEGRADED, problem=f"hashes at {share:.0%} of what is expected")
    return reading


def failed(error: MinerError) -> Reading:
    """Why it was not read: unreachable when nothing came, misread when what came is of no use. Never zeros."""
    unseen = isinstance(error, MinerConnectionError | MinerTimeoutError)
    return Reading(MinerState.UNREACHABLE if unseen else MinerState.MISREAD, problem=str(error))


def not_taken(last: Reading | None, why: str) -> Reading:
    """The agent itself did not look: the state is the last one known, the figures are not seen."""
    return Reading(MinerState.UNREACHABLE if last is None else last.state, problem=why)


@dataclass(slots=True)
class Backoff:
    """How often a failing miner is asked: every cycle at first, then ever more rarely, at most 5 min apart."""

    failures: int = 0
    skip_cycles: int = 0

    def succeeded(self) -> None:
        self.failures = 0
        self.skip_cycles = 0

    def failed(self, interval_s: float) -> None:
        self.failures += 1
        over = self.failures - FAILURES_BEFORE_BACKOFF
        if over > 0:
            longest = max(1, min(MAX_BACKOFF_CYCLES, int(MAX_BACKOFF_S / interval_s)))
            self.skip_cycles = min(2**over, longest) - 1

    def skips(self) -> bool:
        """Whether this cycle passes it by; counts the cycle."""
        if self.skip_cycles <= 0:
            return False
        self.skip_cycles -= 1
        return True

    @property
    def failing(self) -> bool:
        return self.failures > 0


def jitter_ratio(identity: str) -> float:
    """Where in a cycle a miner is read, 0 to 1: spread evenly, and the same in each cycle."""
    return zlib.crc32(identity.encode()) / 2**32


def differs(known_ths: float | None, told_ths: float | None) -> bool:
    """Whether the device's own expected hash rate is news."""
    if told_ths is None:
        return False
    return known_ths is None or abs(told_ths - known_ths) > known_ths * EXPECTED_CHANGE_RATIO


def worth_a_look(before: Reading | None, now: Reading) -> bool:
    """Whether the slow lane should read the miner soon: something changed since the reading before."""
    if before is None or now.hashrate_ths is None:
        return False
    restarted = before.uptime_s is not None and now.uptime_s is not None and now.uptime_s < before.uptime_s
    return restarted or before.state is not now.state or before.active_pool != now.active_pool
