"""LuxOS: the cgminer API on 4028 with sessions for some commands, a page on 80.

Parameters are strings separated by commas. One session at a time, dead after 60 s without use. Pools are
changed one by one, without a session: `addpool`, `switchpool`, `removepool`. Pool passwords cannot be read.
"""

import random
import secrets
from collections.abc import Callable
from typing import Any, ClassVar

from hashyard_simulator.cgminer import (
    Answer,
    PoolCommands,
    error,
    joined,
    pool_rows,
    serve_cgminer,
    split_parameters,
    status,
)
from hashyard_simulator.device import Device
from hashyard_simulator.families.antminer import stats_section, summary_section
from hashyard_simulator.families.base import Family
from hashyard_simulator.http import Request, Response, serve_http, text_response
from hashyard_simulator.station import Endpoint

SESSION_LIFE_S = 60.0
CODE_SESSION_TAKEN = 402
CODE_SESSION_WRONG = 401
PROFILES = {"default": 1.0, "eco": 0.8}
"""Profile name to its share of the nameplate."""


class LuxOs(Family):
    name: ClassVar[str] = "luxos"
    hostname: ClassVar[str] = "LuxOS"
    slots: ClassVar[int] = 8

    def endpoints(self) -> list[Endpoint]:
        page = _Page(self.device)
        api = _Api(self.device)
        return [
            Endpoint(80, lambda r, w: serve_http(page, r, w)),
            Endpoint(4028, lambda r, w: serve_cgminer(api, r, w)),
        ]

    @classmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        return {
            "profile": "default",
            "red_led": "off",
            "atm_enabled": True,
            "min_fans": rng.choice((2, 3)),
            "target_temp_c": rng.choice((60, 65)),
        }


class _Page:
    def __init__(self, device: Device) -> None:
        self.device = device

    def is_write(self, request: Request) -> bool:
        return False

    def refusal(self, request: Request) -> Response:
        return text_response("Forbidden", 403)

    def respond(self, request: Request) -> Response:
        if request.path != "/":
            return text_response("Not Found", 404)
        return text_response("<!doctype html><html><head><title>Luxor Firmware</title></head><body></body></html>")


class _Session:
    """The one session a device has."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._id = ""
        self._expires_at_s = 0.0

    def current(self) -> str:
        """The session's id, empty when there is none."""
        if self._device.clock.monotonic_s() >= self._expires_at_s:
            self._id = ""
        return self._id

    def open(self) -> str | None:
        """A new session; None when somebody else has one."""
        if self.current():
            return None
        self._id = secrets.token_urlsafe(6)
        self._touch()
        return self._id

    def uses(self, session_id: str) -> bool:
        if not session_id or session_id != self.current():
            return False
        self._touch()
        return True

    def close(self) -> None:
        self._id = ""

    def _touch(self) -> None:
        self._expires_at_s = self._device.clock.monotonic_s() + SESSION_LIFE_S


