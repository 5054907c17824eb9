"""What can be made to go wrong with one device, and the gate that every request passes.

Kinds, with their parameters (`count` and `ttl_s` bound each of them, `scope` is `all`, `read` or `write`):

| kind | what happens |
|---|---|
| `hang` | accepts and never answers (scope) |
| `slow` | answers after `seconds` (scope) |
| `reset` | the connection is reset instead of an answer (scope) |
| `half_json` | half of the answer, then the connection closes (scope) |
| `refuse` | the protocol's own error (scope, default `write`) |
| `drop` | no port listens, or only `port` does not: connections are refused |
| `blackhole` | connections are never established (a full accept queue drops the SYN); `port` as above |
| `die` | as `blackhole`, and it neither mines nor draws power |
| `die_on_write` | dies in the middle of the next write (`applied`: whether the write took, default true) |
| `auth` | the password is another one (`password`) |
| `lie` | a write answers OK and changes nothing |
| `after_restart_only` | a write shows only after the next restart |
| `blank_pools` | reads show no pools (`mode`: `blank` fields, the default, or an `empty` list) |
| `zeros` | reads show zeros for hashrate, temperatures, fans and power |
| `lose_pools` | the pools vanish for good (at once) |
| `swap_board` | the control board is another one: new MAC and serial (at once) |
| `move` | the device answers at another address: `to`; with `swap` true whoever is there comes here (at once) |
| `restart` | it restarts (`mode`: `mining`, the default, or `reboot`) (at once) |
"""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_FAULTS_PER_DEVICE = 64


class FaultKind(StrEnum):
    HANG = "hang"
    SLOW = "slow"
    RESET = "reset"
    HALF_JSON = "half_json"
    REFUSE = "refuse"
    DROP = "drop"
    BLACKHOLE = "blackhole"
    DIE = "die"
    DIE_ON_WRITE = "die_on_write"
    AUTH = "auth"
    LIE = "lie"
    AFTER_RESTART_ONLY = "after_restart_only"
    BLANK_POOLS = "blank_pools"
    ZEROS = "zeros"
    LOSE_POOLS = "lose_pools"
    SWAP_BOARD = "swap_board"
    MOVE = "move"
    RESTART = "restart"


NETWORK_KINDS = frozenset({FaultKind.DROP, FaultKind.BLACKHOLE, FaultKind.DIE})
"""Kinds that decide whether the device's ports listen."""

IMMEDIATE_KINDS = frozenset({FaultKind.LOSE_POOLS, FaultKind.SWAP_BOARD, FaultKind.MOVE, FaultKind.RESTART})
"""Kinds that happen once when they are asked for and leave nothing to clear."""

_DEFAULT_SCOPE = {FaultKind.REFUSE: "write"}


class SimulatorError(Exception):
    """The simulated device does not give an ordinary answer."""


class DeviceResetError(SimulatorError):
    """The device resets the connection."""


class DeviceHungUpError(SimulatorError):
    """The device closes the connection without an answer."""


class DeviceDiedError(SimulatorError):
    """The device died in the middle of a write."""


@dataclass(eq=False, slots=True)
class Fault:
    """One fault that is armed. `remaining` and `expires_at_s` are None when unbounded."""

    kind: FaultKind
    params: dict[str, Any] = field(default_factory=dict)
    remaining: int | None = None
    expires_at_s: float | None = None
    cleared: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def scope(self) -> str:
        return str(self.params.get("scope", _DEFAULT_SCOPE.get(self.kind, "all")))

    def covers(self, *, write: bool) -> bool:
        return self.scope in {"all", "write" if write else "read"}

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind.value, "remaining": self.remaining, **self.params}


class FaultSet:
    """The faults armed on one device."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self.dead_until_s = 0.0
        """When the last death that ended by itself was over (monotonic)."""

    def add(self, fault: Fault) -> None:
        if len(self._faults) >= MAX_FAULTS_PER_DEVICE:
            raise ValueError(f"at most {MAX_FAULTS_PER_DEVICE} faults on one device; clear some first")
        self._faults.append(fault)

    def clear(self) -> None:
        for fault in self._faults:
            fault.cleared.set()
        self._faults.clear()

    def find(self, kind: FaultKind, now_s: float, *, write: bool | None = None) -> Fault | None:
        """The first armed fault of a kind, without using it up; `write` None ignores the scope."""
        if not self._faults:
            return None
        self._drop_expired(now_s)
        for fault in self._faults:
            if fault.kind is kind and (write is None or fault.covers(write=write)):
                return fault
        return None

    def hits_port(self, kind: FaultKind, port: int, now_s: float) -> bool:
        """Whether a fault of that kind is armed for this port (or for all ports)."""
        self._drop_expired(now_s)
        return any(f.kind is kind and f.params.get("port") in {None, port} for f in self._faults)

    def take(self, kind: FaultKind, now_s: float, *, write: bool | None = None) -> Fault | None:
        """As `find`, and one use of its count is gone."""
        fault = self.find(kind, now_s, write=write)
        if fault is not None and fault.remaining is not None:
            fault.remaining -= 1
            if fault.remaining <= 0:
                self._faults.remove(fault)
        return fault

    def describe(self, now_s: float) -> list[dict[str, Any]]:
        self._drop_expired(now_s)
        return [fault.describe() for fault in self._faults]

    def _drop_expired(self, now_s: float) -> None:
        for fault in [f for f in self._faults if f.expires_at_s is not None and f.expires_at_s <= now_s]:
            fault.cleared.set()
            self._faults.remove(fault)
            if fault.kind is FaultKind.DIE and fault.expires_at_s is not None:
                self.dead_until_s = fault.expires_at_s


async def pass_gate(faults: FaultSet, now_s: float, *, write: bool) -> None:
    """Delays or ends a request as the armed faults say.

    Raises `DeviceResetError` or `DeviceHungUpError` (a hang that was cleared).
    """
    slow = faults.take(FaultKind.SLOW, now_s, write=write)
    if slow is not None:
        await asyncio.sleep(float(slow.params.get("seconds", 5.0)))
    hang = faults.take(FaultKind.HANG, now_s, write=write)
    if hang is not None:
        left_s = None if hang.expires_at_s is None else max(0.0, hang.expires_at_s - now_s)
        try:
            async with asyncio.timeout(left_s):
                await hang.cleared.wait()
        except TimeoutError as error:
            raise DeviceHungUpError from error
        raise DeviceHungUpError
    if faults.take(FaultKind.RESET, now_s, write=write) is not None:
        raise DeviceResetError


def halve(body: bytes) -> bytes:
    """The first half of an answer, at least one byte short."""
    return body[: max(0, len(body) // 2)]
