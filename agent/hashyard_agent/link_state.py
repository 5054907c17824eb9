"""Whether the cloud is reached, and since when: for the log, the technician's page and `status`."""

import logging
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from hashyard_agent.backlog import StateStore
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.errors import ErrorCode

LOG = logging.getLogger(__name__)
_STATE_KEY: Final = "link"
SAVE_INTERVAL_US: Final = 60 * US_PER_S


class LinkState(BaseModel):
    """`up` is None before the first try. Times are the machine's wall time in microseconds."""

    model_config = ConfigDict(frozen=True)

    up: bool | None = None
    since_us: int = 0
    last_ok_us: int | None = None
    last_error: str = ""
    last_code: str = ""
    next_try_us: int | None = None


class LinkMonitor:
    """Takes note of each try; what changes is kept, so that `status` can read it from another process."""

    def __init__(self, state: StateStore, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._now = read_link_state(state)
        self._saved_us = 0

    @property
    def now(self) -> LinkState:
        """The state as of the last try."""
        return self._now

    def ok(self) -> None:
        """A request was answered as it should be."""
        at_us = self._clock.now_us()
        changed = self._now.up is not True
        since_us = at_us if changed else self._now.since_us
        if changed:
            LOG.info("the cloud is reached")
        self._keep(LinkState(up=True, since_us=since_us, last_ok_us=at_us), changed)

    def failed(self, error: Exception, code: ErrorCode, next_try_s: float) -> None:
        """A request failed; the next one comes in `next_try_s`."""
        at_us = self._clock.now_us()
        changed = self._now.up is not False
        text = str(error)[:500]
        if changed or text != self._now.last_error:
            LOG.warning("no link to the cloud: %s; polling goes on, next try in %.0f s", text, next_try_s)
        self._keep(
            LinkState(
                up=False,
                since_us=at_us if changed else self._now.since_us,
                last_ok_us=self._now.last_ok_us,
                last_error=text,
                last_code=code.value,
                next_try_us=at_us + int(next_try_s * US_PER_S),
            ),
            changed,
        )

    def _keep(self, state: LinkState, changed: bool) -> None:
        self._now = state
        at_us = self._clock.now_us()
        # Absolute, because the clock may have been set back.
        if changed or abs(at_us - self._saved_us) >= SAVE_INTERVAL_US:
            self._saved_us = at_us
            self._state.set_state(_STATE_KEY, state.model_dump_json())


def read_link_state(state: StateStore) -> LinkState:
    """The state as last kept."""
    text = state.state(_STATE_KEY)
    if text is None:
        return LinkState()
    try:
        return LinkState.model_validate_json(text)
    except ValidationError:
        LOG.warning("the kept state of the link cannot be read and is forgotten")
        return LinkState()
