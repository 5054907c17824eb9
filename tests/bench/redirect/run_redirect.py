"""How long from the order until the first and the last of many units read back as ordered, there and back.

python tests/bench/redirect/run_redirect.py [--units 1000] [--family luxos]

The site is a process of its own. All limits are the product's defaults, except for the daily cap and, for
families that restart mining, `--watts-per-minute`. The last line is one JSON document; for families that
restart it also tells the most watts that were restarted in any minute. Needs root, for most families listen
below port 1024.
"""

import argparse
import asyncio
import json
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from hashyard_agent.enforcement.model import EnforcementPolicy, Step, UnitRow
from hashyard_agent.ports import Identity
from hashyard_shared.orders import OrderKind
from hashyard_support.enforcement import FAMILIES, Site, identity_of
from hashyard_support.site import SimulatedSite

SUBNET: Final = "127.60.0.0/21"
LIMIT_S: Final = 3_600
LOOK_S: Final = 0.02
MINUTE_S: Final = 60


class RemoteFarm:
    """The devices of a site in another process, as far as the harness needs them."""

    def __init__(self, site: SimulatedSite) -> None:
        self.devices = [_device(site.truth(miner["ip"])) for miner in site.miners()]


def _device(truth: dict[str, Any]) -> Any:
    pools = [SimpleNamespace(url=p["url"], user=p["user"], password=p["password"]) for p in truth["pools"]]
    identity = SimpleNamespace(ip=truth["ip"], mac=truth["mac"], serial=truth["serial"])
    model = SimpleNamespace(name=truth["model"], firmware=truth["firmware"], power_w=truth["nameplate"]["power_w"])
    return SimpleNamespace(family=truth["family"], identity=identity, model=model, pools=pools)


class Directory:
    """Where the miners are, found at once."""

    def __init__(self, farm: RemoteFarm) -> None:
        self._found = {device.identity.mac: identity_of(device) for device in farm.devices}
        self._watts = {device.identity.mac: int(device.model.power_w) for device in farm.devices}

    def locate(self, mac: str) -> Identity | None:
        return self._found.get(mac)

    def duplicated(self, mac: str) -> bool:
        return False

    def power_w(self, mac: str) -> int | None:
        return self._watts.get(mac)


async def measure(site: SimulatedSite, options: argparse.Namespace) -> dict[str, Any]:
    farm = RemoteFarm(site)
    policy = EnforcementPolicy(
        daily_cap_units=options.units, units_per_minute=1_000_000, watts_per_minute=options.watts_per_minute
    )
    with tempfile.TemporaryDirectory() as folder:
        bench = Site(farm, Path(folder), policy)  # type: ignore[arg-type]  # as much of a farm as is asked of it
        bench.locator = Directory(farm)  # type: ignore[assignment]  # as above
        bench.record_all()
        async with bench.running():
            first_s, all_s = await _timed(bench, OrderKind.REDIRECT, _read_back)
            # The way back starts from a site at rest, as it would days later.
            await _wait(bench, lambda row: row.step is Step.HELD)
            back_first_s, back_all_s = await _timed(bench, OrderKind.RESTORE, _read_back)
    return {
        "units": len(farm.devices),
        "family": options.family,
        "first_s": round(first_s, 2),
        "all_level2_s": round(all_s, 2),
        "restore_first_s": round(back_first_s, 2),
        "restore_all_s": round(back_all_s, 2),
    }


def _read_back(row: UnitRow) -> bool:
    return row.level >= 2


async def _timed(bench: Site, kind: OrderKind, done: Callable[[UnitRow], bool]) -> tuple[float, float]:
    orders = {unit: bench.order(unit, kind).signed(bench.key) for unit in bench.unit_ids}
    started_s = time.perf_counter()
    bench.orders.update(orders)
    bench.offer()
    first_s = None
    while True:
        rows = _rows(bench, kind)
        if first_s is None and any(done(row) for row in rows):
            first_s = time.perf_counter() - started_s
        if len(rows) == len(bench.unit_ids) and all(done(row) for row in rows):
            return first_s or 0.0, time.perf_counter() - started_s
        if time.perf_counter() - started_s > LIMIT_S:
            raise TimeoutError(f"{sum(done(row) for row in rows)} of {len(bench.unit_ids)} within {LIMIT_S} s")
        await asyncio.sleep(LOOK_S)


async def _wait(bench: Site, done: Callable[[UnitRow], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        await bench.until(done)


def _rows(bench: Site, kind: OrderKind) -> list[UnitRow]:
    assert bench.enforcer is not None
    return [row for row in bench.enforcer.units() if row.goal is kind]


def _most_watts_a_minute(site: SimulatedSite) -> int:
    with urllib.request.urlopen(f"{site.control}/site/restarts") as answer:  # noqa: S310 - http on loopback
        restarts = json.loads(answer.read())
    watts = {miner["ip"]: site.truth(miner["ip"])["nameplate"]["power_w"] for miner in site.miners()}
    return max(
        (
            sum(watts[r["ip"]] for r in restarts if one["at_s"] - MINUTE_S < r["at_s"] <= one["at_s"])
            for one in restarts
        ),
        default=0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=1_000)
    parser.add_argument("--family", default="luxos", choices=sorted(FAMILIES))
    parser.add_argument("--watts-per-minute", type=float, default=50_000)
    options = parser.parse_args()
    with SimulatedSite.start(SUBNET, {options.family: options.units}, "--restart-seconds", "5") as site:
        result = asyncio.run(measure(site, options))
        restarted_w = _most_watts_a_minute(site)
    if restarted_w:
        result |= {"watts_per_minute_limit": options.watts_per_minute, "most_watts_a_minute": restarted_w}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
