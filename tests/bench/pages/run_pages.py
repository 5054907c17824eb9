"""How fast pages are with a full house: 10,000 units, 200 customers, telemetry; 8 people at once.

    python tests/bench/pages/run_pages.py [--units 10000] [--customers 200] [--days 30] [--rounds 6]

A generator seeds the stores, then the service runs as a process of its own. The last line is one JSON document.
"""

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, ClientTimeout, CookieJar, TCPConnector

from hashyard_cloud.services import equipment
from hashyard_cloud.services.ports.equipment import AssignmentRow, UnitState
from hashyard_shared.clock import US_PER_S
from hashyard_shared.ids import new_id
from hashyard_support.pages import HOUR_S, MODELS, OWNER_EMAIL, PASSWORD, Pages, SeedUnit, running
from hashyard_support.visitor import Visitor

PEOPLE: Final = 8
SITES: Final = (("Pecos North", "PN"), ("Rook Creek", "RC"), ("Alkali Flat", "AF"), ("Mesa Verde", "MV"))
WARM_UPS: Final = 2
PAGE_LIMIT_BYTES: Final = 100_000
START_TIMEOUT_S: Final = 60


@dataclass
class Timing:
    """One page's answers."""

    name: str
    seconds: list[float]
    largest_bytes: int = 0

    @property
    def p95_ms(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.95) - 1)] * 1_000


