"""The highest wall time that the cloud signed, and an estimate of now that needs no trust in this machine's clock.

Leases run on this: a signed time cannot be forged by the network, only withheld; between two of them the monotonic
clock counts. After a boot nothing is known until the cloud has signed a time again.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from pydantic import ValidationError

from hashyard_agent.backlog import StateStore
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.protocol import CloudTime
from hashyard_shared.signing import DocumentType, Envelope, SignatureError, fingerprint, verify

LOG = logging.getLogger(__name__)
_STATE_KEY: Final = "cloud-time"
OFFSET_NOTE_US: Final = 30 * US_PER_S


@dataclass(frozen=True, slots=True)
class CloudTimeMark:
    """A signed time and where this machine's clocks stood when it came."""

    at_us: int
    boot_id: str
    mono_s: float
    wall_us: int


class CloudTimeKeeper:
    """Keeps the mark. `signing_keys()` gives the pinned raw public keys; the time must be meant for `agent_id`."""

    def __init__(
        self,
        state: StateStore,
        clock: Clock,
        *,
        boot_id: str,
        agent_id: str,
        signing_keys: Callable[[], list[bytes]],
    ) -> None:
        self._state = state
        self._clock = clock
        self._boot_id = boot_id
        self._agent_id = agent_id
        self._signing_keys = signing_keys
        self._mark = _load(state)
        self._signer: str | None = None

    @property
    def mark(self) -> CloudTimeMark | None:
        """The newest mark, whichever boot it is of."""
        return self._mark

    def highest_us(self) -> int | None:
        """The highest signed time ever seen here; real time is not before it."""
        return self._mark.at_us if self._mark else None

    def now_us(self) -> int | None:
        """The cloud's time now by the monotonic clock; None when no signed time came since this boot."""
        mark = self._mark
        if mark is None or mark.boot_id != self._boot_id:
            return None
        return mark.at_us + int((self._clock.monotonic_s() - mark.mono_s) * US_PER_S)

    def offset_us(self) -> int | None:
        """The machine's wall clock minus the cloud's time, as of now."""
        now = self.now_us()
        return None if now is None else self._clock.now_us() - now

    def note(self) -> str | None:
        """What a person should know of the clocks and keys, or None."""
        offset_us = self.offset_us()
        if offset_us is not None and abs(offset_us) > OFFSET_NOTE_US:
            way = "ahead of" if offset_us > 0 else "behind"
            return (
                f"This machine's clock is {abs(offset_us) // US_PER_S:,} s {way} the cloud's; set up NTP. "
                "Samples keep the time of this clock, and the cloud marks them."
            )
        keys = self._signing_keys()
        if self._signer is not None and len(keys) > 1 and fingerprint(keys[0]) != self._signer:
            return (
                "The cloud signs with its second key since the last rotation. Pin the next one with "
                "`hashyard-agent trust add-key`, so that a further rotation finds this site ready."
            )
        return None

    def observe(self, envelope: Envelope) -> int:
        """Take a signed time; returns it. Errors: `SignatureError` when no pinned key signed it for this agent.

        A time that is not ahead of the estimate (a replay, or a late answer) changes nothing.
        """
        seen = self._opened(envelope)
        estimate = self.now_us()
        if estimate is not None and seen.at_us <= estimate:
            return seen.at_us
        if self._mark is not None and seen.at_us < self._mark.at_us:
            return seen.at_us
        self._mark = CloudTimeMark(seen.at_us, self._boot_id, self._clock.monotonic_s(), self._clock.now_us())
        self._state.set_state(_STATE_KEY, json.dumps(asdict(self._mark)))
        return seen.at_us

    def _opened(self, envelope: Envelope) -> CloudTime:
        for key in self._signing_keys():
            if fingerprint(key) != envelope.key:
                continue
            try:
                seen = CloudTime.model_validate_json(verify(key, DocumentType.TIME, envelope))
            except ValidationError as error:
                raise SignatureError("the signed time cannot be read") from error
            if seen.agent_id != self._agent_id:
                raise SignatureError("the signed time is for another agent")
            self._signer = envelope.key
            return seen
        raise SignatureError(f"the time is signed by key {envelope.key}, which is not pinned here")


def _load(state: StateStore) -> CloudTimeMark | None:
    text = state.state(_STATE_KEY)
    if text is None:
        return None
    try:
        return CloudTimeMark(**json.loads(text))
    except (ValueError, TypeError) as error:
        LOG.warning("the kept cloud time cannot be read and is forgotten: %s", error)
        return None
