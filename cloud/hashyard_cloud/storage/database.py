"""SQLite and PostgreSQL behind one code path (SQLAlchemy Core, async).

SQLite runs in WAL with `synchronous=FULL` (an acknowledged write survives power loss), writes begin IMMEDIATE so
that a transaction never fails half-way because another writer came first, and are serialised in the process.
"""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from hashyard_cloud.errors import SettingsError
from hashyard_cloud.storage.activity import ActivityStore
from hashyard_cloud.storage.agents import AgentsStore
from hashyard_cloud.storage.agreements import AgreementsStore
from hashyard_cloud.storage.api_tokens import ApiTokensStore
from hashyard_cloud.storage.bulk import BulkStore
from hashyard_cloud.storage.commands import CommandsStore
from hashyard_cloud.storage.contract_sites import ContractSitesStore
from hashyard_cloud.storage.contracts import ContractsStore
from hashyard_cloud.storage.customer_pools import CustomerPoolsStore
from hashyard_cloud.storage.customers import CustomersStore
from hashyard_cloud.storage.defaults import DefaultsStore
from hashyard_cloud.storage.desired import DesiredStore
from hashyard_cloud.storage.emails import EmailsStore
from hashyard_cloud.storage.enrolment import EnrolmentStore
from hashyard_cloud.storage.equipment import EquipmentStore
from hashyard_cloud.storage.fleet import FleetStore
from hashyard_cloud.storage.hashprices import HashpricesStore
from hashyard_cloud.storage.holding_pools import HoldingPoolsStore
from hashyard_cloud.storage.idempotency import IdempotencyStore
from hashyard_cloud.storage.ingest import IngestStore
from hashyard_cloud.storage.invoices import InvoicesStore
from hashyard_cloud.storage.jobs import JobsStore
from hashyard_cloud.storage.journal import JournalStore
from hashyard_cloud.storage.leases import LeasesStore
from hashyard_cloud.storage.ledger import LedgerStore
from hashyard_cloud.storage.listings import ListingsStore
from hashyard_cloud.storage.miners import MinersStore
from hashyard_cloud.storage.notices import NoticesStore
from hashyard_cloud.storage.organisations import OrganisationsStore
from hashyard_cloud.storage.payments import PaymentsStore
from hashyard_cloud.storage.pool_figures import PoolFiguresStore
from hashyard_cloud.storage.redirects import RedirectsStore
from hashyard_cloud.storage.rollups import RollupsStore
from hashyard_cloud.storage.signing_keys import SigningKeysStore
from hashyard_cloud.storage.sites import SitesStore
from hashyard_cloud.storage.snapshots import SnapshotsStore
from hashyard_cloud.storage.users import UsersStore

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
_READING: Final = "hashyard_reading"
BUSY_TIMEOUT_MS: Final = 30_000
POOL_SIZE: Final = 8
POOL_TIMEOUT_S: Final = 30


