"""The cgminer API on port 4028: one JSON request, one JSON answer with a NUL behind it, then it closes."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Protocol

from hashyard_simulator.device import Device, Pool
from hashyard_simulator.faults import FaultKind, halve, pass_gate
from hashyard_simulator.pools import endpoint_of

MAX_REQUEST_BYTES = 65_536
READ_TIMEOUT_S = 30.0

Answer = dict[str, Any]


class CgminerHandler(Protocol):
    """What a family's 4028 gives the server."""

    device: Device

    def is_write(self, request: Answer) -> bool: ...
    def refusal(self, request: Answer) -> Answer: ...
    def respond(self, request: Answer) -> Answer: ...


async def serve_cgminer(
    handler: CgminerHandler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answers one request."""
    request = await _read_request(reader)
    if request is None:
        return
    device = handler.device
    device.counters.requests += 1
    write = handler.is_write(request)
    await pass_gate(device.faults, device.clock.monotonic_s(), write=write)
    if device.refuses(write=write):
        if write:
            device.log_write(str(request.get("command")), request, "refused")
        answer = handler.refusal(request)
    else:
        answer = handler.respond(request)
    payload = json.dumps(answer).encode() + b"\x00"
    if device.faults.take(FaultKind.HALF_JSON, device.clock.monotonic_s(), write=write) is not None:
        payload = halve(payload)
    writer.write(payload)
    await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> Answer | None:
    """Clients neither end their request with a newline nor close their side: read until it is a JSON object."""
    data = b""
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            while len(data) < MAX_REQUEST_BYTES:
                chunk = await reader.read(4096)
                data += chunk
                request = _parse(data)
                if request is not None or not chunk:
                    return request
    except TimeoutError:
        return None
    return None


def _parse(data: bytes) -> Answer | None:
    try:
        request = json.loads(data.rstrip(b"\x00\r\n "))
    except ValueError:
        return None
    return request if isinstance(request, dict) else None


def status(device: Device, code: int, message: str, *, kind: str = "S", description: str = "") -> Answer:
    """One STATUS section; `kind` is S, I, W, E or F as in cgminer."""
    return {
        "STATUS": kind,
        "When": int(device.clock.wall_s()),
        "Code": code,
        "Msg": message,
        "Description": description,
    }


def error(device: Device, code: int, message: str, description: str = "") -> Answer:
    return {"STATUS": [status(device, code, message, kind="E", description=description)], "id": 1}


def joined(command: str, answer_one: Callable[[str], Answer]) -> Answer:
    """`a+b` is answered as `{"a": [{...}], "b": [{...}], "id": 1}`."""
    answers: Answer = {name: [answer_one(name)] for name in command.split("+") if name}
    answers["id"] = 1
    return answers


def pool_rows(device: Device, shown: list[Pool] | None = None) -> list[Answer]:
    """The POOLS section: what every cgminer relative shows, never a password."""
    active = device.active_pool()
    rows = []
    for index, pool in enumerate(device.reported_pools() if shown is None else shown):
        is_active = pool is active
        rows.append(
            {
                "POOL": index,
                "URL": pool.url,
                "Status": _pool_status(device, pool),
                "Priority": pool.priority,
                "Quota": 1,
                "Long Poll": "N",
                "Getworks": int(pool.shares / 3) + (1 if pool.url else 0),
                "Accepted": pool.accepted,
                "Rejected": pool.rejected,
                "Works": int(pool.shares),
                "Discarded": 0,
                "Stale": pool.stale,
                "Get Failures": 0,
                "Remote Failures": 0,
                "User": pool.user,
                "Last Share Time": int(device.clock.wall_s()) if is_active else 0,
                "Diff1 Shares": int(pool.shares) * 65536,
                "Proxy Type": "",
                "Proxy": "",
                "Difficulty Accepted": float(pool.accepted * 65536),
                "Difficulty Rejected": float(pool.rejected * 65536),
                "Difficulty Stale": float(pool.stale * 65536),
                "Last Share Difficulty": 65536.0 if is_active else 0.0,
                "Has Stratum": True,
                "Stratum Active": is_active,
                "Stratum URL": endpoint_of(pool.url).partition(":")[0] if is_active else "",
                "Has GBT": False,
                "Best Share": 0,
                "Pool Rejected%": 0.4,
                "Pool Stale%": 0.2,
            }
        )
    return rows


def _pool_status(device: Device, pool: Pool) -> str:
    if not pool.enabled:
        return "Disabled"
    return "Alive" if device.world.alive(pool.url) and not device.restarting else "Dead"


def split_parameters(text: str) -> list[str]:
    """Cgminer separates parameters by commas; a backslash takes the next character as it is."""
    parts = [""]
    escaped = False
    for character in text:
        if escaped:
            parts[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append("")
        else:
            parts[-1] += character
    return parts


class PoolCommands:
    """`addpool`, `switchpool`, `removepool`, `enablepool`, `disablepool`, `poolpriority` as cgminer does them.

    A removed pool renumbers those behind it; the active pool and the last pool cannot be removed.
    """

    NAMES = frozenset({"addpool", "switchpool", "removepool", "enablepool", "disablepool", "poolpriority"})

    def __init__(self, device: Device, description: str) -> None:
        self._device = device
        self._description = description

    def respond(self, command: str, parameter: str) -> Answer:
        if command == "addpool":
            return self._add(parameter)
        if command == "poolpriority":
            return self._prioritise(parameter)
        if parameter == "":
            return self._error(25, "Missing pool id parameter")
        pools = self._device.pools
        if not parameter.isdecimal() or int(parameter) >= len(pools):
            return self._error(8, f"Invalid pool id {parameter} - range is 0 - {len(pools) - 1}")
        actions: dict[str, Callable[[int], Answer]] = {
            "switchpool": self._switch,
            "removepool": self._remove,
            "enablepool": lambda index: self._enable(index, enabled=True),
            "disablepool": lambda index: self._enable(index, enabled=False),
        }
        return actions[command](int(parameter))

    def _add(self, parameter: str) -> Answer:
        fields = split_parameters(parameter)
        if parameter == "":
            return self._error(52, "Missing addpool details")
        if len(fields) < 3 or not fields[0]:
            return self._error(53, f"Invalid addpool details '{parameter}'")
        group = int(fields[3]) if len(fields) > 3 and fields[3].isdecimal() else 0
        pool = Pool(fields[0], fields[1], fields[2], group)

        def change() -> None:
            pool.priority = 1 + max((p.priority for p in self._device.pools), default=-1)
            self._device.pools.append(pool)

        number = len(self._device.pools)
        self._device.submit_write("addpool", parameter, change)
        return self._done(55, f"Added pool {number}: '{pool.url}'")

    def _switch(self, index: int) -> Answer:
        pool = self._device.pools[index]

        def change() -> None:
            order = sorted(self._device.pools, key=lambda p: p.priority)
            order.remove(pool)
            for priority, each in enumerate([pool, *order]):
                each.priority = priority
            pool.enabled = True

        self._device.submit_write("switchpool", str(index), change)
        return self._done(27, f"Switching to pool {index}: '{pool.url}'")

    def _remove(self, index: int) -> Answer:
        device = self._device
        pool = device.pools[index]
        if len(device.pools) <= 1:
            return self._error(66, f"Cannot remove last pool {index}:'{pool.url}'")
        if pool is device.active_pool():
            return self._error(67, f"Cannot remove active pool {index}:'{pool.url}'")
        device.submit_write("removepool", str(index), lambda: device.pools.remove(pool))
        return self._done(68, f"Removed pool {index}:'{pool.url}'")

    def _enable(self, index: int, *, enabled: bool) -> Answer:
        pool = self._device.pools[index]

        def change() -> None:
            pool.enabled = enabled

        self._device.submit_write("enablepool" if enabled else "disablepool", str(index), change)
        verb, code = ("Enabling", 47) if enabled else ("Disabling", 48)
        return self._done(code, f"{verb} pool {index}:'{pool.url}'")

    def _prioritise(self, parameter: str) -> Answer:
        pools = self._device.pools
        fields = split_parameters(parameter)
        if not all(f.isdecimal() and int(f) < len(pools) for f in fields):
            return self._error(8, f"Invalid pool id {parameter} - range is 0 - {len(pools) - 1}")
        first = [pools[int(f)] for f in fields]

        def change() -> None:
            rest = sorted((p for p in pools if p not in first), key=lambda p: p.priority)
            for priority, pool in enumerate([*first, *rest]):
                pool.priority = priority

        self._device.submit_write("poolpriority", parameter, change)
        return self._done(73, "Changed pool priorities")

    def _done(self, code: int, message: str) -> Answer:
        return {"STATUS": [status(self._device, code, message, description=self._description)], "id": 1}

    def _error(self, code: int, message: str) -> Answer:
        return error(self._device, code, message, self._description)
