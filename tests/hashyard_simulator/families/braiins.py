"""Braiins OS+: gRPC on 50051 for everything that matters, a reading cgminer API on 4028, a page on 80.

A call needs the token from `Login`, which comes in the initial metadata under `authorization`. Pools live in
groups with a quota or a fixed share each; `SetPoolGroups` replaces all groups at once, so that a writer which
does not copy name and share of a group loses them. Field numbers are those of Braiins' public definitions.
With several groups only the first living pool counts as active here; real units split their work.
"""

import hashlib
import random
import secrets
from collections.abc import Callable
from typing import Any, ClassVar

from hashyard_simulator.cgminer import Answer, error, joined, pool_rows, serve_cgminer, status
from hashyard_simulator.device import Device, Pool
from hashyard_simulator.families.base import Family
from hashyard_simulator.grpc import (
    INVALID_ARGUMENT,
    PERMISSION_DENIED,
    UNAUTHENTICATED,
    UNIMPLEMENTED,
    Call,
    Reply,
    serve_grpc,
)
from hashyard_simulator.http import Request, Response, serve_http, text_response
from hashyard_simulator.proto import Decoded, Message, Value, decode, encode, messages, texts
from hashyard_simulator.station import Endpoint

V1 = "/braiins.bos.v1."
MAX_TOKENS = 16
SAVE_ONLY = 1
STRATEGIES = {3: "quota", 4: "fixed_share_ratio"}
"""Field number of a group's strategy in a configuration to its name."""


