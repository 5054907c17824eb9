"""`hashyard-cloud backup` and `restore`: both stores in one folder, and back."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from hashyard_cloud import settings as settings_module
from hashyard_cloud.app import open_database, prepare_data_dir
from hashyard_cloud.errors import BackupError
from hashyard_cloud.settings import Settings
from hashyard_cloud.storage import backup
from hashyard_cloud.storage.database import normalised
from hashyard_cloud.storage.telemetry.clickhouse import open_telemetry
from hashyard_cloud.web import control
from hashyard_shared.clock import SystemClock, iso

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file; else $HASHYARD_CONFIG.")]


def take(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder for this backup.")],
    config: ConfigOption = None,
) -> None:
    """Copy both stores consistently into a folder, whether the service runs or not."""
    settings = settings_module.load(config)
    told = asyncio.run(_take(settings, folder.absolute()))
    manifest = backup.check(folder)
    size_mb = sum(file.size_bytes for file in manifest.files) / 1_000_000
    typer.echo(f"backup of {iso(manifest.taken_us)} in {folder}: {told['samples']:,} samples, {size_mb:.1f} MB")
    typer.echo(f"keep {settings.master_key_path} in another place: without it the signing keys stay shut")


async def _take(settings: Settings, folder: Path) -> dict[str, Any]:
    try:
        return await control.ask_for_backup(settings.data_dir, folder)
    except control.NotRunningError:
        pass  # Nobody owns the stores, so they are opened here.
    database = await open_database(settings)
    try:
        telemetry = await open_telemetry(settings.telemetry_url)
        try:
            return (await backup.back_up(database, telemetry, SystemClock(), folder)).model_dump()
        finally:
            await telemetry.close()
    finally:
        await database.close()


def put_back(
    folder: Annotated[Path, typer.Argument(help="The folder of a backup.", exists=True, file_okay=False)],
    config: ConfigOption = None,
) -> None:
    """Check a backup and put it into an empty data directory; the service must not run."""
    settings = settings_module.load(config)
    count = asyncio.run(_put_back(settings, folder))
    typer.echo(
        f"restored, {count:,} samples; put the master key at {settings.master_key_path} and start the service"
    )


async def _put_back(settings: Settings, folder: Path) -> int:
    await asyncio.to_thread(backup.check, folder)
    prepare_data_dir(settings)
    url = normalised(settings.database_url)
    if url.get_backend_name() == "sqlite":
        if url.database is None:
            raise BackupError("the database is in memory; set database_dsn to a file")
        await asyncio.to_thread(backup.restore_relational, folder, Path(url.database))
    database = await open_database(settings)
    try:
        telemetry = await open_telemetry(settings.telemetry_url)
        try:
            return await backup.restore_samples(database, telemetry, folder)
        finally:
            await telemetry.close()
    finally:
        await database.close()


def add_to(cli: typer.Typer) -> None:
    """Put these commands on the service's command line."""
    cli.command("backup")(take)
    cli.command("restore")(put_back)
