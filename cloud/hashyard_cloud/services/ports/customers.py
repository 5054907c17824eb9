"""Customers: whom a host hosts."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRow:
    """A hosted account. Invoices go to `billing_email`, or to `email` where that is empty.

    `active` off disables the account and is not a default; `portal_access` off ends live portal sessions.
    """

    customer_id: str
    organisation_id: str
    name: str
    company: str
    email: str
    billing_email: str
    phone: str
    currency: str
    notes: str
    active: bool
    portal_access: bool
    team_name: str
    created_us: int

    @property
    def invoice_email(self) -> str:
        """Where invoices and notices go."""
        return self.billing_email or self.email


class CustomersStore(Protocol):
    """Read and write customers."""

    async def add(self, row: CustomerRow) -> None: ...

    async def get(self, organisation_id: str, customer_id: str) -> CustomerRow | None: ...

    async def all(self, organisation_id: str) -> list[CustomerRow]:
        """By name."""
        ...

    async def by_email(self, organisation_id: str, email: str) -> CustomerRow | None: ...

    async def update(self, row: CustomerRow) -> None: ...