class Braiins(Family):
    name: ClassVar[str] = "braiins"
    hostname: ClassVar[str] = "braiins-os"
    slots: ClassVar[int] = 8

    def endpoints(self) -> list[Endpoint]:
        page = _Page(self.device)
        api = _Api(self.device)
        grpc = _Grpc(self.device)
        return [
            Endpoint(80, lambda r, w: serve_http(page, r, w)),
            Endpoint(4028, lambda r, w: serve_cgminer(api, r, w), mining=True),
            Endpoint(50051, lambda r, w: serve_grpc(grpc, r, w)),
        ]

    @classmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        return {
            "power_target_w": rng.choice((2900, 3000, 3100)),
            "minimum_fans": rng.choice((1, 2)),
            "groups": [{"uid": f"{rng.getrandbits(64):016x}", "name": "Default", "strategy": "quota", "value": 3}],
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
        return text_response("<!doctype html><html><head><title>Braiins OS+</title></head><body></body></html>")


class _Api:
    """Port 4028: reads alone."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._reads: dict[str, Callable[[], Answer]] = {
            "version": self._version,
            "devdetails": self._devdetails,
            "summary": self._summary,
            "devs": self._devs,
            "pools": self._pools,
            "fans": self._fans,
            "temps": self._temps,
            "tunerstatus": self._tunerstatus,
        }

    def is_write(self, request: Answer) -> bool:
        return False

    def refusal(self, request: Answer) -> Answer:
        return error(self.device, 45, f"Access denied to '{request.get('command')}' command", "BOSer")

    def respond(self, request: Answer) -> Answer:
        command = str(request.get("command"))
        if "+" in command and all(part in self._reads for part in command.split("+")):
            return joined(command, lambda part: self._reads[part]())
        if command in self._reads:
            return self._reads[command]()
        return error(self.device, 14, "invalid command", "BOSer")

    def _wrap(self, code: int, message: str, name: str, rows: list[Answer]) -> Answer:
        return {"STATUS": [status(self.device, code, message, description="BOSer")], name: rows, "id": 1}

    def _version(self) -> Answer:
        return self._wrap(22, "BOSer versions", "VERSION", [{"API": "3.7.0", "BOSer": "boser-openwrt 0.1.0"}])

    def _devdetails(self) -> Answer:
        rows = [
            {"DEVDETAILS": n, "Name": "", "ID": n, "Driver": "", "Model": self.device.model.name, "Chips": chips}
            for n, chips in enumerate([self.device.model.chips_per_board] * self.device.model.boards)
        ]
        return self._wrap(69, "Device Details", "DEVDETAILS", rows)

    def _summary(self) -> Answer:
        self.device.settle()
        reading = self.device.reading()
        row = _rates(reading.hashrate_ths, reading.average_ths) | {
            "Elapsed": reading.uptime_s,
            "Accepted": sum(p.accepted for p in self.device.pools),
            "Rejected": sum(p.rejected for p in self.device.pools),
            "Stale": sum(p.stale for p in self.device.pools),
        }
        return self._wrap(11, "Summary", "SUMMARY", [row])

    def _devs(self) -> Answer:
        rows = [
            _rates(b.hashrate_ths, b.hashrate_ths)
            | {"ASC": b.slot, "ID": b.slot, "Enabled": "Y", "Status": "Alive"}
            for b in self.device.reading().boards
        ]
        return self._wrap(9, f"{len(rows)} ASC(s)", "DEVS", rows)

    def _pools(self) -> Answer:
        rows = pool_rows(self.device)
        return self._wrap(7, f"{len(rows)} Pool(s)", "POOLS", rows)

    def _fans(self) -> Answer:
        rows = [
            {"FAN": n, "ID": n, "RPM": rpm, "Speed": 80} for n, rpm in enumerate(self.device.reading().fans_rpm)
        ]
        return self._wrap(202, f"{len(rows)} Fan(s)", "FANS", rows)

    def _temps(self) -> Answer:
        rows = [
            {"TEMP": b.slot, "ID": b.slot, "Board": float(b.temp_pcb_c), "Chip": float(b.temp_chip_c)}
            for b in self.device.reading().boards
        ]
        return self._wrap(201, f"{len(rows)} Temp(s)", "TEMPS", rows)

    def _tunerstatus(self) -> Answer:
        reading = self.device.reading()
        row = {
            "ApproximateMinerPowerConsumption": reading.power_w,
            "PowerLimit": self.device.settings["power_target_w"],
            "TunerRunning": True,
            "TunerChainStatus": [{"HashchainIndex": b.slot + 1, "Status": "Stable"} for b in reading.boards],
        }
        return self._wrap(205, "Tuner Status", "TUNERSTATUS", [row])


class _Grpc:
    """Port 50051."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._tokens: dict[str, str] = {}
        self._locating = False
        self._methods: dict[str, Callable[[Decoded], Reply]] = {
            f"{V1}MinerService/GetMinerDetails": lambda _: _reply(self._details()),
            f"{V1}MinerService/GetMinerStats": lambda _: _reply(self._stats()),
            f"{V1}MinerService/GetHashboards": lambda _: _reply(self._hashboards()),
            f"{V1}MinerService/GetErrors": lambda _: _reply([]),
            f"{V1}CoolingService/GetCoolingState": lambda _: _reply(self._cooling()),
            f"{V1}PerformanceService/GetActivePerformanceMode": lambda _: _reply(self._performance()),
            f"{V1}ConfigurationService/GetMinerConfiguration": lambda _: _reply(self._configuration()),
            f"{V1}PoolService/GetPoolGroups": lambda _: _reply(self._pool_groups()),
            f"{V1}PoolService/SetPoolGroups": self._set_pool_groups,
            f"{V1}PerformanceService/SetPowerTarget": self._set_power_target,
            f"{V1}ActionsService/PauseMining": lambda _: self._do(
                "PauseMining", lambda: device.sleep(asleep=True)
            ),
            f"{V1}ActionsService/ResumeMining": lambda _: self._do(
                "ResumeMining", lambda: device.sleep(asleep=False)
            ),
            f"{V1}ActionsService/Restart": lambda _: self._do("Restart", device.restart),
            f"{V1}ActionsService/Reboot": lambda _: self._do("Reboot", lambda: device.restart(reboot=True)),
            f"{V1}ActionsService/GetLocateDeviceStatus": lambda _: _reply([(1, self._locating)]),
        }

    def is_write(self, call: Call) -> bool:
        method = call.path.rpartition("/")[2]
        return not method.startswith("Get") and method != "Login"

    def refusal(self, call: Call) -> Reply:
        return Reply(status=PERMISSION_DENIED, message="permission denied")

    def respond(self, call: Call) -> Reply:
        try:
            fields = decode(call.body)
            if call.path == f"{V1}AuthenticationService/Login":
                return self._login(texts(fields))
            if call.path == "/braiins.bos.ApiVersionService/GetApiVersion":
                return _reply([(1, 1), (2, 3), (3, 0)])
            if self._tokens.get(call.metadata.get("authorization", "")) != self.device.effective_password():
                self.device.counters.denied += 1
                return Reply(status=UNAUTHENTICATED, message="invalid token")
            if call.path not in self._methods:
                return Reply(status=UNIMPLEMENTED, message="unknown method")
            return self._methods[call.path](fields)
        except ValueError as problem:
            self.device.log_write(call.path, None, "refused")
            return Reply(status=INVALID_ARGUMENT, message=str(problem))

    def _login(self, fields: dict[int, str]) -> Reply:
        password = self.device.effective_password()
        if (fields.get(1), fields.get(2)) != (self.device.account, password):
            self.device.counters.denied += 1
            return Reply(status=UNAUTHENTICATED, message="wrong username or password")
        token = secrets.token_hex(16)
        self._tokens[token] = password
        while len(self._tokens) > MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        return Reply(encode([(1, token), (2, 3600)]), metadata={"authorization": token})

    # -- reads -----------------------------------------------------------------------------------

    def _details(self) -> Message:
        identity, model = self.device.identity, self.device.model
        uptime_s = self.device.reading().uptime_s
        return [
            (1, identity.serial),
            (2, [(1, 1), (3, f"{model.name} (Braiins)"), (4, model.name)]),
            (5, [(1, f"2024-06-28-0-ba26b0e8-{model.firmware}-plus"), (2, model.firmware), (3, True)]),
            (6, identity.hostname),
            (7, identity.mac),
            (9, [(1, model.hashrate_ths * 1000)]),
            (10, uptime_s),
            (11, uptime_s + 60),
        ]

    def _stats(self) -> Message:
        reading = self.device.reading()
        shares = self._share_counts(self.device.pools)
        return [(1, shares), (2, _work(reading.hashrate_ths)), (3, [(1, [(1, reading.power_w)])])]

    def _hashboards(self) -> Message:
        return [
            (
                1,
                [
                    (1, str(b.slot + 1)),
                    (2, True),
                    (3, [(1, b.chips)]),
                    (6, [(3, [(1, float(b.temp_chip_c))])]),
                    (7, [(1, float(b.temp_pcb_c))]),
                    (8, _work(b.hashrate_ths)),
                    (12, b.serial),
                ],
            )
            for b in self.device.reading().boards
        ]

    def _cooling(self) -> Message:
        return [(1, [(1, n), (2, rpm)]) for n, rpm in enumerate(self.device.reading().fans_rpm)]

    def _performance(self) -> Message:
        return [(2, [(1, [(1, [(1, self.device.settings["power_target_w"])])])])]

    def _configuration(self) -> Message:
        groups: Message = [(1, group) for group in self._group_configurations()]
        settings = self.device.settings
        return [
            *groups,
            (2, [(1, settings["minimum_fans"]), (2, [(1, [(1, 65.0)])])]),
            (3, [(1, True), (2, 1), (3, [(1, settings["power_target_w"])])]),
        ]

    def _group_configurations(self) -> list[Message]:
        shown = self.device.reported_pools()
        return [
            [
                (1, group["uid"]),
                (2, group["name"]),
                _strategy(group),
                *((5, _pool_configuration(p)) for p in shown if p.group == index),
            ]
            for index, group in enumerate(self.device.settings["groups"])
        ]

    def _pool_groups(self) -> Message:
        shown = self.device.reported_pools()
        active = self.device.active_pool()
        groups: Message = []
        for index, group in enumerate(self.device.settings["groups"]):
            number, value = _strategy(group)
            pools: Message = [(4, self._pool(p, active=p is active)) for p in shown if p.group == index]
            groups.append((1, [(1, group["name"]), (number - 1, value), *pools]))
        return groups

    def _pool(self, pool: Pool, *, active: bool) -> Message:
        return [
            (1, _uid(pool)),
            (2, pool.url),
            (3, pool.user),
            (4, pool.enabled),
            (5, self.device.world.alive(pool.url)),
            (6, active),
            (7, self._share_counts([pool])),
        ]

    def _share_counts(self, pools: list[Pool]) -> Message:
        self.device.settle()
        return [
            (1, sum(p.accepted for p in pools)),
            (2, sum(p.rejected for p in pools)),
            (3, sum(p.stale for p in pools)),
        ]

    # -- writes ----------------------------------------------------------------------------------

    def _do(self, command: str, change: Callable[[], None]) -> Reply:
        self.device.submit_write(command, None, change)
        return Reply()

    def _sleep(self, command: str, *, asleep: bool) -> Reply:
        return self._do(command, lambda: self.device.sleep(asleep=asleep))

    def _set_power_target(self, fields: Decoded) -> Reply:
        (target,) = messages(fields, 2) or [[]]
        watts = next((int(value) for number, value in target if number == 1 and isinstance(value, int)), 0)
        if watts <= 0:
            raise ValueError("power_target is missing")
        change = {"power_target_w": watts}
        self.device.submit_write("SetPowerTarget", change, lambda: self.device.settings.update(change))
        return _reply([(1, [(1, watts)])])

    def _set_pool_groups(self, fields: Decoded) -> Reply:
        groups: list[dict[str, Any]] = []
        pools: list[Pool] = []
        for index, group in enumerate(messages(fields, 2)):
            groups.append(_read_group(group))
            pools.extend(_read_pool(pool, index) for pool in messages(group, 5))
        if not groups or not pools or any(not pool.url for pool in pools):
            raise ValueError("every group needs a pool with a url")
        content = {"groups": groups, "pools": [(p.url, p.user, p.password, p.group) for p in pools]}
        saves_only = (1, SAVE_ONLY) in fields

        def change() -> None:
            self.device.settings["groups"] = groups
            if saves_only:
                self.device.stage_pools(pools)
            else:
                self.device.replace_pools(pools)

        self.device.submit_write("SetPoolGroups", content, change)
        return _reply([(1, group) for group in self._group_configurations()])


def _reply(message: Message) -> Reply:
    return Reply(encode(message))


def _rates(now_ths: float, average_ths: float) -> Answer:
    now_mhs, average_mhs = round(now_ths * 1e6, 2), round(average_ths * 1e6, 2)
    return {
        "MHS 5s": now_mhs,
        "MHS 1m": now_mhs,
        "MHS 5m": average_mhs,
        "MHS 15m": average_mhs,
        "MHS av": average_mhs,
    }


def _work(rate_ths: float) -> Message:
    """`WorkSolverStats`: the real hashrate in GH/s over 5 s, 15 s, 30 s, 1 min."""
    return [(1, [(number, [(1, rate_ths * 1000)]) for number in (1, 2, 3, 4)])]


def _uid(pool: Pool) -> str:
    return hashlib.sha256(f"{pool.group}/{pool.priority}/{pool.url}/{pool.user}".encode()).hexdigest()[:16]


def _strategy(group: dict[str, Any]) -> tuple[int, Value]:
    if group["strategy"] == "quota":
        return 3, [(1, int(group["value"]))]
    return 4, [(1, float(group["value"]))]


def _pool_configuration(pool: Pool) -> Message:
    return [(1, _uid(pool)), (2, pool.url), (3, pool.user), (4, pool.password), (5, pool.enabled)]


def _read_group(fields: Decoded) -> dict[str, Any]:
    words = texts([field for field in fields if field[0] in {1, 2}])
    group: dict[str, Any] = {
        "uid": words.get(1) or secrets.token_hex(8),
        "name": words.get(2, ""),
        "strategy": "quota",
        "value": 1,
    }
    for number, name in STRATEGIES.items():
        for inner in messages(fields, number):
            group["strategy"] = name
            group["value"] = next((value for found, value in inner if found == 1), 0)
    return group


def _read_pool(fields: Decoded, group: int) -> Pool:
    words = texts(fields)
    enabled = next((bool(value) for number, value in fields if number == 5), True)
    return Pool(words.get(2, ""), words.get(3, ""), words.get(4, ""), group, enabled=enabled)