class SqlTransaction:
    """One transaction; builds each feature's store on its connection. Implements `ports.database.Transaction`."""

    def __init__(self, connection: AsyncConnection, listeners: "Listeners") -> None:
        self.connection = connection
        self.callbacks: list[Callable[[], None]] = []
        self._listeners = listeners
        self._changed: set[str] = set()

    @cached_property
    def contracts(self) -> ContractsStore:
        return ContractsStore(self.connection)

    @cached_property
    def customers(self) -> CustomersStore:
        return CustomersStore(self.connection)

    @cached_property
    def equipment(self) -> EquipmentStore:
        return EquipmentStore(self.connection)

    @cached_property
    def agreements(self) -> AgreementsStore:
        return AgreementsStore(self.connection)

    @cached_property
    def fleet(self) -> FleetStore:
        return FleetStore(self.connection)

    @cached_property
    def listings(self) -> ListingsStore:
        return ListingsStore(self.connection)

    @cached_property
    def bulk(self) -> BulkStore:
        return BulkStore(self.connection)

    @cached_property
    def organisations(self) -> OrganisationsStore:
        return OrganisationsStore(self.connection)

    @cached_property
    def sites(self) -> SitesStore:
        return SitesStore(self.connection)

    @cached_property
    def users(self) -> UsersStore:
        return UsersStore(self.connection)

    @cached_property
    def agents(self) -> AgentsStore:
        return AgentsStore(self.connection)

    @cached_property
    def api_tokens(self) -> ApiTokensStore:
        return ApiTokensStore(self.connection)

    @cached_property
    def idempotency(self) -> IdempotencyStore:
        return IdempotencyStore(self.connection)

    @cached_property
    def desired(self) -> DesiredStore:
        return DesiredStore(self.connection, self._on_desired_change)

    @cached_property
    def enrolment(self) -> EnrolmentStore:
        return EnrolmentStore(self.connection)

    @cached_property
    def ingest(self) -> IngestStore:
        return IngestStore(self.connection)

    @cached_property
    def leases(self) -> LeasesStore:
        return LeasesStore(self.connection)

    @cached_property
    def miners(self) -> MinersStore:
        return MinersStore(self.connection)

    @cached_property
    def rollups(self) -> RollupsStore:
        return RollupsStore(self.connection)

    @cached_property
    def activity(self) -> ActivityStore:
        return ActivityStore(self.connection, self.changed)

    @cached_property
    def defaults(self) -> DefaultsStore:
        return DefaultsStore(self.connection)

    @cached_property
    def emails(self) -> EmailsStore:
        return EmailsStore(self.connection)

    @cached_property
    def hashprices(self) -> HashpricesStore:
        return HashpricesStore(self.connection)

    @cached_property
    def holding_pools(self) -> HoldingPoolsStore:
        return HoldingPoolsStore(self.connection)

    @cached_property
    def invoices(self) -> InvoicesStore:
        return InvoicesStore(self.connection)

    @cached_property
    def jobs(self) -> JobsStore:
        return JobsStore(self.connection)

    @cached_property
    def journal(self) -> JournalStore:
        return JournalStore(self.connection)

    @cached_property
    def ledger(self) -> LedgerStore:
        return LedgerStore(self.connection)

    @cached_property
    def notices(self) -> NoticesStore:
        return NoticesStore(self.connection)

    @cached_property
    def payments(self) -> PaymentsStore:
        return PaymentsStore(self.connection)

    @cached_property
    def redirects(self) -> RedirectsStore:
        return RedirectsStore(self.connection)

    @cached_property
    def signing_keys(self) -> SigningKeysStore:
        return SigningKeysStore(self.connection)

    @cached_property
    def pool_figures(self) -> PoolFiguresStore:
        return PoolFiguresStore(self.connection)

    @cached_property
    def snapshots(self) -> SnapshotsStore:
        return SnapshotsStore(self.connection)

    @cached_property
    def contract_sites(self) -> ContractSitesStore:
        return ContractSitesStore(self.connection)

    @cached_property
    def commands(self) -> CommandsStore:
        return CommandsStore(self.connection)

    @cached_property
    def customer_pools(self) -> CustomerPoolsStore:
        return CustomerPoolsStore(self.connection)

    def on_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        async with self.connection.begin_nested():
            yield

    def changed(self, organisation_id: str) -> None:
        if organisation_id not in self._changed:
            self._changed.add(organisation_id)
            self.on_commit(lambda: self._listeners.changed(organisation_id))

    def _on_desired_change(self, organisation_id: str, site_id: str) -> None:
        self.on_commit(lambda: self._listeners.desired_changed(organisation_id, site_id))
        self.changed(organisation_id)


def _nobody(*_: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who hears of what was committed: a site's desired state, and anything at all of an organisation."""

    desired_changed: Callable[[str, str], None] = _nobody
    changed: Callable[[str], None] = _nobody


class SqlDatabase:
    """Owns the engine. `close()` when done."""

    def __init__(self, dsn: str, listeners: Listeners | None = None) -> None:
        self._listeners = listeners or Listeners()
        self.url = normalised(dsn)
        self.engine: AsyncEngine = _engine(self.url)
        self._writing = asyncio.Lock() if self.is_sqlite else None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the in-file engine of one process."""
        return self.url.get_backend_name() == "sqlite"

    async def close(self) -> None:
        """Close all connections. Warns of those still in use, which nobody would close any more."""
        pool = self.engine.pool
        if isinstance(pool, QueuePool) and (in_use := pool.checkedout()):
            warnings.warn(
                f"{self.url.render_as_string()} closed with {in_use} connections in use",
                ResourceWarning,
                stacklevel=2,
            )
        await self.engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlTransaction]:
        turn: AbstractAsyncContextManager[Any] = self._writing or nullcontext()
        async with turn, self.engine.begin() as connection:
            tx = SqlTransaction(connection, self._listeners)
            yield tx
        for callback in tx.callbacks:
            callback()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[SqlTransaction]:
        async with self.engine.connect() as connection:
            await connection.execution_options(**{_READING: True})
            yield SqlTransaction(connection, self._listeners)


def normalised(dsn: str) -> URL:
    """The URL with our async driver; raises `SettingsError` for an engine that is not supported."""
    try:
        url = make_url(dsn)
    except ArgumentError as error:
        raise SettingsError("database_dsn is not a database URL", field="database_dsn") from error
    backend = url.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        raise SettingsError(f"database_dsn: {backend} is not supported, use sqlite or postgresql")
    return url.set(drivername=_DRIVERS[backend])


def _engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=POOL_SIZE, pool_timeout=POOL_TIMEOUT_S)
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _on_connect)
        event.listen(engine.sync_engine, "begin", _on_begin)
    return engine


def _on_connect(dbapi_connection: Any, _record: Any) -> None:
    # The driver's own implicit BEGIN comes too late and too weak; _on_begin says it explicitly.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
