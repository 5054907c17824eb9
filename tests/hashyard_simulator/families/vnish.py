"""VNish: a REST interface on port 80, a bmminer-like API on 4028.

On 4028 it calls itself an Antminer with VNish in brackets, so that it is easily taken for stock firmware.
Settings are merged, not replaced. Pool URLs come back without `stratum+tcp://`. Answers to `POST settings`
are the same whether anything changed or not.
"""

import random
import secrets
from collections.abc import Callable
from typing import Any, ClassVar

from hashyard_simulator.cgminer import Answer, error, joined, serve_cgminer
from hashyard_simulator.device import Device, Pool
from hashyard_simulator.families.antminer import AntminerReads
from hashyard_simulator.families.base import Family
from hashyard_simulator.http import Request, Response, json_response, serve_http, text_response
from hashyard_simulator.station import Endpoint

SCHEME = "stratum+tcp://"
MAX_TOKENS = 16
PRESET_SHARES = (0.8, 0.9, 1.0)


class VNish(Family):
    name: ClassVar[str] = "vnish"
    account: ClassVar[str] = "admin"
    password: ClassVar[str] = "admin"
    hostname: ClassVar[str] = "Antminer"
    slots: ClassVar[int] = 5

    def endpoints(self) -> list[Endpoint]:
        web = _Web(self.device)
        api = _Api(self.device)
        return [
            Endpoint(80, lambda r, w: serve_http(web, r, w)),
            Endpoint(4028, lambda r, w: serve_cgminer(api, r, w), mining=True),
        ]

    @classmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        return {
            "preset_share": 1.0,
            "cooling": {
                "mode": {"name": "auto", "param": rng.choice((60, 65, 70))},
                "fan_min_count": rng.choice((3, 4)),
                "fan_min_duty": 20,
                "fan_max_duty": 100,
            },
            "misc": {"restart_temp": 84, "downscale_preset_on_failure": True, "asic_boost": True},
        }


def type_name(device: Device) -> str:
    return f"{device.model.name} (Vnish {device.model.firmware})"


class _Api:
    def __init__(self, device: Device) -> None:
        self.device = device
        self._reads = AntminerReads(
            device, miner=device.model.firmware, type_name=type_name(device), description="cgminer 4.11.1"
        )

    def is_write(self, request: Answer) -> bool:
        return False

    def refusal(self, request: Answer) -> Answer:
        return error(self.device, 45, f"Access denied to '{request.get('command')}' command", "cgminer 4.11.1")

    def respond(self, request: Answer) -> Answer:
        command = str(request.get("command"))
        if "+" in command and all(part in AntminerReads.NAMES for part in command.split("+")):
            return joined(command, self._reads.respond)
        if command in AntminerReads.NAMES:
            return self._reads.respond(command)
        return error(self.device, 14, "Invalid command", "cgminer 4.11.1")


