"""Bitaxe with AxeOS: one board, one port, no password.

Host and port of a pool are separate fields; the scheme is not part of either. There are two pools, primary
and fallback, whose passwords cannot be read. `PATCH /api/system` stores what it is given, answers 200 with
an empty body, and reads show it at once, but mining goes on with the old pools until the device restarts.
"""

import random
from collections.abc import Callable
from typing import Any, ClassVar

from hashyard_simulator.device import Device, Pool
from hashyard_simulator.families.base import Family
from hashyard_simulator.http import Request, Response, json_response, serve_http, text_response
from hashyard_simulator.station import Endpoint

SCHEME = "stratum+tcp://"
SMALL_CORES = {"BM1366": 894, "BM1370": 2040}
POOL_FIELDS = ("URL", "Port", "User", "Password")
PREFIXES = ("stratum", "fallbackStratum")
SETTING_FIELDS = {
    "frequency": int,
    "coreVoltage": int,
    "autofanspeed": int,
    "fanspeed": int,
    "invertfanpolarity": int,
    "flipscreen": int,
    "overheat_mode": int,
    "hostname": str,
}


class Bitaxe(Family):
    name: ClassVar[str] = "bitaxe"
    account: ClassVar[str] = ""
    password: ClassVar[str] = ""
    hostname: ClassVar[str] = "bitaxe"
    slots: ClassVar[int] = 2

    def endpoints(self) -> list[Endpoint]:
        web = _Web(self.device)
        return [Endpoint(80, lambda r, w: serve_http(web, r, w))]

    @classmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        return {
            "frequency": 0,
            "coreVoltage": rng.choice((1150, 1166, 1200)),
            "autofanspeed": 0,
            "fanspeed": rng.choice((70, 80)),
            "invertfanpolarity": 1,
            "flipscreen": rng.choice((0, 1)),
            "overheat_mode": 0,
            "hostname": "bitaxe",
        }


class _Web:
    def __init__(self, device: Device) -> None:
        self.device = device
        self._cores = SMALL_CORES[device.model.name]
        if not device.settings["frequency"]:
            device.settings["frequency"] = round(device.model.hashrate_ths * 1e6 / self._cores)
        self._routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/api/system/info"): lambda _: json_response(self._info()),
            ("GET", "/api/system/asic"): lambda _: json_response(self._asic()),
            ("PATCH", "/api/system"): self._patch,
            ("POST", "/api/system/restart"): self._restart,
        }

    def is_write(self, request: Request) -> bool:
        return request.method in {"PATCH", "POST"}

    def refusal(self, request: Request) -> Response:
        return text_response("Unauthorized", 401)

    def respond(self, request: Request) -> Response:
        route = self._routes.get((request.method, request.path))
        if route is not None:
            return route(request)
        if request.path.startswith("/api/"):
            return text_response("Not Found", 404)
        return text_response("<!doctype html><html><head><title>AxeOS</title></head><body></body></html>")

    def _asic(self) -> dict[str, Any]:
        return {"ASICModel": self.device.model.name, "asicCount": 1, "defaultFrequency": 485}

    def _info(self) -> dict[str, Any]:
        device = self.device
        reading = device.reading()
        board = reading.boards[0]
        running = device.pools
        return {
            "power": float(reading.power_w),
            "voltage": 5100.0,
            "current": reading.power_w / 5.1 * 1000,
            "temp": board.temp_chip_c,
            "vrTemp": board.temp_pcb_c,
            "hashRate": reading.hashrate_ths * 1000,
            "bestDiff": "4.29M",
            "bestSessionDiff": "1.1M",
            "isUsingFallbackStratum": int(len(running) > 1 and device.active_pool() is running[1]),
            "freeHeap": 200_504,
            "coreVoltageActual": device.settings["coreVoltage"],
            "ssid": "site",
            "macAddr": device.identity.mac.upper(),
            "wifiStatus": "Connected!",
            "sharesAccepted": sum(p.accepted for p in running),
            "sharesRejected": sum(p.rejected for p in running),
            "uptimeSeconds": reading.uptime_s,
            "asicCount": 1,
            "smallCoreCount": self._cores,
            "ASICModel": device.model.name,
            "version": device.model.firmware,
            "boardVersion": "204",
            "runningPartition": "ota_0",
            "fanrpm": reading.fans_rpm[0],
            **device.settings,
            **self._pool_fields(),
        }

    def _pool_fields(self) -> dict[str, Any]:
        shown = self.device.reported_pools()
        fields: dict[str, Any] = {}
        for number, prefix in enumerate(PREFIXES):
            pool = shown[number] if number < len(shown) else Pool("", "", "")
            host, _, port = pool.url.removeprefix(SCHEME).rpartition(":")
            fields[f"{prefix}URL"] = host
            fields[f"{prefix}Port"] = int(port) if port.isdecimal() else 0
            fields[f"{prefix}User"] = pool.user
        return fields

    def _patch(self, request: Request) -> Response:
        try:
            document = dict(request.json())
            pools = self._patched_pools(document)
            settings = {name: SETTING_FIELDS[name](document[name]) for name in SETTING_FIELDS if name in document}
        except (ValueError, TypeError):
            self.device.log_write("PATCH /api/system", request.body.decode(errors="replace"), "refused")
            return text_response("Invalid JSON", 400)

        def change() -> None:
            self.device.settings.update(settings)
            if pools is not None:
                self.device.stage_pools(pools)

        self.device.submit_write("PATCH /api/system", document, change)
        return text_response("")

    def _patched_pools(self, document: dict[str, Any]) -> list[Pool] | None:
        """The stored pools with the given fields changed; None when none of them is about pools."""
        if not any(f"{prefix}{name}" in document for prefix in PREFIXES for name in POOL_FIELDS):
            return None
        stored = self.device.pools if self.device.staged_pools is None else self.device.staged_pools
        pools = []
        for number, prefix in enumerate(PREFIXES):
            old = stored[number] if number < len(stored) else Pool("", "", "")
            host, _, port = old.url.removeprefix(SCHEME).rpartition(":")
            host = str(document.get(f"{prefix}URL", host))
            port = str(int(document.get(f"{prefix}Port", port or 0)))
            user = str(document.get(f"{prefix}User", old.user))
            password = str(document.get(f"{prefix}Password", old.password))
            # The firmware adds the scheme itself: one that is written along ends up twice and never resolves.
            pools.append(Pool(f"{SCHEME}{host}:{port}" if host else "", user, password))
        return pools

    def _restart(self, _: Request) -> Response:
        self.device.submit_write("restart", None, lambda: self.device.restart(reboot=True))
        return text_response("System will restart shortly.")
