"""Avalon (A12 generation): port 4028 only, most figures packed into one text of `Name[value]` pieces.

`ascset` with `setpool` stores a pool that is used after the next restart. Pool passwords cannot be read.
"""

import random
from collections.abc import Callable
from typing import Any, ClassVar

from hashyard_simulator.cgminer import (
    Answer,
    error,
    joined,
    pool_rows,
    serve_cgminer,
    split_parameters,
    status,
)
from hashyard_simulator.device import Device, Pool, Reading
from hashyard_simulator.families.base import Family
from hashyard_simulator.station import Endpoint

DESCRIPTION = "cgminer 4.11.1"
SET_OK = "ASC 0 set OK"


class Avalon(Family):
    name: ClassVar[str] = "avalon"
    privileged_ports: ClassVar[bool] = False

    def endpoints(self) -> list[Endpoint]:
        api = _Api(self.device)
        return [Endpoint(4028, lambda r, w: serve_cgminer(api, r, w), mining=True)]

    @classmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        return {"worklevel": rng.choice((0, 1)), "fan_percent": rng.choice((70, 80)), "led": 0}


class _Api:
    def __init__(self, device: Device) -> None:
        self.device = device
        self._reads: dict[str, Callable[[], Answer]] = {
            "version": self._version,
            "summary": self._summary,
            "devs": self._devs,
            "pools": self._pools,
            "stats": self._stats,
            "estats": self._stats,
        }

    def is_write(self, request: Answer) -> bool:
        return str(request.get("command")) in {"ascset", "restart"}

    def refusal(self, request: Answer) -> Answer:
        return error(self.device, 45, f"Access denied to '{request.get('command')}' command", DESCRIPTION)

    def respond(self, request: Answer) -> Answer:
        command = str(request.get("command"))
        if command == "ascset":
            return self._ascset(split_parameters(str(request.get("parameter", ""))))
        if command == "restart":
            self.device.submit_write("restart", None, self.device.restart)
            return {"STATUS": "RESTART", "id": 1}
        if "+" in command and all(part in self._reads for part in command.split("+")):
            return joined(command, lambda part: self._reads[part]())
        if command in self._reads:
            return self._reads[command]()
        return error(self.device, 14, "Invalid command", DESCRIPTION)

    def _wrap(self, code: int, message: str, name: str, rows: list[Answer]) -> Answer:
        return {"STATUS": [status(self.device, code, message, description=DESCRIPTION)], name: rows, "id": 1}

    def _version(self) -> Answer:
        row = {
            "CGMiner": "4.11.1",
            "API": "3.7",
            "STM8": "20.08.01",
            "PROD": self.device.model.name,
            "MODEL": "1246-N-90-21",
            "HWTYPE": "MM3v2_X3",
            "SWTYPE": "MM319",
            "LVERSION": self.device.model.firmware,
            "BVERSION": self.device.model.firmware,
            "CGVERSION": self.device.model.firmware,
            "DNA": f"0201{self.device.seed:012x}",
            "MAC": self.device.identity.mac.replace(":", ""),
            "UPAPI": "2",
        }
        return self._wrap(22, "CGMiner versions", "VERSION", [row])

    def _summary(self) -> Answer:
        self.device.settle()
        reading = self.device.reading()
        row = _rates(reading.hashrate_ths, reading.average_ths) | {
            "Elapsed": reading.uptime_s,
            "Accepted": sum(p.accepted for p in self.device.pools),
            "Rejected": sum(p.rejected for p in self.device.pools),
            "Stale": sum(p.stale for p in self.device.pools),
            "Hardware Errors": 5,
        }
        return self._wrap(11, "Summary", "SUMMARY", [row])

    def _devs(self) -> Answer:
        reading = self.device.reading()
        row = _rates(reading.hashrate_ths, reading.average_ths) | {
            "ASC": 0,
            "Name": "AVA10",
            "ID": 0,
            "Enabled": "Y",
            "Status": "Alive",
            "Temperature": float(reading.env_temp_c),
        }
        return self._wrap(9, "1 ASC(s)", "DEVS", [row])

    def _pools(self) -> Answer:
        rows = pool_rows(self.device)
        return self._wrap(7, f"{len(rows)} Pool(s)", "POOLS", rows)

    def _stats(self) -> Answer:
        reading = self.device.reading()
        head = {
            "STATS": 0,
            "ID": "AVA100",
            "Elapsed": reading.uptime_s,
            "Calls": 0,
            "MM ID0": self._packed(reading),
            "MM Count": 1,
            "Smart Speed": 1,
        }
        pools = [
            {"STATS": n, "ID": f"POOL{n - 1}", "Elapsed": reading.uptime_s}
            for n in range(1, len(self.device.pools) + 1)
        ]
        return self._wrap(70, "CGMiner stats", "STATS", [head, *pools])

    def _packed(self, reading: Reading) -> str:
        boards = reading.boards
        pieces: dict[str, Any] = {
            "Ver": f"1246-N-90-{self.device.model.firmware}",
            "DNA": f"0201{self.device.seed:012x}",
            "SYSTEMSTATU": f"Work: In {'Idle' if self.device.asleep else 'Work'}, Hash Board: {len(boards)} ",
            "Elapsed": reading.uptime_s,
            "Temp": reading.env_temp_c,
            "TMax": max(b.temp_chip_c for b in boards),
            "TAvg": round(sum(b.temp_chip_c for b in boards) / len(boards)),
            **{f"Fan{n}": rpm for n, rpm in enumerate(reading.fans_rpm, start=1)},
            "FanR": f"{self.device.settings['fan_percent']}%",
            "PS": f"0 1214 1224 {round(reading.power_w / 12.24)} {reading.power_w} 1224",
            "GHSspd": f"{reading.hashrate_ths * 1000:.2f}",
            "GHSmm": f"{self.device.model.hashrate_ths * 1000:.2f}",
            "GHSavg": f"{reading.average_ths * 1000:.2f}",
            "MGHS": " ".join(f"{b.hashrate_ths * 1000:.2f}" for b in boards),
            "MTmax": " ".join(str(b.temp_chip_c) for b in boards),
            "MTavg": " ".join(str(b.temp_pcb_c) for b in boards),
            "TA": sum(b.chips for b in boards),
            "Led": self.device.settings["led"],
            "WORKMODE": self.device.settings["worklevel"],
        }
        for board in boards:
            pieces[f"PVT_T{board.slot}"] = " ".join([str(board.temp_chip_c)] * board.chips)
        return " ".join(f"{name}[{value}]" for name, value in pieces.items())

    def _ascset(self, fields: list[str]) -> Answer:
        actions: dict[str, Callable[[list[str]], Answer]] = {
            "setpool": self._setpool,
            "led": lambda f: self._set("led", f, lambda: self.device.settings.update(led=int(f[0][-1:] == "1"))),
            "softoff": lambda f: self._set("softoff", f, lambda: self.device.sleep(asleep=True)),
            "softon": lambda f: self._set("softon", f, lambda: self.device.sleep(asleep=False)),
            "reboot": lambda f: self._set("reboot", f, lambda: self.device.restart(reboot=True)),
        }
        if len(fields) < 3 or fields[0] != "0" or fields[1] not in actions:
            return error(self.device, 116, "Invalid ascset parameter", DESCRIPTION)
        return actions[fields[1]](fields[2:])

    def _set(self, command: str, content: list[str], change: Callable[[], None]) -> Answer:
        self.device.submit_write(f"ascset {command}", content, change)
        message = f"{SET_OK}: success" if command.startswith("soft") else SET_OK
        return {"STATUS": [status(self.device, 119, message, description=DESCRIPTION)], "id": 1}

    def _setpool(self, fields: list[str]) -> Answer:
        """`account,password,slot,url,worker,pool password`."""
        if len(fields) < 6 or not fields[2].isdecimal() or int(fields[2]) >= Avalon.slots:
            return error(self.device, 116, "Invalid ascset parameter", DESCRIPTION)
        if (fields[0], fields[1]) != (self.device.account, self.device.effective_password()):
            self.device.counters.denied += 1
            return error(self.device, 116, "Invalid user or password", DESCRIPTION)
        stored = self.device.pools if self.device.staged_pools is None else self.device.staged_pools
        pools = [pool.copy() for pool in stored]
        while len(pools) <= int(fields[2]):
            pools.append(Pool("", "", ""))
        pools[int(fields[2])] = Pool(fields[3], fields[4], fields[5])
        return self._set("setpool", fields, lambda: self.device.stage_pools(pools))


def _rates(now_ths: float, average_ths: float) -> Answer:
    now_mhs, average_mhs = round(now_ths * 1e6, 2), round(average_ths * 1e6, 2)
    return {
        "MHS av": average_mhs,
        "MHS 5s": now_mhs,
        "MHS 1m": now_mhs,
        "MHS 5m": average_mhs,
        "MHS 15m": average_mhs,
    }
