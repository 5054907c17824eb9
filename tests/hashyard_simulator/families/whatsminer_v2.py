"""Whatsminer M30 to M60 with API 2: a page behind TLS, reads on 4028, writes on 4028 encrypted.

A write needs a token: `get_token` gives time, salt and newsalt; key = sha256(md5crypt(password, salt)); the
command carries md5crypt(that + time, newsalt) and is encrypted with AES-256 in ECB mode, zero-padded.
Passwords of pools cannot be read. `settings["api_write"]` False is a unit as it leaves the factory: every
write answers "can't access write cmd".
"""

import base64
import hashlib
import json
import random
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hashyard_simulator.cgminer import Answer, joined, pool_rows, serve_cgminer, status
from hashyard_simulator.device import Device, Pool
from hashyard_simulator.families.base import Family
from hashyard_simulator.families.whatsminer import POWER_MODES, LuciWeb, RedirectingWeb, devs_rows, summary_section
from hashyard_simulator.http import serve_http
from hashyard_simulator.md5crypt import md5_crypt
from hashyard_simulator.station import Endpoint

MAX_TOKENS = 32
TOKEN_LIFE_S = 1800.0
CODE_INVALID_COMMAND = 14
CODE_INVALID_JSON = 23
CODE_DENIED = 45
CODE_OK = 131
CODE_ERROR = 132
CODE_TOKEN_OK = 134
CODE_TOKEN_WRONG = 135


class WhatsminerV2(Family):
    name: ClassVar[str] = "whatsminer-v2"
    account: ClassVar[str] = "admin"
    password: ClassVar[str] = "admin"
    hostname: ClassVar[str] = "WhatsMiner"
    needs_tls: ClassVar[bool] = True

    def endpoints(self) -> list[Endpoint]:
        web = RedirectingWeb(self.device)
        luci = LuciWeb(self.device)
        api = WhatsminerApi(self.device)
        return [
            Endpoint(80, lambda r, w: serve_http(web, r, w)),
            Endpoint(443, lambda r, w: serve_http(luci, r, w), tls=True),
            Endpoint(4028, lambda r, w: serve_cgminer(api, r, w), mining=True),
        ]

    @classmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        return {
            "api_write": True,
            "power_mode": "Normal",
            "power_limit_w": rng.choice((3300, 3400, 3600)),
            "fast_boot": "enable",
            "target_freq_percent": rng.choice((0, -5)),
        }


