"""Whatsminer with API 3: port 4433, a 4-byte little-endian length before each JSON.

Reads are free. A write names an account and a time and carries a token: the first eight characters of
base64(sha256(command + password + salt + time)). `get.miner.status` tells a pool's state but counts no shares.
Port 4028 still answers the reads of API 2 and refuses its writes.
"""

import asyncio
import base64
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any, ClassVar

from hashyard_simulator.cgminer import serve_cgminer
from hashyard_simulator.device import Device, Pool
from hashyard_simulator.families.base import Family
from hashyard_simulator.families.whatsminer import POWER_MODES, LuciWeb, RedirectingWeb
from hashyard_simulator.families.whatsminer_v2 import WhatsminerApi
from hashyard_simulator.faults import FaultKind, halve, pass_gate
from hashyard_simulator.http import serve_http
from hashyard_simulator.station import Endpoint

MAX_MESSAGE_BYTES = 65_536
IDLE_TIMEOUT_S = 60.0
MAX_CLOCK_ERROR_S = 120
CODE_OK = 0
CODE_FAILED = -1
CODE_INVALID_COMMAND = -2
CODE_INVALID_JSON = -3
CODE_DENIED = -4

Answer = dict[str, Any]


class WhatsminerV3(Family):
    name: ClassVar[str] = "whatsminer-v3"
    account: ClassVar[str] = "super"
    password: ClassVar[str] = "super"
    hostname: ClassVar[str] = "WhatsMiner"
    needs_tls: ClassVar[bool] = True

    def endpoints(self) -> list[Endpoint]:
        web = RedirectingWeb(self.device)
        luci = LuciWeb(self.device)
        old = WhatsminerApi(self.device)
        api = _Api(self.device)
        return [
            Endpoint(80, lambda r, w: serve_http(web, r, w)),
            Endpoint(443, lambda r, w: serve_http(luci, r, w), tls=True),
            Endpoint(4028, lambda r, w: serve_cgminer(old, r, w), mining=True),
            Endpoint(4433, api.serve),
        ]

    @classmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        return {
            "api_write": False,
            "power_mode": "Normal",
            "power_limit_w": rng.choice((3300, 3400, 3600)),
            "fast_boot": "enable",
            "heat_mode": rng.choice(("normal", "anti-icing")),
        }


