"""`redirect`, `restore`, `stop`, `journal`: enforcement by hand, on site, with or without the cloud."""

import json
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hashyard_agent import cli_snapshots
from hashyard_agent.adapters.files import hand_over
from hashyard_agent.adapters.site_trust import StopFile
from hashyard_agent.cli_hand import leave, macs_of, order, reader, rows
from hashyard_agent.cli_pools import pools_app
from hashyard_agent.cli_trust import trust_app
from hashyard_agent.enforcement.model import UnitRow
from hashyard_agent.settings import load
from hashyard_shared.events import UnitPhase
from hashyard_shared.journal import GENESIS, first_break

JOURNAL_PAGE: Final = 1_000
EXIT_BROKEN: Final = 6

app = typer.Typer(pretty_exceptions_enable=False)
cli_snapshots.add_to(trust_app)
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
    macs = macs_of(settings, miners)
    if not yes:
        typer.confirm(f"Point {len(macs)} miner(s) at {pool}, recorded under your name?", abort=True)
    order(settings, "redirect", macs, {"pool": pool, "hours": hours}, wait, UnitPhase.REDIRECTED)


@app.command()
def restore(miners: Miners, wait: WaitOption = 120, config: ConfigOption = None) -> None:
    """Give miners their own pools back. Redirects of them then wait until `maintenance --off`."""
    settings = load(config)
    order(settings, "restore", macs_of(settings, miners), {}, wait, UnitPhase.RESTORED)


@app.command()
def maintenance(
    miners: Miners,
    reason: Annotated[str, typer.Option(help="Why; shown to the host.")] = "maintenance",
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
    config: ConfigOption = None,
) -> None:
    """Keep enforcement away from miners while somebody works on them."""
    settings = load(config)
    commands = [{"mac": mac, "reason": "" if off else reason} for mac in macs_of(settings, miners)]
    leave(settings, "maintenance", commands)
    typer.echo("Ended." if off else "Nothing is written to them until: hashyard-agent maintenance --off")


@app.command()
def confirm(
    units: Annotated[list[str], typer.Argument(help="Unit ids, as the refused orders name them.")],
    config: ConfigOption = None,
) -> None:
    """Let orders for these units pass although the site's daily cap is reached."""
    leave(load(config), "confirm", [{"units": units}])
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
    found = sorted(rows(load(config)), key=lambda row: row.label or row.unit_id)
    if json_:
        typer.echo(json.dumps([_shown(row) for row in found]))
        return
    for row in found:
        code = f"  {row.code}" if row.code else ""
        held = f"  {row.maintenance or row.kept_local}" if row.maintenance or row.kept_local else ""
        typer.echo(f"{row.label or row.unit_id:20} {row.mac}  {row.phase:12} level {row.level}{code}{held}")
    if not found:
        typer.echo("No unit was ever redirected or restored here.")


@journal_app.command("verify")
def verify_journal(config: ConfigOption = None) -> None:
    """Check the chain from its first line; names the first line that was changed, added or taken out."""
    store = reader(load(config))
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
    store = reader(load(config))
    try:
        head = store.journal_length()
        for line in store.journal(max(0, head - last), last):
            typer.echo(line.text)
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