class WhatsminerApi:
    """Port 4028, plain and encrypted; API 3 keeps its reads."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._vault = _Vault(device)
        self._writes = _Writes(device)
        self._reads: dict[str, Callable[[], Answer]] = {
            "summary": self._summary,
            "pools": self._pools,
            "devs": self._devs,
            "edevs": self._devs,
            "devdetails": self._devdetails,
            "version": self._version,
        }
        self._gets: dict[str, Callable[[], Answer]] = {
            "get_version": self._get_version,
            "get_miner_info": self._get_miner_info,
            "get_psu": self._get_psu,
            "get_error_code": lambda: self._message({"error_code": []}),
            "get_token": self._get_token,
            "status": self._status,
        }

    def is_write(self, request: Answer) -> bool:
        return bool(request.get("enc"))

    def refusal(self, request: Answer) -> Answer:
        return self._plain("E", CODE_DENIED, "can't access write cmd")

    def respond(self, request: Answer) -> Answer:
        if request.get("enc"):
            return self._encrypted(request)
        command = str(request.get("command", request.get("cmd", "")))
        if command in self._gets:
            return self._gets[command]()
        if "+" in command and all(part in self._reads for part in command.split("+")):
            return joined(command, lambda part: self._reads[part]())
        if command in self._reads:
            return self._reads[command]()
        return self._plain("E", CODE_INVALID_COMMAND, "invalid cmd")

    def _encrypted(self, request: Answer) -> Answer:
        command = self._vault.open(str(request.get("data", "")))
        if command is None:
            self.device.counters.denied += 1
            return self._plain("E", CODE_INVALID_JSON, "enc json load err")
        if not self._vault.accepts(str(command.get("token", ""))):
            self.device.counters.denied += 1
            return self._plain("E", CODE_TOKEN_WRONG, "check token err")
        name = str(command.get("cmd", command.get("command", "")))
        content = {key: value for key, value in command.items() if key not in {"token", "cmd"}}
        if not self.device.settings["api_write"]:
            self.device.counters.denied += 1
            self.device.log_write(name, content, "denied")
            return self._plain("E", CODE_DENIED, "can't access write cmd")
        answer = self._writes.respond(name, content)
        return {"enc": self._vault.seal(answer)}

    # -- reads -----------------------------------------------------------------------------------

    def _section(self, code: int, message: str, name: str, rows: list[Answer]) -> Answer:
        head = status(self.device, code, message, description="btminer")
        return {"STATUS": [head], name: rows, "id": 1}

    def _plain(self, kind: str, code: int, message: Any) -> Answer:
        return status(self.device, code, message, kind=kind)

    def _message(self, content: Answer) -> Answer:
        return self._plain("S", CODE_OK, content)

    def _summary(self) -> Answer:
        self.device.settle()
        section = summary_section(self.device, self.device.reading())
        section["MAC"] = self.device.identity.mac.upper()
        section["Firmware Version"] = f"'{self.device.model.firmware}'"
        return self._section(11, "Summary", "SUMMARY", [section])

    def _pools(self) -> Answer:
        rows = pool_rows(self.device)
        for row in rows:
            row["POOL"] += 1
        return self._section(7, f"{len(rows)} Pool(s)", "POOLS", rows)

    def _devs(self) -> Answer:
        rows = devs_rows(self.device, self.device.reading())
        return self._section(9, f"{len(rows)} ASC(s)", "DEVS", rows)

    def _devdetails(self) -> Answer:
        rows = [
            {
                "DEVDETAILS": slot,
                "Name": "SM",
                "ID": slot,
                "Driver": "bitmicro",
                "Kernel": "",
                "Model": self.device.model.name,
            }
            for slot in range(self.device.model.boards)
        ]
        return self._section(69, "Device Details", "DEVDETAILS", rows)

    def _version(self) -> Answer:
        return self._section(22, "CGMiner versions", "VERSION", [{"CGMiner": "4.9.2", "API": "3.7"}])

    def _get_version(self) -> Answer:
        firmware = self.device.model.firmware
        return self._message({"api_ver": "2.0.5", "fw_ver": firmware, "platform": "H616", "chip": "K10-S11-B15"})

    def _get_miner_info(self) -> Answer:
        identity = self.device.identity
        return self._message(
            {
                "ip": identity.ip,
                "proto": "dhcp",
                "netmask": "255.255.255.0",
                "gateway": "",
                "dns": "",
                "hostname": identity.hostname,
                "mac": identity.mac,
                "ledstat": self._writes.led,
                "minersn": identity.serial,
                "powersn": f"PSU{identity.serial[3:]}",
            }
        )

    def _get_psu(self) -> Answer:
        return self._message(
            {"name": "P222B", "model": "P222B", "vin": "23200", "iin": "1470", "fan_speed": "6976", "vendor": "7"}
        )

    def _get_token(self) -> Answer:
        return self._plain("S", CODE_TOKEN_OK, self._vault.issue())

    def _status(self) -> Answer:
        return self._message(
            {
                "mineroff": "true" if self.device.asleep else "false",
                "mineroff_reason": "",
                "mineroff_time": "",
                "FirmwareVersion": f"'{self.device.model.firmware}'",
                "power_mode": self.device.settings["power_mode"],
                "power_limit_set": "",
                "hash_percent": "",
            }
        )


class _Vault:
    """Tokens and encryption with the device's password."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._salt = f"{device.seed:08x}"[:8]
        self._tokens: deque[tuple[str, str, float]] = deque(maxlen=MAX_TOKENS)
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def issue(self) -> Answer:
        time_text = f"{int(self._device.clock.wall_s()) % 10_000:04}"
        newsalt = secrets.token_hex(4)
        expires_at_s = self._device.clock.monotonic_s() + TOKEN_LIFE_S
        self._tokens.append((time_text, newsalt, expires_at_s))
        return {"time": time_text, "salt": self._salt, "newsalt": newsalt}

    def accepts(self, sign: str) -> bool:
        now_s = self._device.clock.monotonic_s()
        hashed, _ = self._secrets()
        return any(
            expires_at_s > now_s and md5_crypt(hashed + time_text, newsalt) == sign
            for time_text, newsalt, expires_at_s in reversed(self._tokens)
        )

    def open(self, data: str) -> Answer | None:
        """The command inside, None when it was encrypted with another password."""
        try:
            decryptor = self._cipher().decryptor()
            plain = decryptor.update(base64.b64decode(data)) + decryptor.finalize()
            command = json.loads(plain.rstrip(b"\x00").split(b"\x00")[0])
        except ValueError:
            return None
        return command if isinstance(command, dict) else None

    def seal(self, answer: Answer) -> str:
        plain = json.dumps(answer).encode()
        encryptor = self._cipher().encryptor()
        padded = plain + b"\x00" * (-len(plain) % 16)
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def _cipher(self) -> Cipher[modes.ECB]:
        _, key = self._secrets()
        return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - this is what the firmware does

    def _secrets(self) -> tuple[str, bytes]:
        password = self._device.effective_password()
        if self._key[0] != password or not self._key[1]:
            hashed = md5_crypt(password, self._salt)
            self._key = (password, hashed, hashlib.sha256(hashed.encode()).digest())
        return self._key[1], self._key[2]


