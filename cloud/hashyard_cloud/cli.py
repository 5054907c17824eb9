"""`hashyard-cloud`: the command line."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from aiohttp import web

from hashyard_cloud import settings as settings_module
from hashyard_cloud.app import build
from hashyard_cloud.errors import CloudError, PortInUseError, StartError
from hashyard_cloud.settings import Settings

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="The Hashyard cloud service.")
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file; else $HASHYARD_CONFIG.")]


@cli.callback()
def root() -> None:
    """The Hashyard cloud service."""


@cli.command()
def serve(config: ConfigOption = None) -> None:
    """Run the service until SIGINT or SIGTERM."""
    asyncio.run(_serve(settings_module.load(config)))


async def _serve(settings: Settings) -> None:
    runner = web.AppRunner(build(settings), handle_signals=False)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            raise PortInUseError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; set host and port"
            ) from error
        typer.echo(f"hashyard-cloud is ready at {settings.base_url}")
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Entry point: a known error is one clear line and its exit code."""
    try:
        cli()
    except CloudError as error:
        typer.echo(f"hashyard-cloud: {error}", err=True)
        sys.exit(error.exit_code if isinstance(error, StartError) else 1)
