"""How a customer stands: status, what is owed, what was recovered, how many units are where. Read only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.domain.status import CustomerStatus, customer_status
from hashyard_cloud.services.case_money import CaseMoney, case_money
from hashyard_cloud.services.case_view import unit_state
from hashyard_cloud.services.ports.contracts import ContractRow, ContractState
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.services.ports.fleet import Totals, TotalsBy
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.services.ports.redirects import RedirectUnitRow
from hashyard_shared.orders import OrderKind

OWED_STATES = (InvoiceState.ISSUED, InvoiceState.OVERDUE, InvoiceState.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerSummary:
    """A customer in the list. `balance_micro` is what is open less the credit; negative is a credit."""

    customer: CustomerRow
    status: CustomerStatus
    totals: Totals
    sites: Sequence[str]
    kinds: Sequence[str]
    balance_micro: int
    overdue_micro: int
    next_due_us: int | None
    case: CaseRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A customer's status bar. `confirmed` of `ordered` units are at the holding pool, at level 3 or better."""

    customer: CustomerRow
    status: CustomerStatus
    case: CaseRow | None
    money: CaseMoney | None
    units: Sequence[RedirectUnitRow]
    since_us: int | None
    owed_micro: int
    overdue_micro: int
    credit_micro: int

    @property
    def ordered(self) -> int:
        """Units that are to be at the holding pool."""
        return sum(row.wanted is OrderKind.REDIRECT for row in self.units)

    @property
    def confirmed(self) -> int:
        """Units seen there at level 3 or better."""
        return sum(row.at_pool_us is not None for row in self.units)

    @property
    def restoring(self) -> int:
        """Units that were ordered back and are not yet seen back."""
        return sum(row.wanted is OrderKind.RESTORE and not given_back(row) for row in self.units)

    @property
    def restored(self) -> int:
        """Units that were ordered back and are seen back."""
        return sum(row.wanted is OrderKind.RESTORE and given_back(row) for row in self.units)


def given_back(row: RedirectUnitRow) -> bool:
    """Whether a unit is seen back at its own pools, or was never moved."""
    return unit_state(row).given_back


async def summaries(tx: Transaction, organisation_id: str, now_us: int) -> list[CustomerSummary]:
    """Every customer of the organisation, by name."""
    totals = await tx.fleet.totals(organisation_id, TotalsBy.CUSTOMER, now_us)
    sites = await tx.fleet.sites_of_customers(organisation_id)
    at_pool = await tx.redirects.at_pool_counts(organisation_id)
    cases = await _live_cases(tx, organisation_id)
    contracts = _by_customer(await tx.contracts.all(organisation_id))
    invoices = await tx.invoices.in_states(organisation_id, OWED_STATES)
    opened = await tx.ledger.open_by_invoice(organisation_id, [row.invoice_id for row in invoices])
    credit = await tx.ledger.credits(organisation_id)
    owed: defaultdict[str, list[InvoiceRow]] = defaultdict(list)
    for row in invoices:
        owed[row.customer_id].append(row)
    found = []
    for customer in await tx.customers.all(organisation_id):
        key = customer.customer_id
        # Amounts of other currencies are shown with their invoices, never summed with these.
        mine = [row for row in owed[key] if row.currency == customer.currency]
        balance = sum(opened.get(row.invoice_id, 0) for row in mine)
        balance -= credit.get((key, customer.currency), 0)
        due = [row.due_us for row in mine if row.due_us is not None and row.state is InvoiceState.ISSUED]
        found.append(
            CustomerSummary(
                customer=customer,
                status=_status(customer, cases.get(key, []), at_pool.get(key, 0)),
                totals=totals.get(key, Totals()),
                sites=sites.get(key, []),
                kinds=sorted({row.kind.label for row in contracts[key] if row.state is ContractState.ACTIVE}),
                balance_micro=balance,
                overdue_micro=_overdue(mine, opened),
                next_due_us=min(due, default=None),
                case=cases.get(key, [None])[0],
            )
        )
    return found


def _overdue(rows: Sequence[InvoiceRow], opened: Mapping[str, int]) -> int:
    return sum(opened.get(row.invoice_id, 0) for row in rows if row.state is InvoiceState.OVERDUE)


def _by_customer(rows: Sequence[ContractRow]) -> defaultdict[str, list[ContractRow]]:
    found: defaultdict[str, list[ContractRow]] = defaultdict(list)
    for row in rows:
        found[row.customer_id].append(row)
    return found


async def _live_cases(tx: Transaction, organisation_id: str) -> dict[str, list[CaseRow]]:
    found: dict[str, list[CaseRow]] = {}
    for row in await tx.defaults.cases(organisation_id, live_only=True):
        found.setdefault(row.customer_id, []).append(row)
    return found


def _status(customer: CustomerRow, cases: Sequence[CaseRow], at_pool: int) -> CustomerStatus:
    return customer_status(
        active=customer.active,
        cases_open=sum(case.state.live for case in cases),
        units_at_holding_pool=at_pool,
    )


async def standing(tx: Transaction, customer: CustomerRow) -> Standing:
    """How this customer stands now, over all live cases; the oldest one is named."""
    organisation_id, customer_id = customer.organisation_id, customer.customer_id
    every = await tx.defaults.cases(organisation_id, customer_id=customer_id)
    live = [case for case in every if case.state.live]
    case = live[-1] if live else await _restoring_case(tx, every)
    units = await tx.redirects.units(organisation_id, case_id=case.case_id) if case else []
    at_pool = [row.at_pool_us for row in units if row.at_pool_us is not None]
    counts = await tx.redirects.at_pool_counts(organisation_id)
    status = _status(customer, live, counts.get(customer_id, 0))
    invoices = await tx.invoices.all(organisation_id, customer_id=customer_id)
    owed = [row for row in invoices if row.state.owed and row.currency == customer.currency]
    opened = await tx.ledger.open_by_invoice(organisation_id, [row.invoice_id for row in owed])
    credits_by = await tx.ledger.credits(organisation_id, customer_id)
    # An opening balance that is owed stands without an invoice: as a credit below nothing.
    credit = credits_by.get((customer_id, customer.currency), 0)
    since_us = min(at_pool, default=None)
    if since_us is None and case is not None and case.state.live:
        since_us = case.opened_us
    return Standing(
        customer=customer,
        status=status,
        case=case,
        money=await case_money(tx, case) if case else None,
        units=units,
        since_us=since_us,
        owed_micro=sum(opened.get(row.invoice_id, 0) for row in owed) + max(-credit, 0),
        overdue_micro=_overdue(owed, opened),
        credit_micro=max(credit, 0),
    )


async def _restoring_case(tx: Transaction, cases: Sequence[CaseRow]) -> CaseRow | None:
    """The newest closed case whose machines are not all back yet: it still belongs on the page."""
    for case in cases[:1]:
        units = await tx.redirects.units(case.organisation_id, case_id=case.case_id)
        if any(row.at_pool_us is not None or (row.live and not given_back(row)) for row in units):
            return case
    return None