class _Web:
    """`/api/v1`; the open reads need no token."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._tokens: dict[str, str] = {}
        self._blinking = False
        self._open: dict[str, Callable[[], Any]] = {
            "info": self._info,
            "summary": self._summary,
            "perf-summary": self._perf_summary,
            "status": self._status,
        }
        self._guarded: dict[str, Callable[[], Any]] = {
            "settings": self._settings,
            "autotune/presets": self._presets,
        }
        self._posts: dict[str, Callable[[Request], Response]] = {
            "settings": self._post_settings,
            "mining/stop": lambda _: self._do("mining/stop", lambda: device.sleep(asleep=True)),
            "mining/pause": lambda _: self._do("mining/pause", lambda: device.sleep(asleep=True)),
            "mining/start": lambda _: self._do("mining/start", lambda: device.sleep(asleep=False)),
            "mining/resume": lambda _: self._do("mining/resume", lambda: device.sleep(asleep=False)),
            "mining/restart": lambda _: self._do("mining/restart", device.restart),
            "system/reboot": lambda _: self._do("system/reboot", lambda: device.restart(reboot=True)),
            "find-miner": self._find,
        }

    def is_write(self, request: Request) -> bool:
        return request.method == "POST" and not request.path.endswith("/unlock")

    def refusal(self, request: Request) -> Response:
        return json_response({"err": "forbidden"}, 403)

    def respond(self, request: Request) -> Response:
        if not request.path.startswith("/api/v1/"):
            return text_response("<!doctype html><html><head><title>AnthillOS</title></head><body></body></html>")
        name = request.path.removeprefix("/api/v1/")
        if name == "unlock" and request.method == "POST":
            return self._unlock(request)
        if request.method == "GET" and name in self._open:
            return json_response(self._open[name]())
        return self._respond_guarded(request, name)

    def _respond_guarded(self, request: Request, name: str) -> Response:
        table = self._posts if request.method == "POST" else self._guarded
        if name not in table:
            return json_response({"err": "not found"}, 404)
        if not self._allowed(request):
            self.device.counters.denied += 1
            return json_response({"err": "unauthorized"}, 401)
        if request.method == "POST":
            return self._posts[name](request)
        return json_response(self._guarded[name]())

    def _unlock(self, request: Request) -> Response:
        try:
            password = (request.json() or {}).get("pw")
        except (ValueError, AttributeError):
            return json_response({"err": "bad request"}, 400)
        if password != self.device.effective_password():
            self.device.counters.denied += 1
            return json_response({"err": "incorrect password"}, 403)
        token = secrets.token_hex(16)
        self._tokens[token] = password
        while len(self._tokens) > MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        return json_response({"token": token})

    def _allowed(self, request: Request) -> bool:
        """A token dies with the password it was got by."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._tokens.get(token) == self.device.effective_password()

    # -- reads -----------------------------------------------------------------------------------

    def _info(self) -> dict[str, Any]:
        identity = self.device.identity
        return {
            "miner": type_name(self.device),
            "model": self.device.model.label.lower(),
            "fw_name": "AnthillOS",
            "fw_version": self.device.model.firmware,
            "platform": "xil",
            "algorithm": "sha256d",
            "serial": identity.serial,
            "system": {
                "os": "GNU/Linux",
                "miner_name": self.device.model.name,
                "uptime": "1 day",
                "network_status": {
                    "mac": identity.mac.upper(),
                    "dhcp": True,
                    "ip": identity.ip,
                    "netmask": "255.255.255.0",
                    "gateway": "",
                    "dns": [],
                    "hostname": identity.hostname,
                },
            },
        }

    def _state(self) -> str:
        if self.device.asleep:
            return "stopped"
        return "starting" if self.device.restarting else "mining"

    def _status(self) -> dict[str, Any]:
        return {"miner_state": self._state(), "find_miner": self._blinking, "restart_required": False}

    def _summary(self) -> dict[str, Any]:
        reading = self.device.reading()
        return {
            "miner": {
                "miner_status": {"miner_state": self._state(), "miner_state_time": reading.uptime_s},
                "miner_type": type_name(self.device),
                "instant_hashrate": round(reading.hashrate_ths, 2),
                "average_hashrate": round(reading.average_ths, 2),
                "hr_nominal": self.device.model.hashrate_ths,
                "power_usage": reading.power_w,
                "power_consumption": reading.power_w,
                "hw_errors": 11,
                "pools": self._summary_pools(),
                "cooling": {
                    "fan_num": len(reading.fans_rpm),
                    "fans": [
                        {"id": n, "rpm": rpm, "status": "ok", "max_rpm": 6000}
                        for n, rpm in enumerate(reading.fans_rpm)
                    ],
                    "settings": {"mode": self.device.settings["cooling"]["mode"]},
                    "fan_duty": 80,
                },
                "chains": [
                    {
                        "id": b.slot + 1,
                        "hashrate_rt": round(b.hashrate_ths * 1000, 2),
                        "pcb_temp": {"min": b.temp_pcb_c - 2, "max": b.temp_pcb_c},
                        "chip_temp": {"min": b.temp_chip_c - 2, "max": b.temp_chip_c},
                        "status": {"state": self._state()},
                    }
                    for b in reading.boards
                ],
            },
            "system": self._info()["system"],
        }

    def _summary_pools(self) -> list[dict[str, Any]]:
        shown = self.device.reported_pools()
        active = self.device.active_pool()
        rows = []
        for number, pool in enumerate(shown):
            living = self.device.world.alive(pool.url)
            rows.append(
                {
                    "id": number,
                    "url": pool.url.removeprefix(SCHEME),
                    "pool_type": "UserPool",
                    "user": pool.user,
                    "status": "active" if pool is active else "working" if living else "offline",
                    "accepted": pool.accepted,
                    "rejected": pool.rejected,
                    "stale": pool.stale,
                }
            )
        return rows

    def _preset(self, share: float) -> dict[str, Any]:
        model = self.device.model
        watts = round(model.power_w * share)
        return {
            "name": str(watts),
            "pretty": f"{watts} watt ~ {round(model.hashrate_ths * share)} TH",
            "status": "tuned",
            "modded_psu_required": False,
        }

    def _presets(self) -> list[dict[str, Any]]:
        return [self._preset(share) for share in PRESET_SHARES]

    def _perf_summary(self) -> dict[str, Any]:
        return {"current_preset": self._preset(self.device.settings["preset_share"])}

    def _settings(self) -> dict[str, Any]:
        settings = self.device.settings
        return {
            "miner": {
                "overclock": {
                    "modded_psu": False,
                    "preset": self._preset(settings["preset_share"])["name"],
                    "globals": {"freq": 675, "volt": 13_200},
                    "chains": [{"freq": 675, "chips": []} for _ in range(self.device.model.boards)],
                },
                "cooling": settings["cooling"],
                "misc": settings["misc"],
                "pools": [
                    {
                        "url": p.url.removeprefix(SCHEME),
                        "user": p.user,
                        "pass": p.password,
                        "order": order,
                    }
                    for order, p in enumerate(self.device.reported_pools())
                ],
            },
            "network": {"hostname": self.device.identity.hostname, "dhcp": True},
            "regional": {"timezone": {"current": "GMT"}},
            "ui": {"theme": "auto"},
        }

    # -- writes ----------------------------------------------------------------------------------

    def _do(self, command: str, change: Callable[[], None]) -> Response:
        self.device.submit_write(command, None, change)
        return json_response({"success": True})

    def _find(self, _: Request) -> Response:
        self._blinking = not self._blinking
        return json_response({"on": self._blinking})

    def _post_settings(self, request: Request) -> Response:
        try:
            document = request.json()
            miner = document.get("miner") or {}
            pools = None if "pools" not in miner else [_pool(entry) for entry in miner["pools"]]
            cooling = dict(miner.get("cooling") or {})
            misc = dict(miner.get("misc") or {})
        except (ValueError, AttributeError, TypeError, KeyError):
            self.device.log_write("settings", request.body.decode(errors="replace"), "refused")
            return json_response({"err": "invalid request"}, 400)
        preset = str((miner.get("overclock") or {}).get("preset", ""))

        def change() -> None:
            settings = self.device.settings
            settings["cooling"] = settings["cooling"] | cooling
            settings["misc"] = settings["misc"] | misc
            for share in PRESET_SHARES:
                if self._preset(share)["name"] == preset:
                    settings["preset_share"] = share
                    self.device.tuning.profile_share = share
            if pools is not None:
                self.device.replace_pools(pools[: VNish.slots])

        self.device.submit_write("settings", document, change, restart=pools is not None or bool(preset))
        return json_response({"restart_required": False, "reboot_required": False})


def _pool(entry: dict[str, Any]) -> Pool:
    """Kept with a scheme, as the mining program shows it on 4028."""
    url = str(entry["url"])
    if url and "://" not in url:
        url = SCHEME + url
    return Pool(url, str(entry["user"]), str(entry.get("pass", "")))