class _Api:
    def __init__(self, device: Device) -> None:
        self.device = device
        self._session = _Session(device)
        self._description = f"LUXminer {device.model.firmware}"
        self._pool_commands = PoolCommands(device, self._description)
        self._reads: dict[str, Callable[[], Answer]] = {
            "version": self._version,
            "summary": self._summary,
            "stats": self._stats,
            "pools": self._pools,
            "groups": self._groups,
            "config": self._config,
            "fans": self._fans,
            "power": self._power,
            "profiles": self._profiles,
            "tempctrl": self._tempctrl,
            "devs": self._devs,
            "devdetails": self._devdetails,
            "atm": self._atm,
            "session": self._show_session,
            "logon": self._logon,
        }
        self._guarded: dict[str, Callable[[list[str]], Answer]] = {
            "logoff": self._logoff,
            "curtail": self._curtail,
            "profileset": self._profile_set,
            "ledset": self._led_set,
            "atmset": self._atm_set,
            "rebootdevice": lambda p: self._do("rebootdevice", p, lambda: device.restart(reboot=True)),
            "resetminer": lambda p: self._do("resetminer", p, device.restart),
        }

    def is_write(self, request: Answer) -> bool:
        command = str(request.get("command"))
        return command in PoolCommands.NAMES or (command in self._guarded and command != "logoff")

    def refusal(self, request: Answer) -> Answer:
        return error(self.device, 45, f"Access denied to '{request.get('command')}' command", self._description)

    def respond(self, request: Answer) -> Answer:
        command = str(request.get("command"))
        parameter = request.get("parameter", "")
        if command in PoolCommands.NAMES or command in self._guarded:
            if not isinstance(parameter, str):
                return error(self.device, 23, "Invalid parameter: a string is expected", self._description)
            if command in PoolCommands.NAMES:
                return self._pool_commands.respond(command, parameter)
            return self._with_session(command, split_parameters(parameter))
        if "+" in command and all(part in self._reads for part in command.split("+")):
            return joined(command, lambda part: self._reads[part]())
        if command in self._reads:
            return self._reads[command]()
        return error(self.device, 14, "Invalid command", self._description)

    def _with_session(self, command: str, parameters: list[str]) -> Answer:
        if not self._session.uses(parameters[0]):
            self.device.counters.denied += 1
            return error(self.device, CODE_SESSION_WRONG, "Invalid session id", self._description)
        return self._guarded[command](parameters[1:])

    def _wrap(self, code: int, message: str, name: str, rows: list[Answer]) -> Answer:
        head = status(self.device, code, message, description=self._description)
        return {"STATUS": [head], name: rows, "id": 1}

    # -- reads -----------------------------------------------------------------------------------

    def _version(self) -> Answer:
        firmware = self.device.model.firmware
        row = {
            "API": "3.7",
            "CompileTime": "Tue May 14 15:54:32 UTC 2024",
            "LUXminer": firmware,
            "Miner": firmware,
            "Type": self.device.model.name,
        }
        return self._wrap(22, "LUXminer versions", "VERSION", [row])

    def _summary(self) -> Answer:
        self.device.settle()
        section = summary_section(self.device, self.device.reading())
        section["GHS 5s"] = float(section["GHS 5s"])
        return self._wrap(11, "Summary", "SUMMARY", [section])

    def _stats(self) -> Answer:
        head = {"LUXminer": self.device.model.firmware, "Type": self.device.model.name}
        return self._wrap(70, "LUXminer stats", "STATS", [head, stats_section(self.device, self.device.reading())])

    def _pools(self) -> Answer:
        shown = self.device.reported_pools()
        rows = [row | {"GROUP": p.group} for row, p in zip(pool_rows(self.device, shown), shown, strict=True)]
        return self._wrap(7, f"{len(rows)} Pool(s)", "POOLS", rows)

    def _groups(self) -> Answer:
        return self._wrap(80, "1 Groups", "GROUPS", [{"GROUP": 0, "Name": "default", "Quota": 1}])

    def _config(self) -> Answer:
        identity = self.device.identity
        row = {
            "ASC Count": self.device.model.boards,
            "PGA Count": 0,
            "Pool Count": len(self.device.pools),
            "Strategy": "Failover",
            "OS": "Linux",
            "Model": self.device.model.name,
            "Hostname": identity.hostname,
            "IPAddr": identity.ip,
            "MACAddr": identity.mac,
            "SerialNumber": identity.serial,
            "Profile": self.device.settings["profile"],
            "IsAtmEnabled": self.device.settings["atm_enabled"],
            "RedLed": self.device.settings["red_led"],
            "GreenLed": "on",
            "CurtailMode": "Sleep" if self.device.asleep else "None",
        }
        return self._wrap(33, "LUXminer config", "CONFIG", [row])

    def _fans(self) -> Answer:
        answer = self._wrap(202, "Fans", "FANS", [])
        rpms = self.device.reading().fans_rpm
        answer["FANS"] = [{"FAN": n, "ID": n, "RPM": rpm, "Speed": 80} for n, rpm in enumerate(rpms)]
        answer["FANCTRL"] = [{"MinFans": self.device.settings["min_fans"], "FanCount": len(rpms)}]
        return answer

    def _power(self) -> Answer:
        row = {"PSU": True, "Watts": self.device.reading().power_w}
        return self._wrap(205, "Power", "POWER", [row])

    def _profiles(self) -> Answer:
        model = self.device.model
        rows = [
            {
                "Profile Name": name,
                "Frequency": 600.0 * share,
                "Voltage": 13.2,
                "Hashrate": model.hashrate_ths * share,
                "Watts": round(model.power_w * share),
                "IsDynamic": False,
                "IsTuned": True,
                "Step": "0",
            }
            for name, share in PROFILES.items()
        ]
        return self._wrap(325, "Profiles", "PROFILES", rows)

    def _tempctrl(self) -> Answer:
        row = {"Mode": "Automatic", "Target": self.device.settings["target_temp_c"], "Hot": 90, "Dangerous": 95}
        return self._wrap(201, "Temperature control", "TEMPCTRL", [row])

    def _devs(self) -> Answer:
        rows = [
            {
                "ASC": b.slot,
                "ID": b.slot,
                "Name": "Hash board",
                "Enabled": "Y",
                "Status": "Alive",
                "Temperature": float(b.temp_pcb_c),
                "MHS 5s": b.hashrate_ths * 1e6,
                "MHS av": b.hashrate_ths * 1e6,
                "SerialNumber": b.serial,
            }
            for b in self.device.reading().boards
        ]
        return self._wrap(9, f"{len(rows)} ASC(s)", "DEVS", rows)

    def _devdetails(self) -> Answer:
        rows = [
            {"DEVDETAILS": n, "ID": n, "Name": "Hash board", "Model": self.device.model.name}
            for n in range(self.device.model.boards)
        ]
        return self._wrap(69, "Device Details", "DEVDETAILS", rows)

    def _atm(self) -> Answer:
        return self._wrap(338, "ATM", "ATM", [{"Enabled": self.device.settings["atm_enabled"]}])

    # -- sessions --------------------------------------------------------------------------------

    def _show_session(self) -> Answer:
        return self._wrap(317, "Session information", "SESSION", [{"SessionID": self._session.current()}])

    def _logon(self) -> Answer:
        session_id = self._session.open()
        if session_id is None:
            return error(self.device, CODE_SESSION_TAKEN, "Another session is already active", self._description)
        return self._wrap(316, "Session created", "SESSION", [{"SessionID": session_id}])

    def _logoff(self, _: list[str]) -> Answer:
        self._session.close()
        return self._wrap(318, "Session terminated", "SESSION", [{"SessionID": ""}])

    # -- writes that need a session --------------------------------------------------------------

    def _do(self, command: str, parameters: list[str], change: Callable[[], None]) -> Answer:
        self.device.submit_write(command, parameters, change)
        head = status(self.device, 300, f"{command} done", description=self._description)
        return {"STATUS": [head], "id": 1}

    def _curtail(self, parameters: list[str]) -> Answer:
        mode = parameters[0].lower() if parameters else ""
        if mode not in {"sleep", "wakeup"}:
            return error(self.device, 23, "Invalid parameter", self._description)
        return self._do("curtail", parameters, lambda: self.device.sleep(asleep=mode == "sleep"))

    def _profile_set(self, parameters: list[str]) -> Answer:
        name = parameters[0] if parameters else ""
        if name not in PROFILES:
            return error(self.device, 326, "Unknown profile", self._description)

        def change() -> None:
            self.device.settings["profile"] = name
            self.device.tuning.profile_share = PROFILES[name]

        self.device.submit_write("profileset", parameters, change, restart=True)
        return self._wrap(327, "Profile set", "PROFILE", [{"Profile": name}])

    def _led_set(self, parameters: list[str]) -> Answer:
        if len(parameters) < 2:
            return error(self.device, 23, "Invalid parameter", self._description)
        return self._do("ledset", parameters, lambda: self.device.settings.update(red_led=parameters[1]))

    def _atm_set(self, parameters: list[str]) -> Answer:
        enabled = any(p.lower() in {"enabled=true", "true"} for p in parameters)
        return self._do("atmset", parameters, lambda: self.device.settings.update(atm_enabled=enabled))
