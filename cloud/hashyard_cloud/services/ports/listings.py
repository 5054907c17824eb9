"""Pages of contracts and invoices with whom they are for. Read only, and always bounded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.services.ports.contracts import ContractRow, ContractState
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.services.ports.payments import PaymentRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """Which rows. `search` is looked for in numbers, and in the customers' names unless `numbers_only`."""

    state: str | None = None
    search: str = ""
    numbers_only: bool = False
    limit: int = 25
    offset: int = 0


After = tuple[int, str] | None
"""Time and id of the last row that was given already; None for the beginning."""


class ListingsStore(Protocol):
    """Lists of what belongs to customers, newest first."""

    async def contracts_after(
        self, organisation_id: str, after: After, limit: int, **equal: str | None
    ) -> list[ContractRow]:
        """The next contracts; with `equal` only those with these values, None being any."""
        ...

    async def invoices_after(
        self, organisation_id: str, after: After, limit: int, **equal: str | None
    ) -> list[InvoiceRow]:
        """The next invoices, as `contracts_after`."""
        ...

    async def payments_after(
        self, organisation_id: str, after: After, limit: int, **equal: str | None
    ) -> list[PaymentRow]:
        """The next payments, as `contracts_after`."""
        ...

    async def contracts(
        self, organisation_id: str, wanted: ListFilter
    ) -> tuple[Sequence[tuple[ContractRow, str]], int]:
        """One page with the customers' names, and how many there are in all."""
        ...

    async def invoices(
        self, organisation_id: str, wanted: ListFilter
    ) -> tuple[Sequence[tuple[InvoiceRow, str]], int]:
        """One page with the customers' names, and how many there are in all."""
        ...

    async def customers(self, organisation_id: str, search: str, limit: int) -> tuple[Sequence[CustomerRow], int]:
        """The first by name whose name, company or addresses have this in them, and how many there are."""
        ...

    async def contract_counts(self, organisation_id: str) -> dict[ContractState, int]:
        """How many contracts in each state."""
        ...

    async def invoice_counts(self, organisation_id: str) -> dict[InvoiceState, int]:
        """How many invoices in each state."""
        ...
