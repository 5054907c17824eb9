"""`python -m hashyard_demo`: the main job, start to end, on this machine."""

import asyncio
import contextlib
import json
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hashyard_cloud import settings as cloud_settings
from hashyard_cloud.app import open_database
from hashyard_demo import seed
from hashyard_demo.processes import ProcessEndedError, wait_until
from hashyard_demo.story import Scene, Story
from hashyard_demo.world import MAX_PER_SITE, Fleet, SitePlan, World, WorldPlan, spread

HOST_NAME: Final = "Mesa Verde Hosting"
OWNER_EMAIL: Final = "owner@mesaverde.example"
HOLDING_POOL: Final = ("holding", "stratum+tcp://holding.mesaverde.example:3333", "mesaverde.{unit}", "x")
UNREGISTERED: Final = 3
MIN_MINERS: Final = 20
PAY_AFTER_S: Final = 90
LOOK_EVERY_S: Final = 1.0
FOUND_TIMEOUT_S: Final = 120
# Families in the share they have here; 0.55 of all stand at the first site.
MIX: Final = (("antminer-s19", 0.5), ("whatsminer-v2", 0.25), ("luxos", 0.15), ("vnish", 0.06), ("bitaxe", 0.04))
FIRST_SITE_SHARE: Final = 0.55
DEFAULTER_FAMILIES: Final = frozenset({"antminer-s19", "whatsminer-v2", "luxos"})

console = Console(highlight=False, soft_wrap=True)


class Interrupted(Exception):  # noqa: N818 - not an error: the person pressed Ctrl-C
    """The person wants to stop."""


