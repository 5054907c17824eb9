"""Time that an attacker cannot turn: monotonic time on top of the highest signed cloud time.

The machine's wall clock is never asked. What is known is a lower bound: the real time is at least that. It is
enough for leases (one that has run out by the bound has run out) and, once the cloud was heard since the machine
started, close enough to begin new redirects.
"""

from dataclasses import dataclass
from typing import Final

from hashyard_shared.clock import US_PER_S, Clock

KEEP_EVERY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class TimeMark:
    """The bound as last kept: it was `at_us` when the machine of `boot_id` had run for `mono_s`."""

    at_us: int
    mono_s: float
    boot_id: str
    known: bool

    def text(self) -> str:
        """As stored."""
        return f"{self.at_us} {self.mono_s!r} {self.boot_id} {int(self.known)}"

    @classmethod
    def parse(cls, text: str) -> "TimeMark":
        """As stored, read back; raises `ValueError`."""
        at_us, mono_s, boot_id, known = text.split(" ")
        return cls(int(at_us), float(mono_s), boot_id, known == "1")


class TrustedTime:
    """The lower bound of the real time, and whether it may be used to begin something."""

    def __init__(self, clock: Clock, boot_id: str, kept: TimeMark | None) -> None:
        self._clock = clock
        self._boot_id = boot_id
        now_s = clock.monotonic_s()
        same_boot = kept is not None and kept.boot_id == boot_id and kept.mono_s <= now_s
        if kept is None:
            self._mark = TimeMark(0, now_s, boot_id, known=False)
        elif same_boot:
            self._mark = kept
        else:
            # How long the machine was off is not known: the bound stands, but nothing new begins on it.
            self._mark = TimeMark(kept.at_us, 0.0, boot_id, known=False)
        self._kept_at_s = now_s

    def heard(self, at_us: int) -> bool:
        """A verified cloud time came in; returns whether it made the bound higher or known."""
        if not self._mark.known and at_us < self._mark.at_us:
            # Older than what was heard before the machine started: a replay, which tells nothing of now.
            return False
        bound = self.at_least_us()
        raised = not self._mark.known or at_us > bound
        # A replayed old time must not turn the bound back.
        self._mark = TimeMark(max(at_us, bound), self._clock.monotonic_s(), self._boot_id, known=True)
        return raised

    def at_least_us(self) -> int:
        """The real time is this or later."""
        elapsed_s = max(0.0, self._clock.monotonic_s() - self._mark.mono_s)
        return self._mark.at_us + int(elapsed_s * US_PER_S)

    def now_us(self) -> int | None:
        """The time, or None while it is unknown: the cloud was not heard since the machine started."""
        return self.at_least_us() if self._mark.known else None

    def due_mark(self) -> TimeMark | None:
        """The bound to keep durably, when it is time again; so that repeated restarts do not stretch a lease."""
        now_s = self._clock.monotonic_s()
        if now_s - self._kept_at_s < KEEP_EVERY_S:
            return None
        self._kept_at_s = now_s
        return self.mark()

    def mark(self) -> TimeMark:
        """The bound as it is now."""
        return TimeMark(self.at_least_us(), self._clock.monotonic_s(), self._boot_id, self._mark.known)