class _Api:
    def __init__(self, device: Device) -> None:
        self.device = device
        self._salt = f"{device.seed:08x}"[:8]
        self._reads: dict[str, Callable[[Any], Any]] = {
            "get.device.info": self._device_info,
            "get.miner.status": self._status,
            "get.miner.setting": self._setting,
        }
        self._writes: dict[str, Callable[[Any], bool]] = {
            "set.miner.pools": self._set_pools,
            "set.miner.service": self._set_service,
            "set.miner.power_mode": self._set_power_mode,
            "set.miner.power_limit": self._set_power_limit,
            "set.system.reboot": self._reboot,
            "set.system.led": lambda param: self._do("set.system.led", param, lambda: None),
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers message by message until the peer leaves or is idle."""
        device = self.device
        while (body := await _read_message(reader)) is not None:
            device.counters.requests += 1
            request = _parse(body)
            command = "" if request is None else str(request.get("cmd"))
            write = command.startswith("set.")
            await pass_gate(device.faults, device.clock.monotonic_s(), write=write)
            payload = json.dumps(self._respond(request, command, write=write)).encode()
            half = device.faults.take(FaultKind.HALF_JSON, device.clock.monotonic_s(), write=write)
            writer.write(len(payload).to_bytes(4, "little") + (payload if half is None else halve(payload)))
            await writer.drain()
            if half is not None:
                return

    def _respond(self, request: Answer | None, command: str, *, write: bool) -> Answer:
        if request is None:
            return self._answer("", CODE_INVALID_JSON, "invalid json")
        if self.device.refuses(write=write):
            if write:
                self.device.log_write(command, request.get("param"), "refused")
            return self._answer(command, CODE_DENIED, "no permission")
        if command in self._reads:
            return self._answer(command, CODE_OK, self._reads[command](request.get("param")))
        if command not in self._writes:
            return self._answer(command, CODE_INVALID_COMMAND, "invalid command")
        if not self._authentic(request, command):
            self.device.counters.denied += 1
            return self._answer(command, CODE_DENIED, "token error")
        done = self._writes[command](request.get("param"))
        return self._answer(command, CODE_OK if done else CODE_FAILED, "ok" if done else "invalid param")

    def _answer(self, command: str, code: int, message: Any) -> Answer:
        return {"code": code, "when": int(self.device.clock.wall_s()), "msg": message, "desc": command}

    def _authentic(self, request: Answer, command: str) -> bool:
        ts = request.get("ts")
        if not isinstance(ts, int) or abs(ts - self.device.clock.wall_s()) > MAX_CLOCK_ERROR_S:
            return False
        text = f"{command}{self.device.effective_password()}{self._salt}{ts}"
        token = base64.b64encode(hashlib.sha256(text.encode()).digest())[:8].decode()
        return request.get("account") == self.device.account and request.get("token") == token

    # -- reads -----------------------------------------------------------------------------------

    def _device_info(self, param: Any) -> Any:
        identity = self.device.identity
        sections = {
            "network": {
                "ip": identity.ip,
                "proto": "dhcp",
                "netmask": "255.255.255.0",
                "gateway": "",
                "dns": "",
                "mac": identity.mac.upper(),
                "hostname": identity.hostname,
            },
            "miner": {
                "working": "false" if self.device.asleep else "true",
                "type": self.device.model.name,
                "cointype": "BTC",
                "heatmode": self.device.settings["heat_mode"],
                "fast-boot": self.device.settings["fast_boot"],
                "board-num": str(self.device.model.boards),
                "miner-sn": identity.serial,
                **{f"pcbsn{n}": serial for n, serial in enumerate(identity.board_serials)},
            },
            "system": {
                "api": "3.0.1",
                "platform": "H616",
                "fwversion": self.device.model.firmware,
                "ledstatus": "auto",
            },
            "power": {"type": "P222B", "mode": "normal", "fanspeed": "6976", "sn": f"PSU{identity.serial[3:]}"},
            "salt": self._salt,
            "error-code": [],
        }
        return {param: sections[param]} if param in sections else sections

    def _status(self, param: Any) -> Any:
        parts: dict[str, Callable[[], Any]] = {
            "summary": self._summary,
            "edevs": self._edevs,
            "pools": self._pools,
        }
        wanted = str(param or "summary+edevs+pools").split("+")
        return {name: parts[name]() for name in wanted if name in parts}

    def _summary(self) -> Answer:
        reading = self.device.reading()
        chips = [b.temp_chip_c for b in reading.boards]
        return {
            "elapsed": reading.uptime_s,
            "freq-avg": 600,
            "factory-hash": self.device.model.hashrate_ths,
            "hash-average": round(reading.average_ths, 3),
            "hash-1min": round(reading.hashrate_ths, 3),
            "hash-15min": round(reading.average_ths, 3),
            "hash-realtime": round(reading.hashrate_ths, 3),
            "power-rate": round(reading.power_w / reading.hashrate_ths, 2) if reading.hashrate_ths else 0.0,
            "power-5min": reading.power_w,
            "power-realtime": reading.power_w,
            "environment-temperature": float(reading.env_temp_c),
            "board-temperature": [float(b.temp_pcb_c) for b in reading.boards],
            "chip-temp-min": float(min(chips)),
            "chip-temp-avg": sum(chips) / len(chips),
            "chip-temp-max": float(max(chips)),
            "power-limit": self.device.settings["power_limit_w"],
            "up-freq-finish": 1,
            "fan-speed-in": reading.fans_rpm[0],
            "fan-speed-out": reading.fans_rpm[1],
        }

    def _edevs(self) -> list[Answer]:
        reading = self.device.reading()
        return [
            {
                "id": b.slot,
                "slot": b.slot,
                "hash-average": round(b.hashrate_ths, 3),
                "factory-hash": round(self.device.model.hashrate_ths / len(reading.boards), 3),
                "freq": 600,
                "effective-chips": b.chips,
                "chip-temp-min": float(b.temp_chip_c),
                "chip-temp-avg": float(b.temp_chip_c),
                "chip-temp-max": float(b.temp_chip_c),
            }
            for b in reading.boards
        ]

    def _pools(self) -> list[Answer]:
        active = self.device.active_pool()
        return [
            {
                "id": number,
                "url": p.url,
                "account": p.user,
                "status": "alive" if self.device.world.alive(p.url) else "dead",
                "stratum-active": p is active,
                "reject-rate": 0.4,
                "last-share-time": round(self.device.timing.share_s, 1) if p is active else 0.0,
            }
            for number, p in enumerate(self.device.reported_pools(), start=1)
        ]

    def _setting(self, _: Any) -> Any:
        settings = self.device.settings
        return {
            "power-mode": settings["power_mode"].lower(),
            "power-limit": settings["power_limit_w"],
            "fast-boot": settings["fast_boot"],
            "heat-mode": settings["heat_mode"],
        }

    # -- writes ----------------------------------------------------------------------------------

    def _do(self, command: str, param: Any, change: Callable[[], None], *, restart: bool = False) -> bool:
        self.device.submit_write(command, param, change, restart=restart)
        return True

    def _set_pools(self, param: Any) -> bool:
        try:
            pools = [Pool(str(p["pool"]), str(p["worker"]), str(p["passwd"])) for p in param]
        except (TypeError, KeyError):
            pools = []
        if not pools or len(pools) > WhatsminerV3.slots:
            self.device.log_write("set.miner.pools", param, "refused")
            return False
        return self._do("set.miner.pools", param, lambda: self.device.replace_pools(pools))

    def _set_service(self, param: Any) -> bool:
        changes: dict[str, Callable[[], None]] = {
            "start": lambda: self.device.sleep(asleep=False),
            "stop": lambda: self.device.sleep(asleep=True),
            "restart": self.device.restart,
        }
        return param in changes and self._do("set.miner.service", param, changes[param])

    def _set_power_mode(self, param: Any) -> bool:
        mode = str(param).capitalize()
        if mode not in POWER_MODES:
            return False

        def change() -> None:
            self.device.settings["power_mode"] = mode
            self.device.tuning.profile_share = POWER_MODES[mode]

        return self._do("set.miner.power_mode", param, change, restart=True)

    def _set_power_limit(self, param: Any) -> bool:
        if not isinstance(param, int) or param < 0:
            return False
        change = {"power_limit_w": param}
        return self._do("set.miner.power_limit", param, lambda: self.device.settings.update(change), restart=True)

    def _reboot(self, param: Any) -> bool:
        return self._do("set.system.reboot", param, lambda: self.device.restart(reboot=True))


async def _read_message(reader: asyncio.StreamReader) -> bytes | None:
    """The next message; None when the peer left, was idle, or announced too much."""
    try:
        async with asyncio.timeout(IDLE_TIMEOUT_S):
            length = int.from_bytes(await reader.readexactly(4), "little")
            if length > MAX_MESSAGE_BYTES:
                return None
            return await reader.readexactly(length)
    except (TimeoutError, asyncio.IncompleteReadError):
        return None


def _parse(body: bytes) -> Answer | None:
    try:
        request = json.loads(body)
    except ValueError:
        return None
    return request if isinstance(request, dict) else None
