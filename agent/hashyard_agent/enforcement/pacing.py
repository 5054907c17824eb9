"""How fast a hall may be restarted: units and watts within any minute, for the whole site. Pure."""

from collections import deque
from typing import Final

MINUTE_S: Final = 60.0


class Pacer:
    """A sliding window over restarts; in no span of a minute is a limit exceeded.

    When exactly a miner restarts is not known: some time between `reserve` and `settle`. A reservation
    therefore counts for as long as it stands, and from `settle` on for another minute: whatever moment it was,
    it is covered. A single unit over the watt limit is admitted alone: it could otherwise never be restored.
    """

    def __init__(self, units_per_minute: float, watts_per_minute: float) -> None:
        # A rate below one a minute becomes one unit in a longer window.
        self._units = max(1, int(units_per_minute))
        self._window_s = MINUTE_S if units_per_minute >= 1 else MINUTE_S / units_per_minute
        self._watts = watts_per_minute
        self._reserved: dict[str, int] = {}
        self._settled: deque[tuple[float, int]] = deque()

    def wait_s(self, now_s: float, watts: int) -> float:
        """How long until a unit of so many watts may be restarted; 0 when it may be now.

        While reservations alone fill the limit nobody knows; the answer is then the whole window.
        """
        while self._settled and self._settled[0][0] + self._window_s <= now_s:
            self._settled.popleft()
        count = len(self._reserved) + len(self._settled)
        total = sum(self._reserved.values()) + sum(taken for _, taken in self._settled)
        if self._fits(count, total, watts):
            return 0.0
        for at_s, taken in self._settled:
            count, total = count - 1, total - taken
            if self._fits(count, total, watts):
                return max(0.0, at_s + self._window_s - now_s)
        return self._window_s

    def _fits(self, count: int, total: int, watts: int) -> bool:
        return count == 0 or (count < self._units and total + watts <= self._watts)

    def reserve(self, unit_id: str, watts: int) -> None:
        """A unit of so many watts is about to be written."""
        self._reserved[unit_id] = watts

    def settle(self, unit_id: str, now_s: float) -> None:
        """Its write is over: the restart, if there was one, lies between the reservation and now."""
        watts = self._reserved.pop(unit_id, None)
        if watts is not None:
            self._settled.append((now_s, watts))

    def refund(self, unit_id: str) -> None:
        """Nothing was written after all."""
        self._reserved.pop(unit_id, None)
