"""Which addresses have which ports open: bounded, non-blocking connects in a thread of their own.

Connects are raw and driven by epoll rather than by asyncio, because most of a site's addresses are empty and a
task for each costs ten times the CPU. An address is asked on one port first; only one that is there (it
accepts, refuses, or its link layer answered) is asked on the others.

Two limits of the kernel hide miners when nobody minds them. File descriptors: the soft limit is raised to the
hard one and the width of the sweep follows from it. The neighbour table: an address that nobody has takes 3 s
to find out and an entry of about 1,000 meanwhile; when it overflows the kernel refuses (ENOBUFS), the address is
asked again later and the sweep narrows. The kernel tells of a dead address by an ICMP message to itself, which it
limits in number, so most time out instead; the table then says whether anybody answered on the link.
"""

import asyncio
import errno
import resource
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hashyard_agent.adapters.arp import Link

CONNECT_TIMEOUT_S: Final = 3.2
"""Longer than the 3 s after which the kernel gives up on a link-layer address, and than two lost SYNs."""
KNOWN_TIMEOUT_S: Final = 1.5
MAX_WIDTH: Final = 4_096
NEIGHBOUR_SHARE: Final = 0.85
"""How much of the neighbour table a sweep may fill; others on the machine need entries too."""
ASSUMED_NEIGHBOUR_LIMIT: Final = 1_024
MIN_WIDTH: Final = 32
WANTED_DESCRIPTORS: Final = 8_192
RESERVED_DESCRIPTORS: Final = 256
MAX_OVERFLOW_RETRIES: Final = 20
OVERFLOW_PAUSE_S: Final = 0.25
_NEIGHBOUR_LIMIT: Final = Path("/proc/sys/net/ipv4/neigh/default/gc_thresh3")
_ABSENT: Final = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EACCES, errno.EPERM, errno.EINVAL}
)
_UNROUTABLE: Final = frozenset({errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.EINVAL})
_OVERFLOW: Final = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.EADDRNOTAVAIL, errno.ENOMEM})
_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})


@dataclass(frozen=True, slots=True)
class SweepResult:
    """`open_ports` by address, for those that accept on one at least. `notes` say what may have hidden miners."""

    open_ports: dict[str, tuple[int, ...]]
    addresses: int
    elapsed_s: float
    overflows: int = 0
    unroutable: int = 0
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Probe:
    ip: str
    port: int
    rest: tuple[int, ...]
    retries: int = 0
    sock: socket.socket | None = None
    expires_at_s: float = 0.0


