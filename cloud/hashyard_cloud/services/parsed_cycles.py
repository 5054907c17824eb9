"""Cycles as parsed when they were checked, kept until they are projected, so that each body is parsed once.

Only a shortcut: what is not here any more, after a restart or when there was too much, is parsed from its stored
body.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from hashyard_cloud.services.telemetry_columns import CycleColumns

MAX_SAMPLES: Final = 2_500_000
"""Some 100 bytes each."""
Origin = tuple[str, int, int]
"""(agent_id, epoch, seq)"""


class ParsedCycles:
    """Bounded by samples; the oldest go first."""

    def __init__(self, max_samples: int = MAX_SAMPLES) -> None:
        self._max_samples = max_samples
        self._cycles: OrderedDict[Origin, CycleColumns] = OrderedDict()
        self._samples = 0
        self._lock = threading.Lock()

    def put(self, origin: Origin, cycle: CycleColumns) -> None:
        """Keep a cycle."""
        with self._lock:
            self._drop(origin)
            self._cycles[origin] = cycle
            self._samples += cycle.size
            while self._samples > self._max_samples:
                self._drop(next(iter(self._cycles)))

    def get(self, origin: Origin) -> CycleColumns | None:
        """The cycle, if it is still here."""
        with self._lock:
            return self._cycles.get(origin)

    def forget(self, origins: Iterable[Origin]) -> None:
        """These are projected."""
        with self._lock:
            for origin in origins:
                self._drop(origin)

    def _drop(self, origin: Origin) -> None:
        cycle = self._cycles.pop(origin, None)
        if cycle is not None:
            self._samples -= cycle.size
