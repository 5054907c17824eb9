"""`hashyard-cloud rebuild-telemetry`: project again what the telemetry store lost."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from hashyard_cloud import settings as settings_module
from hashyard_cloud.app import open_database, upkeep_alone
from hashyard_cloud.services.upkeep import Repaired
from hashyard_cloud.settings import Settings
from hashyard_cloud.storage.telemetry.clickhouse import open_telemetry

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file; else $HASHYARD_CONFIG.")]


def rebuild_telemetry(
    everything: Annotated[bool, typer.Option("--all", help="Also what looks whole.")] = False,
    config: ConfigOption = None,
) -> None:
    """Insert into the telemetry store what it lacks, from the bodies as received; the service must not run."""
    done = asyncio.run(_rebuild(settings_module.load(config), everything))
    typer.echo(f"{done.checked} blocks checked, {done.rebuilt} inserted anew, {done.lost} without their bodies")


async def _rebuild(settings: Settings, everything: bool) -> Repaired:
    database = await open_database(settings)
    try:
        telemetry = await open_telemetry(settings.telemetry_url)
        try:
            return await upkeep_alone(settings, database, telemetry).repair(everything=everything)
        finally:
            await telemetry.close()
    finally:
        await database.close()


def add_to(cli: typer.Typer) -> None:
    """Put the command on the service's command line."""
    cli.command()(rebuild_telemetry)