@dataclass(slots=True)
class _State:
    queue: deque[_Probe]
    open_ports: dict[str, list[int]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    silent: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Taken for absent because nobody had answered for them on the link, with the ports not asked."""
    settled: int = 0
    overflows: int = 0
    unsettled: int = 0
    unroutable: int = 0
    short_of_descriptors: bool = False


class ConnectSweeper:
    """Sweeps addresses. One sweep at a time uses at most `width` sockets."""

    def __init__(self, *, timeout_s: float = CONNECT_TIMEOUT_S, max_width: int = MAX_WIDTH) -> None:
        self._timeout_s = timeout_s
        self._max_width = max_width

    async def sweep(
        self,
        addresses: Sequence[str],
        ports: Sequence[int],
        *,
        timeout_s: float | None = None,
        known_ports: Mapping[str, tuple[int, ...]] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> SweepResult:
        """Ask every address; `progress(done, found)` is called in the event loop now and then.

        An address with `known_ports` is asked on these alone.
        """
        if not addresses or not ports:
            return SweepResult({}, len(addresses), 0.0)
        limit, note = raise_descriptor_limit()
        width = max(MIN_WIDTH, min(self._max_width, limit - RESERVED_DESCRIPTORS, _table_room()))
        loop = asyncio.get_running_loop()
        report = None if progress is None else _threadsafe(loop, progress)
        stop = threading.Event()
        probes = _probes(addresses, tuple(ports), known_ports or {})
        run = _Run(probes, width, timeout_s or self._timeout_s, stop, report)
        try:
            result = await asyncio.to_thread(run.run)
        finally:
            stop.set()
        notes = (*result.notes, note) if note else result.notes
        return replace(result, notes=notes)


class _Run:
    """One sweep, in its thread."""

    def __init__(
        self,
        probes: Iterable["_Probe"],
        width: int,
        timeout_s: float,
        stop: threading.Event,
        report: Callable[[int, int], None] | None,
    ) -> None:
        self._width = width
        self._timeout_s = timeout_s
        self._stop = stop
        self._report = report
        self._state = _State(deque(probes))
        self._link = Link()
        self._selector = selectors.DefaultSelector()
        # All probes have one timeout, so the order of starting is the order of expiry.
        self._waiting: deque[_Probe] = deque()
        self._in_flight = 0
        self._paused_until_s = 0.0

    def run(self) -> SweepResult:
        started_s = time.monotonic()
        total = len(self._state.queue)
        reported_s = started_s
        try:
            while (self._state.queue or self._in_flight or self._ask_late_ones()) and not self._stop.is_set():
                self._start_some()
                self._collect()
                self._link.watch(time.monotonic())
                self._expire(time.monotonic())
                if self._report is not None and time.monotonic() - reported_s > 0.1:
                    reported_s = time.monotonic()
                    self._report(self._state.settled, len(self._state.open_ports))
        finally:
            for probe in self._waiting:
                self._forget(probe)
            self._selector.close()
        found = {ip: tuple(sorted(ports)) for ip, ports in self._state.open_ports.items()}
        return SweepResult(
            found,
            total,
            time.monotonic() - started_s,
            self._state.overflows,
            self._state.unroutable,
            self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self._state.overflows:
            notes.append(
                f"the kernel's neighbour table overflowed {self._state.overflows} times "
                f"(limit {neighbour_limit() or 'unknown'}); the sweep slowed down. Raise "
                "net.ipv4.neigh.default.gc_thresh3 to at least 8192 on this machine"
            )
        if self._state.unsettled:
            notes.append(f"{self._state.unsettled} addresses could not be asked for want of kernel memory")
        if self._state.unroutable:
            notes.append(
                f"this machine has no route to {self._state.unroutable} of the addresses; check the subnet, "
                "or the routes of this machine (ip route)"
            )
        if self._state.short_of_descriptors:
            notes.append("file descriptors ran out during the sweep; it went on with fewer at a time")
        return tuple(notes)

    def _start_some(self) -> None:
        now_s = time.monotonic()
        while self._state.queue and self._in_flight < self._width and now_s >= self._paused_until_s:
            self._start(self._state.queue.popleft(), now_s)

    def _start(self, probe: _Probe, now_s: float) -> None:
        try:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._refused_by_kernel(probe, error.errno or 0, now_s)
            return
        probe.sock = sock
        code = sock.connect_ex((probe.ip, probe.port))
        if code == errno.EINPROGRESS:
            probe.expires_at_s = now_s + self._timeout_s
            self._selector.register(sock, selectors.EVENT_WRITE, probe)
            self._waiting.append(probe)
            self._in_flight += 1
            return
        sock.close()
        probe.sock = None
        self._settle(probe, code, now_s)

    def _collect(self) -> None:
        pause_s = 0.05 if self._in_flight else OVERFLOW_PAUSE_S / 5
        for key, _ in self._selector.select(pause_s):
            probe: _Probe = key.data
            sock = probe.sock
            if sock is None:
                continue
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._forget(probe)
            self._settle(probe, code, time.monotonic())

    def _expire(self, now_s: float) -> None:
        while self._waiting and (self._waiting[0].sock is None or self._waiting[0].expires_at_s <= now_s):
            probe = self._waiting.popleft()
            if probe.sock is not None:
                self._forget(probe)
                absent = self._link.is_absent(probe.ip)
                if absent and probe.ip not in self._state.asked:
                    self._state.silent[probe.ip] = probe.rest
                self._settle(probe, errno.EHOSTUNREACH if absent else errno.ETIMEDOUT, now_s)

    def _ask_late_ones(self) -> bool:
        """Ask those on their other ports that were silent, and for which somebody did answer in the end.

        A busy machine, or a table that changed while it was read, shows an answer late.
        """
        self._link.look()
        silent, self._state.silent = self._state.silent, {}
        for ip, rest in silent.items():
            if not self._link.is_absent(ip):
                self._state.queue.extend(_Probe(ip, port, ()) for port in rest)
        return bool(self._state.queue)

    def _forget(self, probe: _Probe) -> None:
        sock, probe.sock = probe.sock, None
        if sock is not None:
            self._selector.unregister(sock)
            sock.close()
            self._in_flight -= 1

    def _settle(self, probe: _Probe, code: int, now_s: float) -> None:
        if code in _OVERFLOW or code in _DESCRIPTORS:
            self._refused_by_kernel(probe, code, now_s)
            return
        if code == 0:
            self._state.open_ports.setdefault(probe.ip, []).append(probe.port)
        first = probe.ip not in self._state.asked
        if not first:
            return
        self._state.asked.add(probe.ip)
        self._state.settled += 1
        self._state.unroutable += code in _UNROUTABLE
        if code not in _ABSENT:
            # It is there, or silent on this port: a firewalled port must not hide the others.
            self._state.queue.extendleft(_Probe(probe.ip, port, ()) for port in probe.rest)

    def _refused_by_kernel(self, probe: _Probe, code: int, now_s: float) -> None:
        if code in _DESCRIPTORS:
            self._state.short_of_descriptors = True
        else:
            self._state.overflows += 1
        self._width = max(MIN_WIDTH, self._width * 3 // 4)
        self._paused_until_s = now_s + OVERFLOW_PAUSE_S
        probe.retries += 1
        if probe.retries <= MAX_OVERFLOW_RETRIES:
            self._state.queue.append(probe)
        else:
            self._state.unsettled += 1


def _probes(
    addresses: Iterable[str], ports: tuple[int, ...], known: Mapping[str, tuple[int, ...]]
) -> Iterable[_Probe]:
    for ip in addresses:
        mine = known.get(ip) or ports
        yield _Probe(ip, mine[0], mine[1:])


def raise_descriptor_limit(wanted: int = WANTED_DESCRIPTORS) -> tuple[int, str]:
    """Raise the soft limit towards the hard one; returns the limit and a note when it stays low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < ceiling:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
        soft = ceiling
    limit = wanted if soft == resource.RLIM_INFINITY else soft
    if limit < _table_room() + RESERVED_DESCRIPTORS:
        return limit, (
            f"only {limit} file descriptors are allowed, so the sweep is slow; raise the hard limit "
            f"(LimitNOFILE in the service) to at least {WANTED_DESCRIPTORS}"
        )
    return limit, ""


def neighbour_limit() -> int | None:
    """How many link-layer addresses the kernel keeps at most, or None where it does not say."""
    try:
        return int(_NEIGHBOUR_LIMIT.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _table_room() -> int:
    return int((neighbour_limit() or ASSUMED_NEIGHBOUR_LIMIT) * NEIGHBOUR_SHARE)


def _threadsafe(
    loop: asyncio.AbstractEventLoop, progress: Callable[[int, int], None]
) -> Callable[[int, int], None]:
    def report(done: int, found: int) -> None:
        loop.call_soon_threadsafe(progress, done, found)

    return report
