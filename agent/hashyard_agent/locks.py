"""One connection at a time to a miner: the locks that polling, enforcement and commands share.

The key is the address, because the address is what a connection occupies. Who answers there is identified
again under the lock by whoever is about to write.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from hashyard_agent.errors import MinerBusyError


class MinerLocks:
    """A registry of locks, one for each address; a lock that nobody holds or awaits is forgotten."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def for_ip(self, ip: str) -> asyncio.Lock:
        """The lock of this address. Keep the returned lock while you use it."""
        lock = self._locks.get(ip)
        if lock is None:
            lock = asyncio.Lock()
            self._locks[ip] = lock
        return lock

    @asynccontextmanager
    async def hold(self, ip: str, timeout_s: float | None = None) -> AsyncIterator[None]:
        """Hold the address's lock; raises `MinerBusyError` when it is not free within `timeout_s`."""
        lock = self.for_ip(ip)
        if not lock.locked():
            await lock.acquire()  # returns without waiting, so no timer is needed: the usual case, and cheap
        else:
            await self._wait_for(lock, ip, timeout_s)
        try:
            yield
        finally:
            lock.release()

    async def _wait_for(self, lock: asyncio.Lock, ip: str, timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await lock.acquire()
        except TimeoutError as error:
            raise MinerBusyError(ip) from error

    def busy(self, ip: str) -> bool:
        """Whether somebody holds the address's lock now."""
        lock = self._locks.get(ip)
        return lock is not None and lock.locked()
