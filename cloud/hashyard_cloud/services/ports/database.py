"""The relational store as use cases see it: transactions with one attribute per feature.

A use case is one `async with database.transaction() as tx:`. It commits when the block ends and rolls back when
it raises; stores never commit. `reading()` gives a consistent view and must not write.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from hashyard_cloud.services.ports.activity import ActivityStore
from hashyard_cloud.services.ports.agents import AgentsStore
from hashyard_cloud.services.ports.agreements import AgreementsStore
from hashyard_cloud.services.ports.api_tokens import ApiTokensStore
from hashyard_cloud.services.ports.bulk import BulkStore
from hashyard_cloud.services.ports.commands import CommandsStore
from hashyard_cloud.services.ports.contract_sites import ContractSitesStore
from hashyard_cloud.services.ports.contracts import ContractsStore
from hashyard_cloud.services.ports.customer_pools import CustomerPoolsStore
from hashyard_cloud.services.ports.customers import CustomersStore
from hashyard_cloud.services.ports.defaults import DefaultsStore
from hashyard_cloud.services.ports.desired import DesiredStore
from hashyard_cloud.services.ports.emails import EmailsStore
from hashyard_cloud.services.ports.enrolment import EnrolmentStore
from hashyard_cloud.services.ports.equipment import EquipmentStore
from hashyard_cloud.services.ports.fleet import FleetStore
from hashyard_cloud.services.ports.hashprices import HashpricesStore
from hashyard_cloud.services.ports.holding_pools import HoldingPoolsStore
from hashyard_cloud.services.ports.idempotency import IdempotencyStore
from hashyard_cloud.services.ports.ingest import IngestStore
from hashyard_cloud.services.ports.invoices import InvoicesStore
from hashyard_cloud.services.ports.jobs import JobsStore
from hashyard_cloud.services.ports.journal import JournalStore
from hashyard_cloud.services.ports.leases import LeasesStore
from hashyard_cloud.services.ports.ledger import LedgerStore
from hashyard_cloud.services.ports.listings import ListingsStore
from hashyard_cloud.services.ports.miners import MinersStore
from hashyard_cloud.services.ports.notices import NoticesStore
from hashyard_cloud.services.ports.organisations import OrganisationsStore
from hashyard_cloud.services.ports.payments import PaymentsStore
from hashyard_cloud.services.ports.pool_figures import PoolFiguresStore
from hashyard_cloud.services.ports.redirects import RedirectsStore
from hashyard_cloud.services.ports.rollups import RollupsStore
from hashyard_cloud.services.ports.signing_keys import SigningKeysStore
from hashyard_cloud.services.ports.sites import SitesStore
from hashyard_cloud.services.ports.snapshots import SnapshotsStore
from hashyard_cloud.services.ports.users import UsersStore


class Transaction(Protocol):
    """One transaction. Each property is a feature's store, bound to it."""

    @property
    def contracts(self) -> ContractsStore: ...

    @property
    def customers(self) -> CustomersStore: ...

    @property
    def equipment(self) -> EquipmentStore: ...

    @property
    def agreements(self) -> AgreementsStore: ...

    @property
    def fleet(self) -> FleetStore: ...

    @property
    def listings(self) -> ListingsStore: ...

    @property
    def bulk(self) -> BulkStore: ...

    @property
    def organisations(self) -> OrganisationsStore: ...

    @property
    def sites(self) -> SitesStore: ...

    @property
    def users(self) -> UsersStore: ...

    @property
    def agents(self) -> AgentsStore: ...

    @property
    def api_tokens(self) -> ApiTokensStore: ...

    @property
    def idempotency(self) -> IdempotencyStore: ...

    @property
    def desired(self) -> DesiredStore: ...

    @property
    def enrolment(self) -> EnrolmentStore: ...

    @property
    def ingest(self) -> IngestStore: ...

    @property
    def leases(self) -> LeasesStore: ...

    @property
    def miners(self) -> MinersStore: ...

    @property
    def rollups(self) -> RollupsStore: ...

    @property
    def activity(self) -> ActivityStore: ...

    @property
    def defaults(self) -> DefaultsStore: ...

    @property
    def emails(self) -> EmailsStore: ...

    @property
    def hashprices(self) -> HashpricesStore: ...

    @property
    def holding_pools(self) -> HoldingPoolsStore: ...

    @property
    def invoices(self) -> InvoicesStore: ...

    @property
    def jobs(self) -> JobsStore: ...

    @property
    def journal(self) -> JournalStore: ...

    @property
    def ledger(self) -> LedgerStore: ...

    @property
    def notices(self) -> NoticesStore: ...

    @property
    def payments(self) -> PaymentsStore: ...

    @property
    def redirects(self) -> RedirectsStore: ...

    @property
    def signing_keys(self) -> SigningKeysStore: ...

    @property
    def pool_figures(self) -> PoolFiguresStore: ...

    @property
    def snapshots(self) -> SnapshotsStore: ...

    @property
    def contract_sites(self) -> ContractSitesStore: ...

    @property
    def commands(self) -> CommandsStore: ...

    @property
    def customer_pools(self) -> CustomerPoolsStore: ...

    def changed(self, organisation_id: str) -> None:
        """Let the organisation's open pages look again after the commit; the activity log says so itself."""
        ...

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Run this after the commit, not at all after a rollback; it must not raise."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """A part that can fail by itself: what it wrote is undone when it raises."""
        ...


class Database(Protocol):
    """Where transactions come from."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Read and write; serialised on SQLite."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Read only; never waits for writers."""
        ...