def plan(folder: Path, miners: int, port: int) -> WorldPlan:
    """Two sites and three customers for this many miners."""
    first = max(MIN_MINERS // 2, int(miners * FIRST_SITE_SHARE))
    return WorldPlan(
        folder=folder,
        port=port,
        sites=(
            SitePlan(
                "Cedar Flat",
                "CF",
                "Texas",
                "America/Chicago",
                "127.50.0.0/23",
                port + 1,
                fleets(first, first_site=True),
            ),
            SitePlan(
                "Tioga Works",
                "TW",
                "North Dakota",
                "America/Chicago",
                "127.50.2.0/23",
                port + 2,
                fleets(max(MIN_MINERS // 2, miners - first), first_site=False),
            ),
        ),
    )


def fleets(total: int, *, first_site: bool) -> tuple[Fleet, ...]:
    """A site's miners by family and customer; the one who will default has machines at the first site only."""
    counts = dict(zip((name for name, _ in MIX), spread(total, [share for _, share in MIX]), strict=True))
    found: list[Fleet] = []
    for family, count in counts.items():
        defaulter = count // 3 if first_site and family in DEFAULTER_FAMILIES else 0
        osprey = (count - defaulter + 1) // 2
        for customer, share in (
            ("harbour", defaulter),
            ("osprey", osprey),
            ("tallow", count - defaulter - osprey),
        ):
            if share:
                found.append(Fleet(customer, family, share))
    return tuple(found)


def say(text: str) -> None:
    """One line of commentary."""
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim]  {text}")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM become `Interrupted`, once; further ones are ignored while everything is stopped."""

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def bars() -> Progress:
    """Progress of the set-up."""
    return Progress(
        TextColumn("  {task.description:<28}"),
        BarColumn(28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def first_start(world: World, progress: Progress) -> None:
    """Create the host and fill the cloud."""
    steps = progress.add_task("host, customers, contracts", total=3)
    folder = world.plan.folder
    password_file = folder / "owner-password"
    password_file.write_text(secrets.token_urlsafe(9), encoding="utf-8")
    password_file.chmod(0o600)
    created = world.cloud_command(
        *("create-host", HOST_NAME, "--email", OWNER_EMAIL, "--owner", "Dana Ruiz"),
        *("--password-file", str(password_file), "--timezone", "America/Chicago"),
    )
    organisation_id = created.splitlines()[0].rpartition("(")[2].rstrip(")")
    progress.advance(steps)
    reference, url, worker, pool_password = HOLDING_POOL
    world.cloud_command(
        *("holding-pool", "add", "--reference", reference, "--url", url, "--worker", worker),
        *("--password", pool_password),
    )
    progress.advance(steps)
    machines = seed.devices([world.miner(miner["ip"]) for miner in world.miners()])
    customer_ids = asyncio.run(
        seed.fill(world.cloud_config, organisation_id, world.plan.sites, machines, world.plan.waits, UNREGISTERED)
    )
    progress.advance(steps)
    notes = {"organisation_id": organisation_id, "customers": customer_ids}
    (folder / "demo.json").write_text(json.dumps(notes), encoding="utf-8")


def enrol(world: World, site: SitePlan, customer_ids: dict[str, str]) -> None:
    """What a technician does on a rack host: a code from the cloud, `enroll`, customers' pools written down."""
    code = world.cloud_command("enroll-code", site.name).splitlines()[0]
    world.agent_command(site, "enroll", "--code", code, "--yes")
    here = {fleet.customer for fleet in site.fleets}
    for plan in seed.CUSTOMERS:
        if plan.defaults and plan.worker in here:
            world.record_pools(site, customer_ids[plan.worker], plan.name, plan.worker)


def notes_of(world: World) -> dict[str, Any]:
    """What the first start wrote down."""
    found: dict[str, Any] = json.loads((world.plan.folder / "demo.json").read_text(encoding="utf-8"))
    return found


def start(world: World) -> None:
    """Bring everything up, with bars."""
    again = (world.plan.folder / "demo.json").exists()
    with bars() as progress:
        booting = progress.add_task("simulated sites", total=1)
        miners = world.start_simulator()
        progress.update(booting, total=miners, completed=miners)
        if not again:
            first_start(world, progress)
        serving = progress.add_task("cloud", total=1)
        world.start_cloud()
        progress.advance(serving)
        agents = progress.add_task("agents enrolled and started", total=len(world.plan.sites))
        for site in world.plan.sites:
            if not world.enrolled(site):
                enrol(world, site, notes_of(world)["customers"])
            world.start_agent(site)
            progress.advance(agents)
        scan = progress.add_task("miners found and read", total=miners)
        wait_until(
            lambda: scanned(world, progress, scan, miners), "every miner is found", FOUND_TIMEOUT_S, world.programs
        )
    if again:
        say("This is a second start: it continues where the first one stopped (`make demo-clean` begins anew).")


def scanned(world: World, progress: Progress, task: object, miners: int) -> bool:
    """Draw how many miners the cloud has seen; true when it is all of them."""
    found = asyncio.run(seed.live_miners(world.cloud_config))
    progress.update(task, completed=found)  # type: ignore[arg-type]  # rich's TaskID is an int in disguise
    return found >= miners


def introduce(world: World) -> None:
    """Where to look and how to get in."""
    console.rule("[bold]Hashyard is running")
    console.print(f"  Cloud        [bold]{world.cloud_url}[/bold]")
    console.print(f"  Log in as    {OWNER_EMAIL}   password {(world.plan.folder / 'owner-password').read_text()}")
    for site in world.plan.sites:
        console.print(f"  Rack host    http://127.0.0.1:{site.local_port}   the technician's page of {site.name}")
    console.print(f"  Simulator    {world.control_url}/miners   what the machines really do")
    console.print(f"  Logs         {world.plan.folder / 'logs'}")
    console.print("  Ctrl-C stops everything and keeps the data; the next start goes on from there.")
    console.rule()


async def narrate(world: World, pay: bool) -> None:
    """Look and tell until interrupted; pay the defaulter's debt after a while."""
    database = await open_database(cloud_settings.load(world.cloud_config, {}))
    story = Story(world, database, notes_of(world)["organisation_id"], say)
    redirected_at: float | None = None
    paid = False
    try:
        while True:
            world.check()
            scene = await story.look()
            if scene.redirected and redirected_at is None:
                redirected_at = time.monotonic()
                say(f"Redirected and confirmed. Record the payment of {scene.invoice} in the cloud to end it.")
                if pay:
                    say(f"Otherwise the customer pays by himself in {PAY_AFTER_S} s.")
            if pay and not paid and scene.case_open and redirected_at is not None:
                paid = await pay_when_due(world, scene, redirected_at)
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await database.close()


async def pay_when_due(world: World, scene: Scene, redirected_at: float) -> bool:
    """Record the payment once the redirect has been seen for long enough."""
    if time.monotonic() - redirected_at < PAY_AFTER_S or not scene.invoice:
        return False
    amount = f"{scene.open_micro / 1_000_000:.2f}"
    say(f"The customer pays: {amount} for {scene.invoice}")
    await asyncio.to_thread(
        world.cloud_command,
        *("payment", "record", "--invoice", scene.invoice, "--amount", amount, "--method", "wire"),
    )
    return True


def run(
    miners: Annotated[
        int, typer.Option(min=MIN_MINERS, max=2 * MAX_PER_SITE, help="How many, over both sites.")
    ] = 60,
    folder: Annotated[Path, typer.Option(help="Where data, settings and logs go.")] = Path("var/demo"),
    port: Annotated[
        int, typer.Option(help="The cloud's port; the two after it are the technicians' pages.")
    ] = 8080,
    pay: Annotated[bool, typer.Option(help="Let the customer in default pay by himself after a while.")] = True,
) -> None:
    """A simulated mining business with an agent at each site and a cloud; one customer defaults, and pays."""
    world = World(plan(folder.resolve(), miners, port))
    if (world.plan.folder / "sites.toml").exists():
        console.print(f"Continuing in {folder}.")
    world.write_settings()
    with interruptible(), world.running():
        try:
            start(world)
            introduce(world)
            asyncio.run(narrate(world, pay))
        except Interrupted:
            console.print("\nStopping: agents, cloud, simulator.")
        except (ProcessEndedError, TimeoutError) as error:
            console.print(f"[red]The demo stopped:[/red] {error}\nLogs: {world.plan.folder / 'logs'}")
            sys.exit(1)
    console.print("Everything is stopped; the data is kept.")


if __name__ == "__main__":
    typer.run(run)
