"""Stock Antminer of the S19 and S21 generations: digest-guarded CGI on port 80, a reading cgminer API on 4028.

What a writer has to get right: `set_miner_conf.cgi` replaces the whole configuration (what is missing goes
back to the factory's), names two fields differently from `get_miner_conf.cgi`, always leaves three pools,
and restarts mining. Joined commands on 4028 are refused.
"""

import random
from collections.abc import Callable
from typing import Any, ClassVar

from hashyard_simulator.cgminer import Answer, error, serve_cgminer
from hashyard_simulator.device import Device, Pool
from hashyard_simulator.families.antminer import AntminerReads
from hashyard_simulator.families.base import Family, filled_slots
from hashyard_simulator.http import DigestAuth, Request, Response, json_response, serve_http, text_response
from hashyard_simulator.station import Endpoint

REALM = "antMiner Configuration"
SLEEP_MODE = 1

FACTORY: dict[str, Any] = {
    "bitmain-fan-ctrl": False,
    "bitmain-fan-pwm": "100",
    "bitmain-freq-level": "100",
    "bitmain-work-mode": "0",
}
"""Settings under the names that reads use."""

WRITE_NAMES = {
    "bitmain-fan-ctrl": "bitmain-fan-ctrl",
    "bitmain-fan-pwm": "bitmain-fan-pwm",
    "bitmain-freq-level": "freq-level",
    "bitmain-work-mode": "miner-mode",
}
"""Read name to write name; what comes under another name is ignored."""


class AntminerS19(Family):
    name: ClassVar[str] = "antminer-s19"
    hostname: ClassVar[str] = "Antminer"

    def endpoints(self) -> list[Endpoint]:
        web = _Web(self.device)
        api = _Api(self.device)
        return [
            Endpoint(80, lambda r, w: serve_http(web, r, w)),
            Endpoint(4028, lambda r, w: serve_cgminer(api, r, w), mining=True),
        ]

    @classmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        return FACTORY | {
            "bitmain-fan-ctrl": True,
            "bitmain-fan-pwm": str(rng.choice((70, 75, 80, 85))),
            "bitmain-freq-level": str(rng.choice((90, 95))),
        }


