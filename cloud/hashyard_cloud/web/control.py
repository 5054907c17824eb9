"""The operator's door: a Unix socket in the data directory, for commands that a running service must do itself.

Who may enter the directory may use it; it is not reachable over the network. `hashyard-cloud backup` uses it,
because the telemetry engine belongs to the process that opened it.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from hashyard_cloud.errors import CloudError, StartError

SOCKET: Final = "control.sock"
BACKUP_TIMEOUT_S: Final = 4 * 3_600
MAX_REQUEST_BYTES: Final = 16 * 1024

Backup = Callable[[Path], Awaitable[dict[str, Any]]]


class NotRunningError(CloudError):
    """No service runs on this data directory."""


def _application(backup: Backup) -> web.Application:
    async def take(request: web.Request) -> web.Response:
        given = await request.json()
        try:
            return web.json_response(await backup(Path(str(given["folder"]))))
        except StartError as error:
            return web.json_response({"error": str(error)}, status=409)

    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_post("/backup", take)
    return app


@asynccontextmanager
async def listening(data_dir: Path, backup: Backup) -> AsyncIterator[None]:
    """Listen for as long as the block; what an earlier process left behind is removed."""
    with suppress(FileNotFoundError):
        (data_dir / SOCKET).unlink()
    runner = web.AppRunner(_application(backup), handle_signals=False)
    await runner.setup()
    directory = os.open(data_dir, os.O_RDONLY)
    try:
        # A socket's path may have 107 bytes; through the descriptor any directory's name will do.
        await web.UnixSite(runner, f"/proc/self/fd/{directory}/{SOCKET}").start()
        (data_dir / SOCKET).chmod(0o600)
        yield
    finally:
        await runner.cleanup()
        os.close(directory)
        with suppress(FileNotFoundError):
            (data_dir / SOCKET).unlink()


async def ask_for_backup(data_dir: Path, folder: Path) -> dict[str, Any]:
    """Let the running service take a backup; raises `NotRunningError`, or `StartError` with its words."""
    if not (data_dir / SOCKET).exists():
        raise NotRunningError
    directory = os.open(data_dir, os.O_RDONLY)
    try:
        connector = aiohttp.UnixConnector(path=f"/proc/self/fd/{directory}/{SOCKET}")
        timeout = aiohttp.ClientTimeout(total=BACKUP_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post("http://control/backup", json={"folder": str(folder)}) as answer,
        ):
            told: dict[str, Any] = await answer.json()
            if answer.status != 200:
                raise StartError(str(told.get("error", "the service refused")))
            return told
    except aiohttp.ClientConnectorError as error:
        raise NotRunningError from error
    finally:
        os.close(directory)
