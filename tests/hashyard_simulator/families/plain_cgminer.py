"""A rig that runs plain cgminer: port 4028 and nothing else, pools changed one by one, no passwords shown."""

import random
from collections.abc import Callable
from typing import Any, ClassVar

from hashyard_simulator.cgminer import (
    Answer,
    PoolCommands,
    error,
    joined,
    pool_rows,
    serve_cgminer,
    status,
)
from hashyard_simulator.device import Device
from hashyard_simulator.families.base import Family
from hashyard_simulator.station import Endpoint


class PlainCgminer(Family):
    name: ClassVar[str] = "cgminer"
    account: ClassVar[str] = ""
    password: ClassVar[str] = ""
    slots: ClassVar[int] = 8
    privileged_ports: ClassVar[bool] = False

    def endpoints(self) -> list[Endpoint]:
        api = _Api(self.device)
        return [Endpoint(4028, lambda r, w: serve_cgminer(api, r, w), mining=True)]

    @classmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        return {"strategy": "Failover", "queue": rng.choice((1, 2, 9999))}


class _Api:
    def __init__(self, device: Device) -> None:
        self.device = device
        self._description = f"cgminer {device.model.firmware}"
        self._pool_commands = PoolCommands(device, self._description)
        self._reads: dict[str, Callable[[], Answer]] = {
            "version": self._version,
            "config": self._config,
            "summary": self._summary,
            "pools": self._pools,
            "devs": self._devs,
            "stats": self._stats,
            "coin": self._coin,
            "privileged": lambda: self._wrap(46, "Privileged access OK", None, []),
        }

    def is_write(self, request: Answer) -> bool:
        return str(request.get("command")) in PoolCommands.NAMES | {"restart", "quit"}

    def refusal(self, request: Answer) -> Answer:
        return error(self.device, 45, f"Access denied to '{request.get('command')}' command", self._description)

    def respond(self, request: Answer) -> Answer:
        command = str(request.get("command"))
        if command in PoolCommands.NAMES:
            return self._pool_commands.respond(command, str(request.get("parameter", "")))
        if command == "restart":
            self.device.submit_write("restart", None, self.device.restart)
            return {"STATUS": "RESTART", "id": 1}
        if "+" in command and all(part in self._reads for part in command.split("+")):
            return joined(command, lambda part: self._reads[part]())
        if command in self._reads:
            return self._reads[command]()
        return error(self.device, 14, "Invalid command", self._description)

    def _wrap(self, code: int, message: str, name: str | None, rows: list[Answer]) -> Answer:
        head = status(self.device, code, message, description=self._description)
        sections = {} if name is None else {name: rows}
        return {"STATUS": [head], **sections, "id": 1}

    def _version(self) -> Answer:
        row = {"CGMiner": self.device.model.firmware, "API": "3.7"}
        return self._wrap(22, "CGMiner versions", "VERSION", [row])

    def _config(self) -> Answer:
        row = {
            "ASC Count": self.device.model.boards,
            "PGA Count": 0,
            "Pool Count": len(self.device.pools),
            "Strategy": self.device.settings["strategy"],
            "Queue": self.device.settings["queue"],
            "OS": "Linux",
        }
        return self._wrap(33, "CGMiner config", "CONFIG", [row])

    def _summary(self) -> Answer:
        self.device.settle()
        reading = self.device.reading()
        row = {
            "Elapsed": reading.uptime_s,
            "MHS av": round(reading.average_ths * 1e6, 2),
            "MHS 5s": round(reading.hashrate_ths * 1e6, 2),
            "MHS 1m": round(reading.hashrate_ths * 1e6, 2),
            "MHS 5m": round(reading.average_ths * 1e6, 2),
            "MHS 15m": round(reading.average_ths * 1e6, 2),
            "Found Blocks": 0,
            "Accepted": sum(p.accepted for p in self.device.pools),
            "Rejected": sum(p.rejected for p in self.device.pools),
            "Stale": sum(p.stale for p in self.device.pools),
            "Hardware Errors": 3,
            "Last getwork": int(self.device.clock.wall_s()),
        }
        return self._wrap(11, "Summary", "SUMMARY", [row])

    def _pools(self) -> Answer:
        rows = pool_rows(self.device)
        return self._wrap(7, f"{len(rows)} Pool(s)", "POOLS", rows)

    def _devs(self) -> Answer:
        rows = [
            {
                "ASC": b.slot,
                "Name": "ASC",
                "ID": b.slot,
                "Enabled": "Y",
                "Status": "Alive",
                "Temperature": float(b.temp_pcb_c),
                "MHS av": round(b.hashrate_ths * 1e6, 2),
                "MHS 5s": round(b.hashrate_ths * 1e6, 2),
            }
            for b in self.device.reading().boards
        ]
        return self._wrap(9, f"{len(rows)} ASC(s)", "DEVS", rows)

    def _stats(self) -> Answer:
        elapsed_s = self.device.reading().uptime_s
        rows = [
            {"STATS": n, "ID": f"ASC{n}", "Elapsed": elapsed_s, "Calls": 0, "Wait": 0.0}
            for n in range(self.device.model.boards)
        ]
        return self._wrap(70, "CGMiner stats", "STATS", rows)

    def _coin(self) -> Answer:
        return self._wrap(78, "CGMiner coin", "COIN", [{"Hash Method": "sha256", "LP": True}])
