"""The pools outside the site: which of them answer."""

from collections.abc import Callable
from urllib.parse import urlsplit


def endpoint_of(url: str) -> str:
    """`host:port` in lower case, whatever the scheme; a pool is alive or dead for every spelling of its URL."""
    bare = url.strip().lower()
    if "://" in bare:
        parts = urlsplit(bare)
        return parts.netloc.rpartition("@")[2]
    return bare.partition("/")[0]


class PoolWorld:
    """Every pool with a host and a port is alive unless it was made dead; anything else never is.

    `before_change` callbacks run before a state changes, so that devices which compute lazily can settle
    what they mined under the old state.
    """

    def __init__(self) -> None:
        self._dead: set[str] = set()
        self._before_change: list[Callable[[], None]] = []

    def subscribe(self, callback: Callable[[], None]) -> None:
        self._before_change.append(callback)

    def alive(self, url: str) -> bool:
        endpoint = endpoint_of(url)
        host, _, port = endpoint.rpartition(":")
        return bool(host) and port.isdecimal() and endpoint not in self._dead

    def set_alive(self, url: str, *, alive: bool) -> None:
        for callback in self._before_change:
            callback()
        if alive:
            self._dead.discard(endpoint_of(url))
        else:
            self._dead.add(endpoint_of(url))

    def dead(self) -> list[str]:
        """`host:port` of each dead pool, sorted."""
        return sorted(self._dead)
