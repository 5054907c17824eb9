"""The composition root: builds every object of the service and ties its life to the application's."""

import os
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from hashyard_cloud.errors import DataDirError
from hashyard_cloud.settings import Settings
from hashyard_cloud.storage import migrations
from hashyard_cloud.storage.database import SqlDatabase
from hashyard_cloud.web import keys
from hashyard_shared.clock import Clock, SystemClock
from hashyard_shared.protocol import MAX_REQUEST_BYTES

SETTINGS: Final = web.AppKey("SETTINGS", Settings)


def build(settings: Settings, clock: Clock | None = None) -> web.Application:
    """The whole application. Stores open at start-up and close at clean-up."""
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app[SETTINGS] = settings
    app[keys.CLOCK] = clock or SystemClock()
    app[keys.BASE_URL] = settings.base_url
    app.cleanup_ctx.append(_database)
    return app


def prepare_data_dir(settings: Settings) -> None:
    """Make the data directory, for its owner only; raises `DataDirError` when it cannot be written."""
    directory = settings.data_dir
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirError(f"cannot create data_dir {directory}: {error.strerror}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise DataDirError(f"data_dir {directory} is not writable by this user")


async def open_database(settings: Settings) -> SqlDatabase:
    """The relational store at this version's schema."""
    database = SqlDatabase(settings.database_url)
    try:
        await migrations.upgrade(database.engine)
    except BaseException:
        await database.close()
        raise
    return database


async def _database(app: web.Application) -> AsyncIterator[None]:
    prepare_data_dir(app[SETTINGS])
    database = await open_database(app[SETTINGS])
    app[keys.DATABASE] = database
    yield
    await database.close()
