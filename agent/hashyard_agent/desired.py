"""What the cloud wants of this site: one whole document, kept so that a restart without network goes on."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import ValidationError

from hashyard_agent.backlog import StateStore
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.ports import CloudLink
from hashyard_agent.retry import REFUSED_WAIT_S, cloud_retrying
from hashyard_shared.protocol import DesiredState
from hashyard_shared.signing import Envelope

LOG = logging.getLogger(__name__)
LONG_POLL_WAIT_S: Final = 50.0
_DOCUMENT_KEY: Final = "desired"
_ETAG_KEY: Final = "desired-etag"


class DesiredFeed:
    """Polls for the document, keeps it, and hands it to who needs it; a failing taker does not stop the others."""

    def __init__(
        self,
        link: CloudLink,
        state: StateStore,
        monitor: LinkMonitor,
        take_rotations: Callable[[Sequence[Envelope]], None],
        *,
        site_id: str,
        refused_wait_s: float = REFUSED_WAIT_S,
    ) -> None:
        self._link = link
        self._state = state
        self._monitor = monitor
        self._take_rotations = take_rotations
        self._site_id = site_id
        self._refused_wait_s = refused_wait_s
        self._takers: list[Callable[[DesiredState], None]] = []
        kept = read_desired(state)
        # A machine that was moved to another site must not go on with the old one's units and orders.
        self._current = kept if kept is not None and kept.site_id == site_id else None
        self._etag = state.state(_ETAG_KEY) if self._current else None

    @property
    def current(self) -> DesiredState | None:
        """The newest document that is known here."""
        return self._current

    def units_known(self) -> int:
        """How many units the site has by the newest document."""
        return len(self._current.units) if self._current else 0

    def subscribe(self, taker: Callable[[DesiredState], None]) -> None:
        """Call `taker` with the known document now, and with each new one."""
        self._takers.append(taker)
        if self._current is not None:
            _hand(taker, self._current)

    async def run(self) -> None:
        """Poll until cancelled. Errors: `StoreError`; the cloud's errors are retried here."""
        while True:
            async for attempt in cloud_retrying(self._monitor, self._refused_wait_s):
                with attempt:
                    await self.poll(LONG_POLL_WAIT_S)

    async def poll(self, wait_s: float) -> bool:
        """Ask once; tells whether there was a new document. Errors: `CloudError`, `StoreError`."""
        answer = await self._link.desired(self._etag, wait_s)
        self._monitor.ok()
        if answer is None:
            return False
        document, etag = answer
        self._etag = etag
        if document.site_id != self._site_id:
            LOG.error("the cloud sent the state of another site (%s); it is not used", document.site_id)
            return False
        # First of all: the rest of the document is signed with the keys that they bring.
        self._take_rotations(document.key_rotations)
        # Kept before it is used: a crash in between must find it again.
        self._state.set_state(_DOCUMENT_KEY, document.model_dump_json())
        self._state.set_state(_ETAG_KEY, etag)
        self._current = document
        for taker in self._takers:
            _hand(taker, document)
        return True


def read_desired(state: StateStore) -> DesiredState | None:
    """The document as last kept."""
    text = state.state(_DOCUMENT_KEY)
    if text is None:
        return None
    try:
        return DesiredState.model_validate_json(text)
    except ValidationError:
        LOG.warning("the kept state of the site cannot be read; it is asked for again")
        return None


def _hand(taker: Callable[[DesiredState], None], document: DesiredState) -> None:
    try:
        taker(document)
    except Exception:
        # One part that cannot use the document must not keep it from the others.
        LOG.exception("a part of the agent could not take the site's new state (version %d)", document.version)