class _Api:
    """Port 4028 in its group of reading commands."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._reads = AntminerReads(
            device, miner="uart_trans.1.3", type_name=device.model.name, description="cgminer 1.0.0"
        )

    def is_write(self, request: Answer) -> bool:
        return str(request.get("command")) not in AntminerReads.NAMES

    def refusal(self, request: Answer) -> Answer:
        return error(self.device, 45, f"Access denied to '{request.get('command')}' command", "cgminer 1.0.0")

    def respond(self, request: Answer) -> Answer:
        command = str(request.get("command"))
        if command in AntminerReads.NAMES:
            return self._reads.respond(command)
        if command in {"addpool", "switchpool", "removepool", "restart", "quit"}:
            self.device.counters.denied += 1
            return self.refusal(request)
        return error(self.device, 14, "Invalid command", "cgminer 1.0.0")


class _Web:
    """The CGI programs behind the page."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._auth = DigestAuth(REALM, device.account, device.effective_password)
        self._blinking = False
        self._programs: dict[str, Callable[[Request], Response]] = {
            "get_system_info": lambda _: json_response(self._system_info()),
            "get_network_info": lambda _: json_response(self._network_info()),
            "get_miner_conf": lambda _: json_response(self._miner_conf()),
            "get_blink_status": lambda _: json_response({"blink": self._blinking}),
            "summary": lambda _: json_response(self._summary()),
            "stats": lambda _: json_response(self._stats()),
            "pools": lambda _: json_response(self._pools()),
            "blink": self._blink,
            "set_miner_conf": self._set_miner_conf,
            "reboot": self._reboot,
        }

    def is_write(self, request: Request) -> bool:
        return request.method == "POST" or request.path.endswith("/reboot.cgi")

    def refusal(self, request: Request) -> Response:
        return json_response({"stats": "error", "code": "M001", "msg": "Illegal request!"})

    def respond(self, request: Request) -> Response:
        if not self._auth.allows(request):
            self.device.counters.denied += "authorization" in request.headers
            return self._auth.challenge()
        if request.path in {"/", "/index.html"}:
            return text_response("<html><head><title>Antminer</title></head><body></body></html>")
        program = request.path.removeprefix("/cgi-bin/").removesuffix(".cgi")
        if f"/cgi-bin/{program}.cgi" != request.path or program not in self._programs:
            return text_response("<html><body><h1>404 - Not Found</h1></body></html>", 404)
        return self._programs[program](request)

    def _system_info(self) -> dict[str, Any]:
        identity = self.device.identity
        return {
            "minertype": self.device.model.name,
            **self._network(),
            "hostname": identity.hostname,
            "system_mode": "GNU/Linux",
            "system_kernel_version": "Linux 4.6.0-xilinx-gff8137b #14 SMP PREEMPT",
            "system_filesystem_version": self.device.model.firmware,
            "firmware_type": "Release",
            "Algorithm": "sha256d",
            "serinum": identity.serial,
        }

    def _network(self) -> dict[str, Any]:
        return {
            "nettype": "DHCP",
            "netdevice": "eth0",
            "macaddr": self.device.identity.mac.upper(),
            "ipaddress": self.device.identity.ip,
            "netmask": "255.255.255.0",
            "gateway": "",
            "dnsservers": "",
        }

    def _network_info(self) -> dict[str, Any]:
        return {
            **self._network(),
            "conf_nettype": "DHCP",
            "conf_hostname": self.device.identity.hostname,
            "conf_ipaddress": "",
            "conf_netmask": "",
            "conf_gateway": "",
            "conf_dnsservers": "",
        }

    def _miner_conf(self) -> dict[str, Any]:
        pools = self.device.reported_pools()
        return {
            "pools": [{"url": p.url, "user": p.user, "pass": p.password} for p in pools],
            "api-listen": True,
            "api-network": True,
            "api-groups": "A:stats:pools:devs:summary:version",
            "api-allow": "A:0/0,W:*",
            "bitmain-use-vil": True,
            "bitmain-freq": "675",
            "bitmain-voltage": "1280",
            "bitmain-ccdelay": "1",
            "bitmain-pwth": "1",
            **self.device.settings,
        }

    def _head(self, call: str) -> dict[str, Any]:
        now = int(self.device.clock.wall_s())
        return {
            "STATUS": {"STATUS": "S", "when": now, "Msg": call, "api_version": "1.0.0"},
            "INFO": {
                "miner_version": "uart_trans.1.3",
                "CompileTime": self.device.model.firmware,
                "type": self.device.model.name,
            },
        }

    def _summary(self) -> dict[str, Any]:
        reading = self.device.reading()
        names = ("rate", "network", "fans", "temp")
        section = {
            "elapsed": reading.uptime_s,
            "rate_5s": round(reading.hashrate_ths * 1000, 2),
            "rate_30m": round(reading.average_ths * 1000, 2),
            "rate_avg": round(reading.average_ths * 1000, 2),
            "rate_ideal": round(self.device.model.hashrate_ths * 1000, 2),
            "rate_unit": "GH/s",
            "hw_all": 11,
            "bestshare": 0,
            "status": [{"type": name, "status": "s", "code": 0, "msg": ""} for name in names],
        }
        return {**self._head("summary"), "SUMMARY": [section]}

    def _stats(self) -> dict[str, Any]:
        reading = self.device.reading()
        chain = [
            {
                "index": board.slot,
                "freq_avg": 675,
                "rate_ideal": round(self.device.model.hashrate_ths * 1000 / len(reading.boards), 2),
                "rate_real": round(board.hashrate_ths * 1000, 2),
                "asic_num": board.chips,
                "asic": " " + "o" * board.chips,
                "temp_pic": [board.temp_pcb_c] * 4,
                "temp_pcb": [board.temp_pcb_c] * 4,
                "temp_chip": [board.temp_chip_c] * 4,
                "hw": 0,
                "eeprom_loaded": True,
                "sn": board.serial,
            }
            for board in reading.boards
        ]
        section = {
            "elapsed": reading.uptime_s,
            "rate_5s": round(reading.hashrate_ths * 1000, 2),
            "rate_30m": round(reading.average_ths * 1000, 2),
            "rate_avg": round(reading.average_ths * 1000, 2),
            "rate_ideal": round(self.device.model.hashrate_ths * 1000, 2),
            "rate_unit": "GH/s",
            "chain_num": len(chain),
            "fan_num": len(reading.fans_rpm),
            "fan": list(reading.fans_rpm),
            "hwp_total": 0.0,
            "miner-mode": int(self.device.settings["bitmain-work-mode"]),
            "freq-level": int(self.device.settings["bitmain-freq-level"]),
            "chain": chain,
        }
        return {**self._head("stats"), "STATS": [section]}

    def _pools(self) -> dict[str, Any]:
        active = self.device.active_pool()
        rows = [
            {
                "index": index,
                "url": pool.url,
                "user": pool.user,
                "status": "Alive" if self.device.world.alive(pool.url) else "Dead",
                "priority": pool.priority,
                "getworks": int(pool.shares / 3),
                "accepted": pool.accepted,
                "rejected": pool.rejected,
                "discarded": 0,
                "stale": pool.stale,
                "diff": "65.5K",
                "diff1": 0,
                "lstime": "0:00:01" if pool is active else "0",
            }
            for index, pool in enumerate(self.device.reported_pools())
        ]
        return {**self._head("pools"), "POOLS": rows}

    def _blink(self, request: Request) -> Response:
        try:
            wanted = (request.json() or {}).get("blink")
        except (ValueError, AttributeError):
            wanted = None
        self._blinking = wanted in {True, "true"}
        return json_response({"code": "B000" if self._blinking else "B100"})

    def _reboot(self, request: Request) -> Response:
        self.device.submit_write("reboot", None, lambda: self.device.restart(reboot=True))
        return json_response({"stats": "success", "code": "R000", "msg": "OK!"})

    def _set_miner_conf(self, request: Request) -> Response:
        try:
            document = request.json()
            pools = [_pool(entry) for entry in document.get("pools", [])]
        except (ValueError, AttributeError, TypeError, KeyError):
            self.device.log_write("set_miner_conf", request.body.decode(errors="replace"), "refused")
            return json_response({"stats": "error", "code": "M001", "msg": "Illegal request!"})
        settings = {
            read: _as_stored(read, document.get(write, FACTORY[read])) for read, write in WRITE_NAMES.items()
        }

        def change() -> None:
            self.device.replace_pools(filled_slots(pools, AntminerS19.slots))
            self.device.settings.update(settings)
            self.device.sleep(asleep=int(settings["bitmain-work-mode"]) == SLEEP_MODE)

        self.device.submit_write("set_miner_conf", document, change, restart=True)
        return json_response({"stats": "success", "code": "M000", "msg": "OK!"})


def _pool(entry: dict[str, Any]) -> Pool:
    return Pool(str(entry["url"]), str(entry["user"]), str(entry["pass"]))


def _as_stored(name: str, value: Any) -> Any:
    """The firmware keeps the fan switch as a boolean and everything else as text."""
    if name == "bitmain-fan-ctrl":
        return value in {True, "true"}
    text = str(value)
    return text if text.isdecimal() else FACTORY[name]
