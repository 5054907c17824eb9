"""The control API: JSON over HTTP on loopback, for tests and demos. No miner has anything like it.

| request | what it does |
|---|---|
| `GET /miners` | id, site, family, ip, mac of each |
| `GET /miners/{ip}` | the full true state (see `truth.full`) |
| `PATCH /miners/{ip}` | the fields of `PatchBody`: factors, temperature, password, pools, settings, asleep |
| `POST /miners/{ip}/faults` | `{"kind": ..., "count"?: n, "ttl_s"?: s, "scope"?: "all|read|write", ...}` |
| `DELETE /miners/{ip}/faults` | everything armed is cleared |
| `POST /miners/{ip}/press` | somebody on site sets `pools` by hand; `restart` true restarts mining |
| `POST /miners/faults` | the same for many: `{"filter": {"site"?, "family"?, "ips"?, "limit"?}, "kind": ...}` |
| `DELETE /miners/faults` | clears the faults of all |
| `GET /pools`, `POST /pools` | `{"url": ..., "alive": bool}`: kill a pool or bring it back |
| `GET /site/power?site=` | `{"power_w", "restarting", "miners", "dead"}` now |
| `GET /site/restarts?site=` | `[{"at_s", "ip"}]` of the last restarts in order, wall seconds |
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hashyard_simulator import truth
from hashyard_simulator.device import MAX_POOLS, Device, Pool
from hashyard_simulator.farm import Farm, UnknownMinerError
from hashyard_simulator.faults import FaultKind
from hashyard_simulator.spec import PoolSpec

FARM = web.AppKey("farm", Farm)
MAX_BODY_BYTES = 1_000_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FaultBody(BaseModel):
    model_config = ConfigDict(extra="allow")

    kind: FaultKind

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class FilterBody(_Body):
    site: str | None = None
    family: str | None = None
    ips: list[str] | None = None
    limit: Annotated[int, Field(ge=0)] | None = None

    def chooses(self, device: Device) -> bool:
        return (
            self.site in {None, device.site}
            and self.family in {None, device.family}
            and (self.ips is None or device.identity.ip in self.ips)
        )


class ManyFaultsBody(FaultBody):
    filter: FilterBody = FilterBody()


class PoolsBody(_Body):
    pools: Annotated[list[PoolSpec], Field(max_length=MAX_POOLS)]
    restart: bool = False

    def build(self) -> list[Pool]:
        return [Pool(p.url, p.user, p.password) for p in self.pools]


class PatchBody(_Body):
    hashrate_factor: Annotated[float, Field(ge=0)] | None = None
    power_factor: Annotated[float, Field(ge=0)] | None = None
    share_factor: Annotated[float, Field(ge=0)] | None = None
    temp_offset_c: float | None = None
    password: str | None = None
    pools: Annotated[list[PoolSpec], Field(max_length=MAX_POOLS)] | None = None
    settings: dict[str, Any] | None = None
    asleep: bool | None = None


class PoolBody(_Body):
    url: str
    alive: bool


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except UnknownMinerError as error:
        return web.json_response({"error": f"no miner at {error.args[0]}"}, status=404)
    except ValidationError as error:
        return web.json_response({"error": str(error)}, status=422)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=422)


async def _list(request: web.Request) -> web.Response:
    return web.json_response([truth.short(device) for device in request.app[FARM].devices])


async def _show(request: web.Request) -> web.Response:
    return web.json_response(truth.full(_device(request)))


async def _patch(request: web.Request) -> web.Response:
    device = _device(request)
    body = PatchBody.model_validate_json(await request.read())
    device.settle()
    for name in ("hashrate_factor", "power_factor", "share_factor", "temp_offset_c"):
        value = getattr(body, name)
        if value is not None:
            setattr(device.tuning, name, value)
    if body.password is not None:
        device.password = body.password
    if body.settings is not None:
        device.settings.update(body.settings)
    if body.asleep is not None:
        device.sleep(asleep=body.asleep)
    if body.pools is not None:
        device.replace_pools(PoolsBody(pools=body.pools).build())
    return web.json_response(truth.full(device))


async def _press(request: web.Request) -> web.Response:
    device = _device(request)
    body = PoolsBody.model_validate_json(await request.read())
    device.replace_pools(body.build())
    if body.restart:
        device.restart()
    return web.json_response(truth.full(device))


async def _add_fault(request: web.Request) -> web.Response:
    body = FaultBody.model_validate_json(await request.read())
    device = _device(request)
    await request.app[FARM].inject(device.identity.ip, body.kind, body.params)
    return web.json_response(truth.full(device))


async def _clear_faults(request: web.Request) -> web.Response:
    device = _device(request)
    await request.app[FARM].clear_faults(device.identity.ip)
    return web.json_response(truth.full(device))


async def _add_many(request: web.Request) -> web.Response:
    farm = request.app[FARM]
    body = ManyFaultsBody.model_validate_json(await request.read())
    chosen = [d.identity.ip for d in farm.devices if body.filter.chooses(d)][: body.filter.limit]
    for ip in chosen:
        await farm.inject(ip, body.kind, body.params)
    return web.json_response({"ips": chosen})


async def _clear_many(request: web.Request) -> web.Response:
    farm = request.app[FARM]
    for device in farm.devices:
        await farm.clear_faults(device.identity.ip)
    return web.json_response({"miners": len(farm.devices)})


async def _list_pools(request: web.Request) -> web.Response:
    return web.json_response({"dead": request.app[FARM].world.dead()})


async def _set_pool(request: web.Request) -> web.Response:
    body = PoolBody.model_validate_json(await request.read())
    world = request.app[FARM].world
    world.set_alive(body.url, alive=body.alive)
    return web.json_response({"dead": world.dead()})


async def _power(request: web.Request) -> web.Response:
    farm = request.app[FARM]
    site = request.query.get("site")
    chosen = [d for d in farm.devices if site is None or d.site == site]
    return web.json_response(
        {
            "power_w": sum(d.reading(reported=False).power_w for d in chosen),
            "restarting": sum(d.restarting for d in chosen),
            "dead": sum(d.dead for d in chosen),
            "miners": len(chosen),
        }
    )


async def _restarts(request: web.Request) -> web.Response:
    log = request.app[FARM].restarts(request.query.get("site"))
    return web.json_response([{"at_s": at_s, "ip": ip} for at_s, ip in log])


def _device(request: web.Request) -> Device:
    return request.app[FARM].device(request.match_info["ip"])


def control_app(farm: Farm) -> web.Application:
    app = web.Application(middlewares=[_errors], client_max_size=MAX_BODY_BYTES)
    app[FARM] = farm
    app.add_routes(
        [
            web.get("/miners", _list),
            web.post("/miners/faults", _add_many),
            web.delete("/miners/faults", _clear_many),
            web.get("/miners/{ip}", _show),
            web.patch("/miners/{ip}", _patch),
            web.post("/miners/{ip}/faults", _add_fault),
            web.delete("/miners/{ip}/faults", _clear_faults),
            web.post("/miners/{ip}/press", _press),
            web.get("/pools", _list_pools),
            web.post("/pools", _set_pool),
            web.get("/site/power", _power),
            web.get("/site/restarts", _restarts),
        ]
    )
    return app


class ControlServer:
    """The control API on a socket. `url` is known after `start`."""

    def __init__(self, farm: Farm, host: str, port: int) -> None:
        self._runner = web.AppRunner(control_app(farm), access_log=None)
        self._host = host
        self._port = port
        self.url = ""

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def close(self) -> None:
        await self._runner.cleanup()
