"""The command line."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from hashyard_simulator import memory
from hashyard_simulator.control import ControlServer
from hashyard_simulator.farm import Farm
from hashyard_simulator.spec import FarmSpec, load_spec, parse_site

app = typer.Typer(add_completion=False)


@app.command()
def run(
    site: Annotated[
        list[str] | None,
        typer.Option(help="name=north,subnet=127.50.1.0/24,antminer-s19=20,customers=alpine+borealis"),
    ] = None,
    spec: Annotated[Path | None, typer.Option(help="A TOML file with sites, instead of --site.")] = None,
    control: Annotated[
        str, typer.Option(help="HOST:PORT of the control API; port 0 is a free one.")
    ] = "127.0.0.1:0",
    seed: Annotated[int | None, typer.Option(help="MACs, serials and figures follow from it.")] = None,
    restart_seconds: Annotated[float | None, typer.Option(help="How long a restart of mining takes.")] = None,
    share_seconds: Annotated[float | None, typer.Option(help="Mean time between shares of a miner.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Where pools and settings outlive this process; else each start is fresh.")
    ] = None,
) -> None:
    """Simulates sites of miners on loopback until SIGTERM or SIGINT."""
    try:
        farm_spec = _farm_spec(site or [], spec, control, seed, restart_seconds, share_seconds)
    except (ValueError, OSError) as error:
        typer.echo(f"hashyard_simulator: {error}", err=True)
        raise typer.Exit(2) from error
    try:
        asyncio.run(_serve(farm_spec, state))
    except OSError as error:
        typer.echo(f"hashyard_simulator: cannot listen: {error}", err=True)
        raise typer.Exit(1) from error


def _farm_spec(
    sites: list[str],
    path: Path | None,
    control: str,
    seed: int | None,
    restart_seconds: float | None,
    share_seconds: float | None,
) -> FarmSpec:
    host, colon, port = control.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError(f"--control {control!r} is not HOST:PORT")
    base = load_spec(path) if path is not None else FarmSpec()
    changes = {
        "sites": (*base.sites, *(parse_site(text) for text in sites)),
        "control_host": host,
        "control_port": int(port),
        "seed": seed,
        "restart_seconds": restart_seconds,
        "share_seconds": share_seconds,
    }
    spec = base.model_copy(update={name: value for name, value in changes.items() if value is not None})
    if not spec.sites:
        raise ValueError("nothing to simulate: give --site or --spec")
    return spec


async def _serve(spec: FarmSpec, state: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Farm(spec) as farm:
        if state is not None:
            memory.load(farm, state)
        for family in farm.skipped_families:
            typer.echo(
                f"hashyard_simulator: {family} needs ports below 1024 and this process may not bind them "
                "(run as root); it is left out",
                err=True,
            )
        server = ControlServer(farm, spec.control_host, spec.control_port)
        await server.start()
        try:
            ready = {"ready": True, "control": server.url, "miners": len(farm.devices)}
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
            await stop.wait()
        finally:
            await server.close()
            if state is not None:
                memory.save(farm, state)


def main() -> None:
    app()
