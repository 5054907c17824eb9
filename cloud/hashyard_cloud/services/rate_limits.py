"""How often one source may do something: token buckets in memory, bounded in number."""

from collections import OrderedDict
from typing import Final

from hashyard_cloud.errors import RateLimitedError
from hashyard_shared.clock import Clock

MAX_KEYS: Final = 50_000


class RateLimit:
    """At most `burst` at once and `per_minute` on average for each key. Raises `RateLimitedError`."""

    def __init__(self, clock: Clock, per_minute: float, burst: int) -> None:
        self._clock = clock
        self._rate_per_s = per_minute / 60
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Count one use by this key."""
        now_s = self._clock.monotonic_s()
        tokens, since_s = self._buckets.pop(key, (float(self._burst), now_s))
        tokens = min(self._burst, tokens + (now_s - since_s) * self._rate_per_s)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now_s)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise RateLimitedError(retry_after_s=(1 - tokens) / self._rate_per_s)
