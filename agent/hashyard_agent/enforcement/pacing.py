"""How fast a hall may be restarted: units and watts within any minute, for the whole site. Pure."""

from collections import deque
from typing import Final

MINUTE_S: Final = 60.0


class Pacer:
    """A sliding window over what was admitted; in no span of a minute is a limit exceeded.

    A single unit over the watt limit is admitted alone: it could otherwise never be restored.
    """

    def __init__(self, units_per_minute: float, watts_per_minute: float) -> None:
        # A rate below one a minute becomes one unit in a longer window.
        self._units = max(1, int(units_per_minute))
        self._window_s = MINUTE_S if units_per_minute >= 1 else MINUTE_S / units_per_minute
        self._watts = watts_per_minute
        self._taken: deque[tuple[float, int]] = deque()

    def wait_s(self, now_s: float, watts: int) -> float:
        """How long until a unit of so many watts may be written; 0 when it may be now."""
        self._forget(now_s)
        count, total = len(self._taken), sum(taken for _, taken in self._taken)
        if self._fits(count, total, watts):
            return 0.0
        for at_s, taken in self._taken:
            count, total = count - 1, total - taken
            if self._fits(count, total, watts):
                return max(0.0, at_s + self._window_s - now_s)
        return self._window_s

    def _fits(self, count: int, total: int, watts: int) -> bool:
        return count == 0 or (count < self._units and total + watts <= self._watts)

    def take(self, now_s: float, watts: int) -> None:
        """A unit of so many watts is written now."""
        self._taken.append((now_s, watts))

    def refund(self, now_s: float, watts: int) -> None:
        """The newest admission of so many watts came to no write."""
        self._forget(now_s)
        for index in range(len(self._taken) - 1, -1, -1):
            if self._taken[index][1] == watts:
                del self._taken[index]
                return

    def _forget(self, now_s: float) -> None:
        while self._taken and self._taken[0][0] + self._window_s <= now_s:
            self._taken.popleft()