class _Writes:
    """What encrypted commands change. `led` is what `get_miner_info` shows of the light."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.led = "auto"
        self._commands: dict[str, Callable[[Answer], Answer]] = {
            "update_pools": self._update_pools,
            "restart_btminer": lambda c: self._do("restart_btminer", c, device.restart),
            "reboot": lambda c: self._do("reboot", c, lambda: device.restart(reboot=True)),
            "power_off": lambda c: self._do("power_off", c, lambda: device.sleep(asleep=True)),
            "power_on": lambda c: self._do("power_on", c, lambda: device.sleep(asleep=False)),
            "set_led": lambda c: self._do("set_led", c, lambda: self._light(c)),
            "set_low_power": lambda c: self._mode("set_low_power", c, "Low"),
            "set_normal_power": lambda c: self._mode("set_normal_power", c, "Normal"),
            "set_high_power": lambda c: self._mode("set_high_power", c, "High"),
            "adjust_power_limit": self._power_limit,
            "update_pwd": self._update_password,
        }

    def respond(self, command: str, content: Answer) -> Answer:
        action = self._commands.get(command)
        if action is None:
            return self._answer("E", CODE_INVALID_COMMAND, "invalid cmd")
        return action(content)

    def _answer(self, kind: str, code: int, message: str) -> Answer:
        return status(self._device, code, message, kind=kind)

    def _do(self, command: str, content: Answer, change: Callable[[], None], *, restart: bool = False) -> Answer:
        self._device.submit_write(command, content, change, restart=restart)
        return self._answer("S", CODE_OK, "API command OK")

    def _refuse(self, command: str, content: Answer) -> Answer:
        self._device.log_write(command, content, "refused")
        return self._answer("E", CODE_ERROR, "API command ERROR")

    def _update_pools(self, content: Answer) -> Answer:
        def text(name: str) -> str:
            return str(content.get(name) or "")

        pools = [Pool(text(f"pool{n}"), text(f"worker{n}"), text(f"passwd{n}")) for n in (1, 2, 3)]
        if not pools[0].url:
            return self._refuse("update_pools", content)
        kept = [pool for pool in pools if pool.url]
        return self._do("update_pools", content, lambda: self._device.replace_pools(kept))

    def _light(self, content: Answer) -> None:
        self.led = "auto" if content.get("param") == "auto" else "manual"

    def _mode(self, command: str, content: Answer, mode: str) -> Answer:
        def change() -> None:
            self._device.settings["power_mode"] = mode
            self._device.tuning.profile_share = POWER_MODES[mode]

        return self._do(command, content, change, restart=True)

    def _power_limit(self, content: Answer) -> Answer:
        limit = str(content.get("power_limit", ""))
        if not limit.isdecimal():
            return self._refuse("adjust_power_limit", content)
        change = {"power_limit_w": int(limit)}
        return self._do("adjust_power_limit", content, lambda: self._device.settings.update(change), restart=True)

    def _update_password(self, content: Answer) -> Answer:
        new = str(content.get("new", ""))
        if content.get("old") != self._device.effective_password() or not 0 < len(new) <= 8:
            return self._refuse("update_pwd", content)

        def change() -> None:
            self._device.password = new

        return self._do("update_pwd", content, change)
