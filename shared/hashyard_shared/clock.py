"""Time as a port.

Wall time is UTC in integer microseconds; monotonic time is in seconds since an arbitrary start that a
restart of the machine resets. Everything that needs a time takes a `Clock`; nothing else reads one.
"""

import time
from datetime import UTC, datetime
from typing import Final, Protocol

US_PER_S: Final = 1_000_000
US_PER_MS: Final = 1_000


class Clock(Protocol):
    """Where wall and monotonic time come from."""

    def now_us(self) -> int:
        """Wall time, UTC, microseconds since the epoch."""
        ...

    def monotonic_s(self) -> float:
        """Monotonic seconds; comparable within one boot only."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def monotonic_s(self) -> float:
        # CLOCK_BOOTTIME goes on while a machine is suspended; leases must not stand still then.
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc(at_us: int) -> datetime:
    """The aware datetime of a wall time in microseconds."""
    return datetime.fromtimestamp(at_us / US_PER_S, tz=UTC)


def iso(at_us: int) -> str:
    """RFC 3339 text, to the second, as logs and exports show it."""
    return utc(at_us).strftime("%Y-%m-%dT%H:%M:%SZ")
