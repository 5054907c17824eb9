"""`redirect`, `restore`, `stop`, `journal`: enforcement by hand, on site, with or without the cloud.

While the agent runs, a command is left in its store and carried out by it. While it does not, the same machinery
runs here until the units have arrived.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore, is_owned
from hashyard_agent.adapters.files import hand_over
from hashyard_agent.adapters.fleet_file import FleetFile
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.adapters.site_trust import StopFile
from hashyard_agent.cli_trust import pools_app, trust_app
from hashyard_agent.desired import read_desired
from hashyard_agent.enforcement.model import Step, UnitRow
from hashyard_agent.errors import RefusedError, SettingsError
from hashyard_agent.settings import Settings, load
from hashyard_shared.clock import SystemClock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import UnitPhase
from hashyard_shared.ids import MalformedIdError, normalise_mac
from hashyard_shared.journal import GENESIS, first_break

TAKEN_TIMEOUT_S: Final = 15.0
LOOK_EVERY_S: Final = 0.5
JOURNAL_PAGE: Final = 1_000
EXIT_NOT_THERE: Final = 1
EXIT_BROKEN: Final = 6

app = typer.Typer(pretty_exceptions_enable=False)
app.add_typer(trust_app, name="trust")
app.add_typer(pools_app, name="pools")
journal_app = typer.Typer(help="The hash-chained record of what was ordered, done and seen.", no_args_is_help=True)
app.add_typer(journal_app, name="journal")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file; /etc/hashyard/agent.toml by default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Miners = Annotated[list[str], typer.Argument(help="MAC address, IP address or unit label of each miner.")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until they have arrived.")]


@app.command()
def redirect(
    miners: Miners,
    pool: Annotated[str, typer.Option(help="The pinned holding pool's name.")],
    hours: Annotated[float, typer.Option(min=0.1, help="When it goes back by itself.")] = 72,
    wait: WaitOption = 120,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Point miners at a holding pool by hand. It is recorded as your own act, not the cloud's."""
    settings = load(config)
    macs = _macs(settings, miners)
    if not yes:
        typer.confirm(f"Point {len(macs)} miner(s) at {pool}, recorded under your name?", abort=True)
    _order(settings, "redirect", macs, {"pool": pool, "hours": hours}, wait, UnitPhase.REDIRECTED)


@app.command()
def restore(miners: Miners, wait: WaitOption = 120, config: ConfigOption = None) -> None:
    """Give miners their own pools back. Redirects of them then wait until `maintenance --off`."""
    settings = load(config)
    _order(settings, "restore", _macs(settings, miners), {}, wait, UnitPhase.RESTORED)


@app.command()
def maintenance(
    miners: Miners,
    reason: Annotated[str, typer.Option(help="Why; shown to the host.")] = "maintenance",
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
    config: ConfigOption = None,
) -> None:
    """Keep enforcement away from miners while somebody works on them."""
    settings = load(config)
    commands = [{"mac": mac, "reason": "" if off else reason} for mac in _macs(settings, miners)]
    _leave(settings, "maintenance", commands)
    typer.echo("Ended." if off else "Nothing is written to them until: hashyard-agent maintenance --off")


@app.command()
def confirm(
    units: Annotated[list[str], typer.Argument(help="Unit ids, as the refused orders name them.")],
    config: ConfigOption = None,
) -> None:
    """Let orders for these units pass although the site's daily cap is reached."""
    _leave(load(config), "confirm", [{"units": units}])
    typer.echo(f"Confirmed {len(units)} unit(s) over the daily cap.")


@app.command()
def stop(
    reason: Annotated[str, typer.Option(help="Why; shown to the host.")] = "by hand", config: ConfigOption = None
) -> None:
    """Emergency stop: freeze all writes to miners at once. Works without the cloud and outlives a restart."""
    settings = load(config)
    StopFile(settings.store.stop_file).set(f"{reason} ({getuser()})")
    hand_over(settings.store.path)
    typer.echo("Writes are frozen. Nothing is restored by this; let them go on with: hashyard-agent resume")