async def seed(pages: Pages, units: int, customers: int, days: int) -> dict[str, str]:
    """The full house; answers the addresses to measure."""
    pages.organisation_id = await pages.host(slug="caprock")
    sites = [await pages.site(name, code, "", "America/Chicago", 20_000) for name, code in SITES]
    for number in range(customers):
        name = f"Customer {number:04d} LLC"
        await pages.customer(name, f"ops{number}@example.com")
        await pages.contract(name, [], kind="infinity", spec_quantity=1)
        await pages.invoice(name, f"{1_000 + number}.50")
    names = list(pages.customers)
    for place, site in enumerate(sites):
        await register(pages, site, units // len(sites), names, place)
        await pages.roster(site, extra=50)
    await readings(pages, days)
    some = names[0]
    return {
        "fleet": "/fleet",
        "fleet-live": "/fleet/live",
        "fleet-chart": "/fleet/chart.json?range=24h",
        "sites": "/sites",
        "site": f"/sites/{sites[0].site_id}",
        "site-chart": f"/sites/{sites[0].site_id}/chart.json?range=7d",
        "equipment": "/equipment",
        "equipment-worst": "/equipment?below=1&sort=attention",
        "equipment-search": "/equipment?q=JYZZPN0001",
        "equipment-page": "/equipment?page=50&sort=hashrate&dir=desc",
        "found": "/equipment/found",
        "unit": f"/equipment/{sites[0].units[3].unit_id}",
        "unit-chart": f"/equipment/{sites[0].units[3].unit_id}/chart.json?range=30d",
        "customers": "/customers",
        "customers-search": "/customers?q=0042",
        "customer": f"/customers/{pages.customers[some]}",
        "status-bar": f"/customers/{pages.customers[some]}/status-bar",
        "customer-equipment": f"/customers/{pages.customers[some]}/equipment",
        "customer-financials": f"/customers/{pages.customers[some]}/financials",
        "customer-chart": f"/customers/{pages.customers[some]}/chart.json?range=24h",
        "contracts": "/contracts",
        "invoices": "/invoices",
        "search": "/search?q=JYZZRC000042",
        "revenue-guard": "/revenue-guard",
    }


async def register(pages: Pages, site: Any, count: int, names: list[str], offset: int) -> None:
    """Units and their owners in one transaction."""
    now_us = pages.clock.now_us()
    async with pages.database.transaction() as tx:
        for number in range(1, count + 1):
            model, ths, watts = MODELS[number % len(MODELS)]
            mac = f"02:{ord(site.code[0]):02x}:{ord(site.code[1]):02x}:00:{number >> 8:02x}:{number & 255:02x}"
            label = f"{site.code}-{number // 96:03d}-{number % 96:02d}"
            given = equipment.UnitInput(
                site_id=site.site_id,
                label=label,
                position=label,
                serial=f"JYZZ{site.code}{number:06d}",
                mac=mac,
                model=model,
                expected_hashrate_ths=ths,
                nameplate_w=watts,
            )
            name = names[(number * len(SITES) + offset) % len(names)]
            free = number % 40 == 0
            state = UnitState.UNASSIGNED if free else UnitState.ACTIVE
            row = equipment.new_unit(pages.clock, pages.organisation_id, given, state)
            await tx.equipment.add(row)
            site.units.append(SeedUnit(row.unit_id, label, mac, model, ths, watts, "w"))
            if not free:
                await tx.equipment.assign(
                    AssignmentRow(
                        assignment_id=new_id(now_us),
                        organisation_id=pages.organisation_id,
                        unit_id=row.unit_id,
                        contract_id=pages.contracts[name],
                        customer_id=pages.customers[name],
                        from_us=now_us,
                        to_us=None,
                        ended_by="",
                    )
                )


async def readings(pages: Pages, days: int) -> None:
    """Hourly cycles for the days before, half-hourly ones for the last day."""
    now_us = pages.clock.now_us()
    steps = [now_us - hour * HOUR_S * US_PER_S for hour in range(days * 24, 24, -1)]
    steps += [now_us - step * 1_800 * US_PER_S for step in range(48, -1, -1)]
    for done, at_us in enumerate(steps):
        for site in pages.sites.values():
            await pages.cycle(site, at_us, dead=3)
        await pages.settle()
        if done % 50 == 0:
            print(f"readings {done} of {len(steps)}", flush=True)
    for site in pages.sites.values():
        await pages.health(site)
    await pages.settle()


async def person(
    url: str, addresses: dict[str, str], rounds: int, timings: dict[str, Timing], number: int
) -> None:
    """One of the people: every page in an order of their own."""
    randomness = random.Random(number)
    connector = TCPConnector(limit=1)
    async with ClientSession(
        url,
        cookie_jar=CookieJar(unsafe=True),
        connector=connector,
        timeout=ClientTimeout(total=60),
        auto_decompress=False,
    ) as http:
        async with ClientSession(url, cookie_jar=http.cookie_jar) as door:
            await Visitor(door).sign_in(OWNER_EMAIL, PASSWORD)
        for turn in range(rounds + WARM_UPS):
            order = list(addresses)
            randomness.shuffle(order)
            for name in order:
                began = time.perf_counter()
                async with http.get(addresses[name]) as answer:
                    body = await answer.read()
                    assert answer.status == 200, (name, answer.status)
                if turn >= WARM_UPS:
                    timings[name].seconds.append(time.perf_counter() - began)
                timings[name].largest_bytes = max(timings[name].largest_bytes, len(body))


async def measure(url: str, addresses: dict[str, str], rounds: int) -> dict[str, Timing]:
    """All people at once."""
    timings = {name: Timing(name, []) for name in addresses}
    await asyncio.gather(*(person(url, addresses, rounds, timings, number) for number in range(PEOPLE)))
    return timings


def serve(data_dir: Path, port: int) -> "subprocess.Popen[str]":
    """The service as its own process."""
    environment = os.environ | {
        "HASHYARD_DATA_DIR": str(data_dir),
        "HASHYARD_PORT": str(port),
        "HASHYARD_JOB_INTERVAL_S": "3600",
    }
    command = [sys.executable, "-c", "from hashyard_cloud.cli import main; main()", "serve"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while line := process.stdout.readline():
        if "is ready at" in line:
            return process
    raise RuntimeError("the service did not start")


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--port", type=int, default=18_431)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        async with running(data_dir) as pages:
            addresses = await seed(pages, chosen.units, chosen.customers, chosen.days)
        process = await asyncio.to_thread(serve, data_dir, chosen.port)
        try:
            timings = await measure(f"http://127.0.0.1:{chosen.port}", addresses, chosen.rounds)
        finally:
            process.terminate()
            process.wait(timeout=START_TIMEOUT_S)
            if process.stdout is not None:
                process.stdout.close()
    ranked = sorted(timings.values(), key=lambda one: -one.p95_ms)
    for one in ranked:
        print(f"{one.name:22} p95 {one.p95_ms:7.1f} ms   {one.largest_bytes / 1_000:6.1f} kB")
    result = {
        "units": chosen.units,
        "worst_p95_ms": round(ranked[0].p95_ms, 1),
        "worst_page": ranked[0].name,
        "median_p95_ms": round(statistics.median(one.p95_ms for one in ranked), 1),
        "customers": chosen.customers,
        "days": chosen.days,
        "people": PEOPLE,
        "over_100_kb": [one.name for one in ranked if one.largest_bytes > PAGE_LIMIT_BYTES],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main())
