"""The composition root: builds every object of the service and ties its life to the application's."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from hashyard_cloud import app_enforcement
from hashyard_cloud.adapters.pdf import PdfRenderer
from hashyard_cloud.adapters.secret_box import AesSecretBox
from hashyard_cloud.errors import DataDirError
from hashyard_cloud.jobs.runner import Runner
from hashyard_cloud.services.agent_events import AgentEvents, EventSinks
from hashyard_cloud.services.agent_keys import AgentKeys
from hashyard_cloud.services.agents import Agents
from hashyard_cloud.services.desired import Desired, Waiters
from hashyard_cloud.services.enrolment import Enrolment
from hashyard_cloud.services.ingest import Ingest
from hashyard_cloud.services.parsed_cycles import ParsedCycles
from hashyard_cloud.services.ports.events import EventSink
from hashyard_cloud.services.projector import Projector
from hashyard_cloud.services.rate_limits import RateLimit
from hashyard_cloud.services.snapshots import SnapshotEvents
from hashyard_cloud.services.upkeep import Retention, Upkeep
from hashyard_cloud.settings import Settings
from hashyard_cloud.storage import backup, migrations
from hashyard_cloud.storage.database import Listeners, SqlDatabase
from hashyard_cloud.storage.telemetry.clickhouse import ClickHouseTelemetry, open_telemetry
from hashyard_cloud.web import control, keys
from hashyard_cloud.web.api import agent as agent_api
from hashyard_cloud.web.install import install as install_pages
from hashyard_shared.clock import Clock, SystemClock
from hashyard_shared.protocol import MAX_REQUEST_BYTES

LOG: Final = logging.getLogger(__name__)
SETTINGS: Final = web.AppKey("SETTINGS", Settings)
DATABASE: Final = web.AppKey("DATABASE", SqlDatabase)
TELEMETRY: Final = web.AppKey("TELEMETRY", ClickHouseTelemetry)
PROJECTOR: Final = web.AppKey("PROJECTOR", Projector)
UPKEEP: Final = web.AppKey("UPKEEP", Upkeep)
ENROLMENTS_PER_MINUTE: Final = 10
API_BURST_S: Final = 10
IDENTITY_CALLS_PER_MINUTE: Final = 30
BURST_S: Final = 10
"""A rate limit allows as much at once as would be allowed in this time."""


def build(settings: Settings, clock: Clock | None = None, *, pages: bool = True) -> web.Application:
    """The whole application, without `pages` the agents' interface alone.

    Stores open at start-up and close at clean-up; both are driven by aiohttp's runner.
    """
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app[SETTINGS] = settings
    app[keys.CLOCK] = clock or SystemClock()
    app[keys.BASE_URL] = settings.base_url
    app.cleanup_ctx.append(_run)
    app.router.add_routes(agent_api.routes())
    if pages:
        app[keys.DOCUMENTS] = PdfRenderer()
        install_pages(app)
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


async def open_database(settings: Settings, listeners: Listeners | None = None) -> SqlDatabase:
    """The relational store at this version's schema."""
    prepare_data_dir(settings)
    database = SqlDatabase(settings.database_url, listeners)
    try:
        await migrations.upgrade(database.engine)
    except BaseException:
        await database.close()
        raise
    return database


def upkeep_alone(settings: Settings, database: SqlDatabase, telemetry: ClickHouseTelemetry) -> Upkeep:
    """Upkeep without a running service."""
    clock = SystemClock()
    interval_s = settings.ingest.projection_interval_s
    projector = Projector(database, telemetry, clock, EventSinks([]), ParsedCycles(), "upkeep", interval_s)
    return Upkeep(database, telemetry, clock, projector, _retention(settings))


def _retention(settings: Settings) -> Retention:
    return Retention(settings.ingest.body_retention_s, settings.ingest.sample_retention_s)


async def _run(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    waiters = Waiters()
    live = app.get(keys.LIVE)
    listeners = Listeners(waiters.wake, live.changed) if live else Listeners(waiters.wake)
    database = await open_database(settings, listeners)
    try:
        telemetry = await open_telemetry(settings.telemetry_url)
        try:
            app[keys.DATABASE] = app[DATABASE] = database
            app[keys.TELEMETRY] = app[TELEMETRY] = telemetry
            box = AesSecretBox.from_file(settings.master_key_path)
            background = _agent_side(app, box, waiters)
            async with _Tasks(background), control.listening(settings.data_dir, _backup(app)):
                yield
            await app[PROJECTOR].release()
        finally:
            await telemetry.close()
    finally:
        await database.close()


def _agent_side(app: web.Application, box: AesSecretBox, waiters: Waiters) -> list[Coroutine[Any, Any, None]]:
    """What agents talk to; answers what runs in the background."""
    settings, clock, database = app[SETTINGS], app[keys.CLOCK], app[keys.DATABASE]
    built = app_enforcement.enforcement(settings, clock, box)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    sinks: list[EventSink] = [AgentEvents(), SnapshotEvents(clock), built.events, built.commands]
    parsed = ParsedCycles()
    projector = Projector(
        database,
        app[keys.TELEMETRY],
        clock,
        EventSinks(sinks),
        parsed,
        owner,
        settings.ingest.projection_interval_s,
    )
    app[PROJECTOR] = projector
    app[UPKEEP] = Upkeep(database, app[keys.TELEMETRY], clock, projector, _retention(settings))
    app[keys.AGENTS] = Agents(database, clock, built.keys)
    app[keys.AGENT_KEYS] = AgentKeys(database, clock, built.desk)
    app[keys.ENROLMENT] = Enrolment(database, clock, built.keys, built.pools)
    per_token = settings.api_requests_per_minute
    app[keys.API_LIMIT] = RateLimit(clock, per_token, max(1, per_token * API_BURST_S // 60))
    guesses = settings.api_guesses_per_minute
    app[keys.API_GUESS_LIMIT] = RateLimit(clock, guesses, guesses)
    app[keys.ENROL_LIMIT] = RateLimit(clock, ENROLMENTS_PER_MINUTE, ENROLMENTS_PER_MINUTE)
    app[keys.IDENTITY_LIMIT] = RateLimit(clock, IDENTITY_CALLS_PER_MINUTE, IDENTITY_CALLS_PER_MINUTE)
    per_minute = settings.ingest.max_requests_per_agent_per_minute
    batch_limit = RateLimit(clock, per_minute, max(1, per_minute * BURST_S // 60))
    app[keys.INGEST] = Ingest(database, clock, batch_limit, projector.notify, parsed)
    app[keys.DESIRED] = Desired(database, clock, built.keys, built.desk, waiters)
    app[keys.ENFORCEMENT] = built
    jobs = app_enforcement.jobs(settings, database, clock, built)
    runner = Runner(database, clock, owner, jobs, settings.job_interval_s)
    return [projector.run(), app[UPKEEP].run(), app[keys.DESIRED].watch(), runner.run()]


def _backup(app: web.Application) -> control.Backup:
    """What the operator's door offers."""

    async def take(folder: Path) -> dict[str, Any]:
        database, telemetry = app[DATABASE], app[TELEMETRY]
        return (await backup.back_up(database, telemetry, app[keys.CLOCK], folder)).model_dump()

    return take


class _Tasks:
    """Runs coroutines for as long as the block; one that ends early is logged, the others go on."""

    def __init__(self, coroutines: list[Coroutine[Any, Any, None]]) -> None:
        self._coroutines = coroutines
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.create_task(one) for one in self._coroutines]
        for task in self._tasks:
            task.add_done_callback(_report)

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        LOG.error("a background task ended: %s", error, exc_info=error)
