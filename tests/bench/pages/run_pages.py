"""How fast pages are with a full house: 10,000 units, 200 customers, telemetry; 8 people at once.

    python -m bench.pages.run_pages [--units 10000] [--customers 200] [--days 30] [--rounds 6] [--keep FOLDER]

A generator seeds the stores (`--keep` names a folder where the house stays for the next run), then the service
runs as a process of its own. First the people walk every page at once, each in an order of their own: that gives
the times. Then each page is asked for alone: that gives what it costs the processor. Last a real Chromium opens
some pages with an empty cache. The last line is one JSON document.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.async_api import async_playwright

from bench.pages import house, walk
from hashyard_support.browser import ARGUMENTS, chromium
from hashyard_support.pages import OWNER_EMAIL, PASSWORD

PAGE_LIMIT_BYTES: Final = 100_000
START_TIMEOUT_S: Final = 60
FIRST_VIEWS: Final = ("fleet", "equipment", "customers", "customer", "unit", "portal")


def serve(data_dir: Path, port: int) -> "subprocess.Popen[str]":
    """The service as its own process."""
    environment = os.environ | {
        "HASHYARD_DATA_DIR": str(data_dir),
        "HASHYARD_PORT": str(port),
        "HASHYARD_JOB_INTERVAL_S": "3600",
        "HASHYARD_API_REQUESTS_PER_MINUTE": "1000000",
    }
    command = [sys.executable, "-c", "from hashyard_cloud.cli import main; main()", "serve"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while line := process.stdout.readline():
        if "is ready at" in line:
            return process
    raise RuntimeError("the service did not start")


async def first_views(url: str, addresses: dict[str, str]) -> dict[str, float]:
    """Milliseconds until each page is usable in a fresh Chromium: its content painted and its scripts run."""
    found = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        for name in FIRST_VIEWS:
            context = await browser.new_context(viewport={"width": 1440, "height": 1000})
            page = await context.new_page()
            await page.goto(f"{url}/login")
            await page.fill("#f-email", OWNER_EMAIL)
            await page.fill("#f-password", PASSWORD)
            await page.click("button.fill")
            await page.wait_for_url("**/fleet")
            if name.startswith("portal"):
                await page.goto(url + addresses["customer"])
                await page.click("form[action$='/view-portal'] button")
                await page.wait_for_url("**/portal")
            cdp = await context.new_cdp_session(page)
            await cdp.send("Network.clearBrowserCache")
            await page.goto(url + addresses[name], wait_until="load")
            timing = await page.evaluate(
                "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(Math.max("
                "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd,"
                "...performance.getEntriesByType('paint').map(one => one.startTime))))))"
            )
            found[name] = round(float(timing), 1)
            await context.close()
        await browser.close()
    return found


def told(timings: dict[str, walk.Timing], views: dict[str, float], chosen: argparse.Namespace) -> None:
    """The table, and the last line."""
    ranked = sorted(timings.values(), key=lambda one: -one.p95_ms)
    for one in ranked:
        print(f"{one.name:26} p95 {one.p95_ms:7.1f} ms   CPU {one.cpu_ms:6.1f} ms   {one.kb:6.1f} kB")
    for name, milliseconds in views.items():
        print(f"first view of {name:14} usable after {milliseconds:6.0f} ms")
    costly = max(timings.values(), key=lambda one: one.cpu_ms)
    large = max(timings.values(), key=lambda one: one.largest_bytes)
    result = {
        "units": chosen.units,
        "worst_p95_ms": round(ranked[0].p95_ms, 1),
        "worst_page": ranked[0].name,
        "median_p95_ms": round(statistics.median(one.p95_ms for one in ranked), 1),
        "customers": chosen.customers,
        "days": chosen.days,
        "people": walk.PEOPLE,
        "pages": len(ranked),
        "worst_cpu_ms": round(costly.cpu_ms, 1),
        "worst_cpu_page": costly.name,
        "mean_cpu_ms": round(statistics.mean(one.cpu_ms for one in ranked), 1),
        "largest_kb": round(large.kb, 1),
        "over_100_kb": [one.name for one in ranked if one.largest_bytes > PAGE_LIMIT_BYTES],
        "first_view_ms": max(views.values(), default=None),
    }
    print(json.dumps(result))


async def bench(folder: Path, chosen: argparse.Namespace) -> None:
    """Seed or wake the house, serve it, walk it."""
    addresses = await house.prepared(folder, chosen.units, chosen.customers, chosen.days)
    if chosen.only:
        kept = {"customer", "token"}
        addresses = {name: path for name, path in addresses.items() if chosen.only in name or name in kept}
    process = await asyncio.to_thread(serve, folder / "data", chosen.port)
    url = f"http://127.0.0.1:{chosen.port}"
    try:
        token = addresses.pop("token", "")
        timings = await walk.measure(url, addresses, token, chosen.rounds)
        await walk.cost(url, addresses, token, timings, process.pid)
        views = {} if chosen.only else await first_views(url, addresses)
    finally:
        process.terminate()
        process.wait(timeout=START_TIMEOUT_S)
        if process.stdout is not None:
            process.stdout.close()
    told(timings, views, chosen)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--port", type=int, default=18_431)
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--only", default="", help="measure only the pages whose name contains this")
    chosen = parser.parse_args()
    if chosen.keep is not None:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        await bench(chosen.keep, chosen)
        return
    with tempfile.TemporaryDirectory() as folder:
        await bench(Path(folder), chosen)


if __name__ == "__main__":
    asyncio.run(main())
