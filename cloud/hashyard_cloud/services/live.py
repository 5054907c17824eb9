"""Who is to hear that something of an organisation changed: browsers with a page open.

Nothing is queued: a listener that was told twice before it looked has one thing to look at. What changed is not
said either; pages ask for their own pieces again, as themselves. Other processes' changes are not heard here, so
pages also look by themselves at every heartbeat.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Final

MAX_LISTENERS: Final = 2_000
MAX_LISTENERS_PER_SESSION: Final = 4


class Listener:
    """One open page. `wait` until there is news, or until the time is over. `gone` says nobody reads it."""

    def __init__(self, organisation_id: str, session_id: str, gone: Callable[[], bool]) -> None:
        self.gone = gone
        self.organisation_id = organisation_id
        self.session_id = session_id
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There is news."""
        self._news.set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether there was news within this time."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            return False
        self._news.clear()
        return True


class Live:
    """Tells listeners of changes. `close` ends all of them, and refuses new ones."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._count = 0
        self._told: list[Callable[[str], None]] = []
        self.closed = False

    def also_tell(self, callback: Callable[[str], None]) -> None:
        """Call this with the organisation at each change, before the listeners hear of it."""
        self._told.append(callback)

    def changed(self, organisation_id: str) -> None:
        """Something of this organisation changed, and is committed."""
        for callback in self._told:
            callback(organisation_id)
        for listener in self._listeners.get(organisation_id, ()):
            listener.wake()

    def listen(self, organisation_id: str, session_id: str, gone: Callable[[], bool]) -> Listener | None:
        """A new listener; None where there are as many as may be, in all or of this session."""
        mine = [one for one in self._listeners.get(organisation_id, ()) if one.session_id == session_id]
        for one in [one for one in mine if one.gone()]:
            # Left behind by a page that was navigated away from; it finds out when it tries to speak.
            self.leave(one)
            one.wake()
            mine.remove(one)
        if self.closed or self._count >= MAX_LISTENERS or len(mine) >= MAX_LISTENERS_PER_SESSION:
            return None
        listener = Listener(organisation_id, session_id, gone)
        self._listeners[organisation_id].add(listener)
        self._count += 1
        return listener

    def leave(self, listener: Listener) -> None:
        """Take out one that listens no more."""
        listeners = self._listeners.get(listener.organisation_id, set())
        if listener in listeners:
            listeners.remove(listener)
            self._count -= 1
        if not listeners:
            self._listeners.pop(listener.organisation_id, None)

    @property
    def count(self) -> int:
        """How many listen."""
        return self._count

    def close(self) -> None:
        """Let every listener go: the service stops."""
        self.closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.wake()
