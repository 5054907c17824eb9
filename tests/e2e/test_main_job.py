"""The main job as real processes: simulator, cloud, mail server, agent, and a browser that watches.

The truth is the simulator's: which pools and settings each miner had before, during and after.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from hashyard_demo import seed
from hashyard_demo.processes import wait_until
from hashyard_demo.world import Fleet, SitePlan, Waits, World, WorldPlan
from hashyard_support.browser import ARGUMENTS, chromium

T = TypeVar("T")
pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(240)]

HOLDING_URL: Final = "stratum+tcp://holding.mesaverde.example:3333"
EMAIL: Final = "owner@mesaverde.example"
PASSWORD: Final = "a long pass phrase 1"
STEP_TIMEOUT_S: Final = 90
STEP_TIMEOUT_MS: Final = STEP_TIMEOUT_S * 1_000
# The one who will default has machines of every family that is written here; the other one stands beside him.
FLEETS: Final = (
    Fleet("harbour", "antminer-s19", 2),
    Fleet("osprey", "antminer-s19", 1),
    Fleet("harbour", "whatsminer-v2", 2),
    Fleet("osprey", "whatsminer-v2", 1),
    Fleet("harbour", "luxos", 2),
    Fleet("osprey", "luxos", 1),
    Fleet("osprey", "vnish", 1),
    Fleet("osprey", "bitaxe", 1),
)


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports that are free now."""
    for first in range(23_000, 30_000, count):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise OSError("no free ports")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    port = free_ports(8)
    site = SitePlan("Cedar Flat", "CF", "Texas", "America/Chicago", "127.40.0.0/24", port + 1, FLEETS)
    waits = Waits(due_s=20, grace_s=3, cure_s=6, bounce_s=2, poll_s=2, job_s=0.5)
    plan = WorldPlan(folder=tmp_path, port=port, sites=(site,), waits=waits, restart_s=2, share_s=0.5)
    with World(plan).running() as started:
        started.write_settings()
        yield started


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        try:
            yield browser.new_page()
        finally:
            browser.close()


def kept(state: dict[str, Any]) -> dict[str, Any]:
    """What must be the same before and after."""
    pools = [(pool["url"], pool["user"], pool["password"]) for pool in state["pools"]]
    return {"pools": pools, "settings": state["settings"], "password": state["password"]}


def test_from_scan_to_default_to_redirect_to_payment_to_restore(world: World, page: Page) -> None:
    site = world.plan.sites[0]
    count = world.start_simulator()
    before = {miner["ip"]: world.miner(miner["ip"]) for miner in world.miners()}
    his = {ip for ip, state in before.items() if state["pools"][0]["user"].startswith("harbour.")}
    assert (len(before), len(his)) == (count, 6)

    customers = set_up(world, before)
    world.start_agent(site)
    wait_until(lambda: read_miners(world) == count, "every miner is read", STEP_TIMEOUT_S, world.programs)
    # What was written to miners until here: nothing.
    assert [ip for ip in before if world.miner(ip)["write_log"]] == []

    sign_in(world, page)
    page.goto(f"{world.cloud_url}/customers/{customers['harbour']}")
    status = page.locator("#status [data-status]")
    expect(status).to_have_attribute("data-status", "in-default", timeout=STEP_TIMEOUT_MS)
    # The bar changes by itself; the page is not loaded again.
    page.evaluate("window.untouched = true")
    expect(status).to_have_attribute("data-status", "pool-redirected", timeout=STEP_TIMEOUT_MS)
    expect(status).to_contain_text(re.compile(r"6 of 6\s+confirmed"), timeout=STEP_TIMEOUT_MS)

    during = {ip: world.miner(ip) for ip in before}
    for ip, state in during.items():
        if ip in his:
            assert {pool["url"] for pool in state["pools"] if pool["url"]} == {HOLDING_URL}, state["family"]
            assert state["active_pool"] == HOLDING_URL
            assert state["settings"] == before[ip]["settings"], state["family"]
        else:
            assert kept(state) == kept(before[ip])
            assert state["write_log"] == []

    world.cloud_command("payment", "record", "--customer", "Harbour Light Mining LLC", "--amount", "all")
    expect(status).to_have_attribute("data-status", "active", timeout=STEP_TIMEOUT_MS)
    assert page.evaluate("window.untouched") is True
    wait_until(
        lambda: all(kept(world.miner(ip)) == kept(before[ip]) for ip in before),
        "pools and settings are as before",
        STEP_TIMEOUT_S,
        world.programs,
    )
    after = {ip: world.miner(ip) for ip in before}
    assert {state["active_pool"] for state in after.values()} == {before[ip]["pools"][0]["url"] for ip in before}
    # Nobody ever mined anywhere but at the pools named here.
    allowed = {pool["url"] for state in before.values() for pool in state["pools"]} | {HOLDING_URL}
    assert {entry["url"] for state in after.values() for entry in state["mined"]} <= allowed
    assert world.agent_command(site, "journal", "verify").startswith("Whole: ")
    assert [agent.stop() for agent in world.agents.values()] == [0]


def set_up(world: World, truth: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Host, holding pool, customers, contracts, units, invoices, an enrolled agent; answers customer ids."""
    site = world.plan.sites[0]
    password = world.plan.folder / "owner-password"
    password.write_text(PASSWORD, encoding="utf-8")
    created = world.cloud_command("create-host", "Mesa Verde", "--email", EMAIL, "--password-file", str(password))
    organisation_id = created.splitlines()[0].rpartition("(")[2].rstrip(")")
    world.cloud_command(
        *("holding-pool", "add", "--reference", "holding", "--url", HOLDING_URL),
        *("--worker", "mesaverde.{unit}", "--password", "x"),
    )
    machines = seed.devices(list(truth.values()))
    customers = beside(
        seed.fill(world.cloud_config, organisation_id, world.plan.sites, machines, world.plan.waits, 0)
    )
    world.start_cloud()
    code = world.cloud_command("enroll-code", site.name).splitlines()[0]
    world.agent_command(site, "enroll", "--code", code, "--yes")
    world.record_pools(site, customers["harbour"], "Harbour Light Mining LLC", "harbour")
    return customers


def read_miners(world: World) -> int:
    """How many miners the cloud has a live reading of."""
    return beside(seed.live_miners(world.cloud_config))


def beside(work: Coroutine[Any, Any, T]) -> T:
    """Run this in a thread with a loop of its own; this thread's loop belongs to the browser."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result(STEP_TIMEOUT_S)


def sign_in(world: World, page: Page) -> None:
    page.goto(f"{world.cloud_url}/login")
    page.fill("input[name=email]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    expect(page.locator("h1")).to_have_text("Fleet")
