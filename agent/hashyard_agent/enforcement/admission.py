"""Which unit may be written next: a canary of each model and firmware, then as many as the hall can bear."""

from collections.abc import Callable, Mapping
from typing import Final

from hashyard_agent.enforcement.book import Book
from hashyard_agent.enforcement.model import BUSY_STEPS, DEFAULT_POWER_W, EnforcementPolicy, Step, UnitRow
from hashyard_agent.enforcement.pacing import MINUTE_S, Pacer
from hashyard_agent.enforcement.pairs import PairKey, is_proven, key_of
from hashyard_agent.ports import Identity, MinerLocator, PoolWriter
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.errors import ErrorCode

RECHECK_S: Final = 5.0
CANARY_RECHECK_S: Final = 0.5


class Admission:
    """Lets visits begin. A visit that was let in for a write and wrote nothing gives its share back."""

    def __init__(
        self,
        *,
        book: Book,
        policy: EnforcementPolicy,
        writers: Mapping[str, PoolWriter],
        locator: MinerLocator,
        clock: Clock,
        held: Callable[[UnitRow], ErrorCode | None],
    ) -> None:
        self._book = book
        self._policy = policy
        self._writers = writers
        self._locator = locator
        self._clock = clock
        self._held = held
        self._pacer = Pacer(policy.units_per_minute, policy.watts_per_minute)
        self._canaries: dict[PairKey, tuple[str, float]] = {}
        self._remember()

    def _remember(self) -> None:
        """What the process before this one wrote within the window counts as written now."""
        now_s, now_us = self._clock.monotonic_s(), self._clock.now_us()
        for row in self._book.units.values():
            if row.step in BUSY_STEPS:
                self._canaries[row.family, row.model, row.firmware] = (row.unit_id, now_s)
            writer = self._writers.get(row.family)
            recent = row.written_at_us is not None and now_us - row.written_at_us < MINUTE_S * US_PER_S
            if recent and writer is not None and writer.traits.write_restarts_mining:
                self._pacer.reserve(row.unit_id, self._watts(row))
                self._pacer.settle(row.unit_id, now_s)

    def _watts(self, row: UnitRow) -> int:
        return self._locator.power_w(row.mac) or DEFAULT_POWER_W

    def wait_s(self, row: UnitRow) -> float:
        """Seconds to wait before this unit may be visited; 0 lets it in."""
        if row.step is not Step.READY:
            return 0.0
        identity = self._locator.locate(row.mac)
        writer = self._writers.get(identity.family) if identity else None
        if identity is None or writer is None:
            return 0.0
        held = self._held(row)
        if held is not None:
            # The first visit looks and reports; the next ones would only ask the miner the same again.
            return RECHECK_S if row.code is held else 0.0
        return self._write_wait_s(row, identity, writer)

    def _write_wait_s(self, row: UnitRow, identity: Identity, writer: PoolWriter) -> float:
        now_s = self._clock.monotonic_s()
        key = key_of(identity)
        canary = not is_proven(self._book.pairs, identity, self._clock.now_us())
        if canary and self._has_canary(key, row.unit_id, now_s):
            return CANARY_RECHECK_S
        if writer.traits.write_restarts_mining:
            watts = self._watts(row)
            wait_s = self._pacer.wait_s(now_s, watts)
            if wait_s > 0:
                # Not the whole wait: a unit with a better right may come in between.
                return min(wait_s, RECHECK_S)
            self._pacer.reserve(row.unit_id, watts)
        if canary:
            self._canaries[key] = (row.unit_id, now_s)
        return 0.0

    def done(self, before: UnitRow, after: UnitRow) -> None:
        """A visit ended."""
        if before.step is not Step.READY:
            return
        if after.written_at_us != before.written_at_us:
            self._pacer.settle(before.unit_id, self._clock.monotonic_s())
            return
        self._pacer.refund(before.unit_id)
        for key, (unit_id, _) in list(self._canaries.items()):
            if unit_id == before.unit_id and after.step not in BUSY_STEPS:
                del self._canaries[key]

    def _has_canary(self, key: PairKey, unit_id: str, now_s: float) -> bool:
        known = self._canaries.get(key)
        if known is None or known[0] == unit_id:
            return False
        if now_s - known[1] > self._policy.canary_wait_s:
            return False
        row = self._book.units.get(known[0])
        # Ready and let in: it is being visited now. Anything else that is not busy has come to its end.
        return row is not None and (row.step in BUSY_STEPS or row.step is Step.READY)