@app.command()
def resume(config: ConfigOption = None) -> None:
    """End the emergency stop."""
    StopFile(load(config).store.stop_file).clear()
    typer.echo("Writes go on.")


@app.command()
def units(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Every unit that enforcement touched, and where it stands."""
    rows = sorted(_rows(load(config)), key=lambda row: row.label or row.unit_id)
    if json_:
        typer.echo(json.dumps([_shown(row) for row in rows]))
        return
    for row in rows:
        code = f"  {row.code}" if row.code else ""
        held = f"  {row.maintenance or row.kept_local}" if row.maintenance or row.kept_local else ""
        typer.echo(f"{row.label or row.unit_id:20} {row.mac}  {row.phase:12} level {row.level}{code}{held}")
    if not rows:
        typer.echo("No unit was ever redirected or restored here.")


@journal_app.command("verify")
def verify_journal(config: ConfigOption = None) -> None:
    """Check the chain from its first line; names the first line that was changed, added or taken out."""
    store = _reader(load(config))
    count, previous = 0, GENESIS
    try:
        while lines := store.journal(count, JOURNAL_PAGE):
            broken = first_break(lines, previous, count)
            if broken is not None:
                typer.echo(f"BROKEN at line {broken}: it does not follow from the line before.", err=True)
                raise typer.Exit(EXIT_BROKEN)
            count, previous = lines[-1].index + 1, lines[-1].hash
    finally:
        store.close()
    typer.echo(f"Whole: {count} lines, head {previous}")


@journal_app.command("show")
def show_journal(
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many lines from the end.")] = 20,
    config: ConfigOption = None,
) -> None:
    """Print the newest lines as they were hashed."""
    store = _reader(load(config))
    try:
        head = store.journal_length()
        for line in store.journal(max(0, head - last), last):
            typer.echo(line.text)
    finally:
        store.close()


# -- carrying out --------------------------------------------------------------------------------


def _order(
    settings: Settings, kind: str, macs: Sequence[str], more: dict[str, Any], wait_s: float, goal: UnitPhase
) -> None:
    commands = [{"mac": mac} | more for mac in macs]
    rows = asyncio.run(_carry_out(settings, kind, commands, macs, wait_s, goal))
    arrived = [row for row in rows if _arrived(row, goal)]
    for row in rows:
        code = f" ({row.code}: {row.detail})" if row.code else ""
        typer.echo(f"{row.label or row.mac}: {row.phase}, level {row.level}{code}")
    if len(arrived) < len(macs):
        typer.echo(f"{len(arrived)} of {len(macs)} confirmed so far; the agent goes on while it runs.", err=True)
        raise typer.Exit(EXIT_NOT_THERE)


def _leave(settings: Settings, kind: str, commands: Sequence[dict[str, Any]]) -> None:
    """Have commands taken that are done once they are taken."""
    asyncio.run(_carry_out(settings, kind, commands, (), 0, UnitPhase.CUSTOMER))


async def _carry_out(
    settings: Settings,
    kind: str,
    commands: Sequence[dict[str, Any]],
    macs: Sequence[str],
    wait_s: float,
    goal: UnitPhase,
) -> list[UnitRow]:
    """Put commands into the store and see to it that they are taken: by the running agent, or here."""
    path = settings.store.enforcement_file
    async with AsyncExitStack() as stack:
        running = is_owned(path)
        store = SqliteEnforcementStore(path, owner=False)
        # Last of all: what root made in the agent's folder goes to the agent's user.
        stack.callback(hand_over, settings.store.path)
        stack.callback(store.close)
        now_us, actor = SystemClock().now_us(), getuser()
        numbers = [store.add_command(now_us, actor, kind, arguments) for arguments in commands]
        if not running:
            await _enforce_here(settings, macs, stack)
        await _answered(store, numbers)
        return await _follow(settings, macs, wait_s, goal)


async def _enforce_here(settings: Settings, macs: Sequence[str], stack: AsyncExitStack) -> None:
    from hashyard_agent import enforcement_parts  # noqa: PLC0415 - heavy, and only needed without an agent

    enforcer = await enforcement_parts.build_alone(settings, SystemClock(), macs, stack)
    task = asyncio.create_task(enforcer.run())

    async def ended() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(ended)


async def _answered(store: SqliteEnforcementStore, numbers: Sequence[int]) -> None:
    """Another process answers through the file, so it can only be looked at again and again."""
    try:
        async with asyncio.timeout(TAKEN_TIMEOUT_S):
            while any(store.command_result(number) is None for number in numbers):  # noqa: ASYNC110 - as the docstring says
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError as error:
        raise RefusedError(
            ErrorCode.UNAVAILABLE, "nobody took the command; is the agent held up? See: hashyard-agent status"
        ) from error
    refused = [text for number in numbers if (text := store.command_result(number) or "").startswith("refused")]
    if refused:
        raise RefusedError(ErrorCode.CONFLICT, "; ".join(dict.fromkeys(refused)))


async def _follow(settings: Settings, macs: Sequence[str], wait_s: float, goal: UnitPhase) -> list[UnitRow]:
    """Watch the running agent's state until all have arrived or the time is over."""
    rows: list[UnitRow] = []
    try:
        async with asyncio.timeout(wait_s):
            while True:
                rows = [row for row in _rows(settings) if row.mac in macs]
                if len(rows) == len(macs) and all(_arrived(row, goal) for row in rows):
                    return rows
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        return rows


def _arrived(row: UnitRow, goal: UnitPhase) -> bool:
    return row.phase is goal and row.step in {Step.HELD, Step.IDLE, Step.PROVING}


# -- looking -------------------------------------------------------------------------------------


def _reader(settings: Settings) -> SqliteEnforcementStore:
    return SqliteEnforcementStore(settings.store.enforcement_file, read_only=True)


def _rows(settings: Settings) -> list[UnitRow]:
    store = _reader(settings)
    try:
        return store.units()
    finally:
        store.close()


def _shown(row: UnitRow) -> dict[str, Any]:
    return {
        "unit_id": row.unit_id,
        "label": row.label,
        "mac": row.mac,
        "goal": row.goal,
        "step": row.step,
        "phase": row.phase,
        "level": row.level,
        "code": row.code,
        "detail": row.detail,
        "expires_at_us": row.expires_at_us,
        "active_pool": row.active_pool,
        "maintenance": row.maintenance,
        "kept_local": row.kept_local,
    }


@dataclass(frozen=True, slots=True)
class _Known:
    macs_by_ip: dict[str, str]
    macs_by_label: dict[str, str]


def _macs(settings: Settings, names: Sequence[str]) -> list[str]:
    """The MACs that are meant. Errors: `SettingsError` that names what is not known."""
    known = _known(settings)
    found: dict[str, None] = {}
    for name in names:
        mac = known.macs_by_ip.get(name) or known.macs_by_label.get(name.lower())
        if mac is None:
            try:
                mac = normalise_mac(name)
            except MalformedIdError as error:
                raise SettingsError(
                    f"{name!r} is no known address or label, and no MAC; see: hashyard-agent scan"
                ) from error
        found[mac] = None
    return list(found)


def _known(settings: Settings) -> _Known:
    by_ip = {
        miner.ip: miner.identity.mac for miner in FleetFile(settings.store.fleet_file).load() if miner.identity.mac
    }
    store = settings.store
    outbox = SqliteOutbox(
        store.outbox_file, max_bytes=store.max_bytes, headroom_bytes=0, clock=SystemClock(), read_only=True
    )
    try:
        document = read_desired(outbox)
    finally:
        outbox.close()
    by_label = {unit.label.lower(): normalise_mac(unit.mac) for unit in document.units} if document else {}
    return _Known(by_ip, by_label)
