"""The relational store as use cases see it: transactions with one attribute per feature.

A use case is one `async with database.transaction() as tx:`. It commits when the block ends and rolls back when
it raises; stores never commit. `reading()` gives a consistent view and must not write.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from hashyard_cloud.services.ports.agents import AgentsStore
from hashyard_cloud.services.ports.contracts import ContractsStore
from hashyard_cloud.services.ports.customers import CustomersStore
from hashyard_cloud.services.ports.desired import DesiredStore
from hashyard_cloud.services.ports.enrolment import EnrolmentStore
from hashyard_cloud.services.ports.equipment import EquipmentStore
from hashyard_cloud.services.ports.ingest import IngestStore
from hashyard_cloud.services.ports.leases import LeasesStore
from hashyard_cloud.services.ports.miners import MinersStore
from hashyard_cloud.services.ports.organisations import OrganisationsStore
from hashyard_cloud.services.ports.rollups import RollupsStore
from hashyard_cloud.services.ports.sites import SitesStore
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
    def organisations(self) -> OrganisationsStore: ...

    @property
    def sites(self) -> SitesStore: ...

    @property
    def users(self) -> UsersStore: ...

    @property
    def agents(self) -> AgentsStore: ...

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
