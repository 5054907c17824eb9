"""A device on the network: its listening sockets, and what restarts and faults do to them."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hashyard_simulator.device import Device
from hashyard_simulator.faults import (
    DeviceDiedError,
    DeviceHungUpError,
    DeviceResetError,
    FaultKind,
)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LISTEN_BACKLOG = 64
STREAM_LIMIT_BYTES = 65_536
ANSWER_LEAVES_S = 0.02
BLACKHOLE_FILLERS = 2
"""Connections that fill an accept queue of length 0; the kernel then drops every further SYN."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One port of a family. `mining` ports are closed while the mining program restarts."""

    port: int
    serve: Serve
    tls: bool = False
    mining: bool = False


class _Blackhole:
    """A port on which connections are never established."""

    def __init__(self, ip: str, port: int) -> None:
        self._listener = _listening_socket(ip, port, backlog=0)
        self._fillers: list[socket.socket] = []
        for _ in range(BLACKHOLE_FILLERS):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex((ip, port))
            self._fillers.append(filler)

    def close(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._listener.close()


def _listening_socket(ip: str, port: int, *, backlog: int = LISTEN_BACKLOG) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((ip, port))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


class Station:
    """Keeps the listeners of one device as its state demands: open, refusing, or a black hole."""

    def __init__(self, device: Device, endpoints: list[Endpoint], tls: ssl.SSLContext | None) -> None:
        self.device = device
        self.endpoints = endpoints
        self._tls = tls
        self._open: dict[int, asyncio.Server | _Blackhole] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reconciler: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lock = asyncio.Lock()
        self._stale = False
        self._away = False
        self._closed = False
        device.on_network_change = self.schedule

    @property
    def ip(self) -> str:
        return self.device.identity.ip

    async def open(self) -> None:
        await self.reconcile()

    async def close(self) -> None:
        """Closes every port and connection."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._reconciler is not None:
            await self._reconciler
        if self._timer is not None:
            self._timer.cancel()
        for port in list(self._open):
            self._shut(port)
        await self._abort_connections()

    async def leave(self) -> None:
        """The device is at no address until `settle_at`."""
        async with self._lock:
            self._away = True
            for port in list(self._open):
                self._shut(port)
        await self._abort_connections()

    async def settle_at(self, ip: str) -> None:
        """The device answers at this address from now on. Raises `OSError` when that is taken."""
        self.device.identity.ip = ip
        self._away = False
        await self.reconcile()

    def schedule(self) -> None:
        """Asks for `reconcile` soon; safe to call from a request in progress."""
        if self._closed:
            return
        self._stale = True
        if self._reconciler is None or self._reconciler.done():
            self._reconciler = asyncio.get_running_loop().create_task(self._reconcile_soon())

    async def _reconcile_soon(self) -> None:
        while self._stale:
            self._stale = False
            # The answer to the write that caused a restart still has to leave.
            await asyncio.sleep(ANSWER_LEAVES_S)
            await self.reconcile()

    async def reconcile(self) -> None:
        """Makes the listeners what the device's state asks for, and looks again when a restart ends."""
        async with self._lock:
            if not self._away:
                await self._adjust_listeners()
        if len(self._open) == 0 or self.device.dead:
            await self._abort_connections()
        self._arm_timer()

    async def _adjust_listeners(self) -> None:
        now_s = self.device.clock.monotonic_s()
        for endpoint in self.endpoints:
            wanted = self._wanted(endpoint, now_s)
            current = self._open.get(endpoint.port)
            if wanted == _state_of(current):
                continue
            if current is not None:
                self._shut(endpoint.port)
            if wanted == "open":
                self._open[endpoint.port] = await self._listen(endpoint)
            elif wanted == "blackhole":
                self._open[endpoint.port] = _Blackhole(self.ip, endpoint.port)

    def _arm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = self.device.clock.monotonic_s()
        waits = [self.device.restarting_for_s] if self.device.restarting else []
        for kind in (FaultKind.DROP, FaultKind.BLACKHOLE, FaultKind.DIE):
            fault = self.device.faults.find(kind, now_s)
            if fault is not None and fault.expires_at_s is not None:
                waits.append(fault.expires_at_s - now_s)
        if waits:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, min(waits)) + 0.005, self.schedule)

    def _wanted(self, endpoint: Endpoint, now_s: float) -> str:
        faults = self.device.faults
        if faults.find(FaultKind.DIE, now_s) or faults.hits_port(FaultKind.BLACKHOLE, endpoint.port, now_s):
            return "blackhole"
        if faults.hits_port(FaultKind.DROP, endpoint.port, now_s):
            return "closed"
        if self.device.restarting and (self.device.rebooting or endpoint.mining):
            return "closed"
        return "open"

    async def _listen(self, endpoint: Endpoint) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(endpoint, reader, writer)

        return await asyncio.start_server(
            connected,
            sock=_listening_socket(self.ip, endpoint.port),
            ssl=self._tls if endpoint.tls else None,
            limit=STREAM_LIMIT_BYTES,
        )

    async def _serve(self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        self.device.counters.connections += 1
        try:
            await endpoint.serve(reader, writer)
        except DeviceResetError:
            _reset(writer)
        except DeviceDiedError:
            _reset(writer)
        except (DeviceHungUpError, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            # The peer left or a fault ends the connection: nobody is left to tell.
            writer.transport.abort()
        except asyncio.CancelledError:
            # Only the station cancels this task, and waits for it; asyncio would report it as an error.
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()

    def _shut(self, port: int) -> None:
        server = self._open.pop(port)
        server.close()

    async def _abort_connections(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        own = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _state_of(current: asyncio.Server | _Blackhole | None) -> str:
    if current is None:
        return "closed"
    return "blackhole" if isinstance(current, _Blackhole) else "open"


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes with RST: lingering zero seconds throws away what was not sent."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
