"""The one place where the simulator reads time."""

import time


class SimClock:
    """Monotonic seconds for the state of devices, wall seconds for what they report."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time_ns() / 1e9
