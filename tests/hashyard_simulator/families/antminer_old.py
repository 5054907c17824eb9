"""Stock Antminer of the S9 and S17 generations: as the modern one, but with form posts and text answers.

`set_miner_conf.cgi` takes `_ant_*` form fields and answers `ok` as text; a field that is missing goes back to
the factory's value; mining restarts. Port 4028 takes joined commands.
"""

import random
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import parse_qs

from hashyard_simulator.cgminer import Answer, error, joined, serve_cgminer
from hashyard_simulator.device import Device, Pool
from hashyard_simulator.families.antminer import AntminerReads
from hashyard_simulator.families.base import Family, filled_slots
from hashyard_simulator.http import DigestAuth, Request, Response, json_response, serve_http, text_response
from hashyard_simulator.station import Endpoint

REALM = "antMiner Configuration"
DESCRIPTION = "bmminer 1.0.0"

FACTORY: dict[str, str] = {
    "bitmain-fan-ctrl": "false",
    "bitmain-fan-pwm": "100",
    "bitmain-freq": "550",
    "bitmain-voltage": "0706",
}
FORM_NAMES = {
    "bitmain-fan-ctrl": "_ant_fan_customize_switch",
    "bitmain-fan-pwm": "_ant_fan_customize_value",
    "bitmain-freq": "_ant_freq",
    "bitmain-voltage": "_ant_voltage",
}
"""Name in the configuration to name in the form."""

NUMBERING = {"S9": (6, 1), "S17": (1, 3)}
"""Model to the numbers of its first board and first fan in the 4028 statistics."""


class AntminerOld(Family):
    name: ClassVar[str] = "antminer-old"
    hostname: ClassVar[str] = "antMiner"

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
            "bitmain-fan-ctrl": "true",
            "bitmain-fan-pwm": str(rng.choice((70, 80))),
            "bitmain-freq": str(rng.choice((600, 625, 650))),
        }


class _Api:
    def __init__(self, device: Device) -> None:
        self.device = device
        first_board, first_fan = NUMBERING[device.model.label]
        self._reads = AntminerReads(
            device,
            miner="16.8.1.3",
            type_name=device.model.name,
            description=DESCRIPTION,
            first_board=first_board,
            first_fan=first_fan,
        )

    def is_write(self, request: Answer) -> bool:
        return False

    def refusal(self, request: Answer) -> Answer:
        return error(self.device, 45, f"Access denied to '{request.get('command')}' command", DESCRIPTION)

    def respond(self, request: Answer) -> Answer:
        command = str(request.get("command"))
        if "+" in command and all(part in AntminerReads.NAMES for part in command.split("+")):
            return joined(command, self._reads.respond)
        if command in AntminerReads.NAMES:
            return self._reads.respond(command)
        if command in {"addpool", "switchpool", "removepool", "restart", "quit"}:
            self.device.counters.denied += 1
            return self.refusal(request)
        return error(self.device, 14, "Invalid command", DESCRIPTION)


class _Web:
    def __init__(self, device: Device) -> None:
        self.device = device
        self._auth = DigestAuth(REALM, device.account, device.effective_password)
        self._blinking = False
        self._programs: dict[str, Callable[[Request], Response]] = {
            "get_system_info": lambda _: json_response(self._system_info()),
            "get_miner_conf": lambda _: json_response(self._miner_conf()),
            "blink": self._blink,
            "set_miner_conf": self._set_miner_conf,
            "reboot": self._reboot,
        }

    def is_write(self, request: Request) -> bool:
        return request.path in {"/cgi-bin/set_miner_conf.cgi", "/cgi-bin/reboot.cgi"}

    def refusal(self, request: Request) -> Response:
        return text_response("error")

    def respond(self, request: Request) -> Response:
        if not self._auth.allows(request):
            self.device.counters.denied += "authorization" in request.headers
            return self._auth.challenge()
        program = request.path.removeprefix("/cgi-bin/").removesuffix(".cgi")
        if f"/cgi-bin/{program}.cgi" == request.path and program in self._programs:
            return self._programs[program](request)
        if request.path == "/":
            return text_response("<html><head><title>Ant Miner</title></head><body></body></html>")
        return text_response("404 Not Found", 404)

    def _system_info(self) -> dict[str, Any]:
        identity = self.device.identity
        return {
            "minertype": self.device.model.name,
            "nettype": "DHCP",
            "netdevice": "eth0",
            "macaddr": identity.mac.upper(),
            "ipaddress": identity.ip,
            "netmask": "255.255.255.0",
            "gateway": "",
            "dnsservers": "",
            "hostname": identity.hostname,
            "ant_hwv": "16.8.1.3",
            "system_mode": "GNU/Linux",
            "file_system_version": self.device.model.firmware,
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
            "bitmain-ccdelay": "0",
            "bitmain-pwth": "0",
            **self.device.settings,
            "bitmain-fan-ctrl": self.device.settings["bitmain-fan-ctrl"] == "true",
        }

    def _blink(self, request: Request) -> Response:
        action = _form(request).get("action")
        if action == "onPageLoaded":
            return json_response({"isBlinking": self._blinking})
        self._blinking = action == "startBlink"
        return text_response("ok")

    def _reboot(self, _: Request) -> Response:
        self.device.submit_write("reboot", None, lambda: self.device.restart(reboot=True))
        return text_response("ok")

    def _set_miner_conf(self, request: Request) -> Response:
        form = _form(request)
        if not form:
            self.device.log_write("set_miner_conf", request.body.decode(errors="replace"), "refused")
            return text_response("error")

        def pool(number: int) -> Pool:
            url, user, password = (form.get(f"_ant_pool{number}{part}", "") for part in ("url", "user", "pw"))
            return Pool(url, user, password)

        pools = [pool(number) for number in (1, 2, 3)]
        settings = {name: form.get(field, FACTORY[name]) for name, field in FORM_NAMES.items()}

        def change() -> None:
            self.device.replace_pools(filled_slots(pools, AntminerOld.slots))
            self.device.settings.update(settings)

        self.device.submit_write("set_miner_conf", form, change, restart=True)
        return text_response("ok")


def _form(request: Request) -> dict[str, str]:
    fields = parse_qs(request.body.decode("latin-1"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}
