"""Gathers what an evidence bundle of one default case holds, and nothing of any other customer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Final

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services.case_view import CaseView, case_view
from hashyard_cloud.services.defaults import Defaults
from hashyard_cloud.services.ports.contracts import ContractRow, ContractVersionRow
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import GateRow
from hashyard_cloud.services.ports.invoices import InvoiceLineRow
from hashyard_cloud.services.ports.journal import PublicationRow
from hashyard_cloud.services.ports.ledger import LedgerRow
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_cloud.services.ports.payments import PaymentRow
from hashyard_cloud.services.ports.pool_figures import PoolFigureRow
from hashyard_cloud.services.ports.redirects import RedirectOrderRow, UnitEventRow
from hashyard_cloud.services.ports.signing_keys import SigningKeyRow
from hashyard_shared.events import ConfirmationLevel, UnitPhase
from hashyard_shared.journal import JournalLine
from hashyard_shared.orders import OrderKind

JOURNAL_STEP: Final = 1_000
MAX_JOURNAL_LINES: Final = 500_000


@dataclass(frozen=True, slots=True)
class Material:
    """All of a case."""

    organisation: OrganisationRow
    customer: CustomerRow
    contract: ContractRow
    versions: Sequence[ContractVersionRow]
    view: CaseView
    gates: Sequence[GateRow]
    invoice_lines: Sequence[InvoiceLineRow]
    ledger: Sequence[LedgerRow]
    payments: Sequence[PaymentRow]
    orders: Sequence[RedirectOrderRow]
    unit_events: Sequence[UnitEventRow]
    keys: Sequence[SigningKeyRow]
    proofs: Mapping[str, bytes]
    journals: Mapping[str, Sequence[JournalLine]]
    published: Sequence[PublicationRow]
    pool_figures: Sequence[PoolFigureRow]

    @property
    def unit_ids(self) -> set[str]:
        """Every unit that an order of this case named."""
        return {row.unit_id for row in self.orders} | {row.unit_id for row in self.view.units}


async def gather(tx: Transaction, defaults: Defaults, organisation_id: str, case_id: str) -> Material:
    """Read it all in one transaction. Errors: `NotFoundError`."""
    view = await case_view(tx, defaults, organisation_id, case_id)
    case = view.case
    organisation = await tx.organisations.get(organisation_id)
    customer = await tx.customers.get(organisation_id, case.customer_id)
    contract = await tx.contracts.get(organisation_id, case.contract_id)
    if organisation is None or customer is None or contract is None:
        raise NotFoundError
    invoice_ids = {row.invoice_id for row in view.invoices}
    ledger = [
        row
        for row in await tx.ledger.all(organisation_id, case.customer_id)
        if row.invoice_id in invoice_ids or row.reference == case_id
    ]
    references = {row.reference for row in ledger}
    orders = await tx.redirects.orders(organisation_id, case_id)
    agents = sorted({row.agent_id for row in orders})
    published = await tx.journal.publications(organisation_id, case.customer_id)
    workers = await _workers(tx, organisation_id, view, orders)
    return Material(
        organisation=organisation,
        customer=customer,
        contract=contract,
        versions=await tx.contracts.versions(organisation_id, case.contract_id),
        view=view,
        gates=await tx.defaults.gates(organisation_id, case_id),
        invoice_lines=[
            line for row in view.invoices for line in await tx.invoices.lines(organisation_id, row.invoice_id)
        ],
        ledger=ledger,
        payments=[
            row for row in await tx.payments.all(organisation_id, case.customer_id) if row.payment_id in references
        ],
        orders=orders,
        unit_events=await tx.redirects.unit_events(organisation_id, case_id),
        keys=await tx.signing_keys.all(organisation_id),
        proofs={
            row.notice_id: body
            for row in view.notices
            if (body := await tx.notices.proof(organisation_id, row.notice_id)) is not None
        },
        journals={agent_id: await _journal(tx, organisation_id, agent_id) for agent_id in agents},
        published=[row for row in published if row.agent_id in agents],
        pool_figures=[
            row
            for row in await tx.pool_figures.of_workers(organisation_id, sorted(workers))
            if row.day >= _first_day(view)
        ],
    )


def _first_day(view: CaseView) -> str:
    return min((row.day for row in view.accruals), default="9999")


async def _workers(
    tx: Transaction, organisation_id: str, view: CaseView, orders: Sequence[RedirectOrderRow]
) -> set[str]:
    """The workers of this case's units at the holding pools that were ordered."""
    used = {row.holding_pool for row in orders}
    pools = [row for row in await tx.holding_pools.all(organisation_id) if row.reference in used]
    return {pool.worker.replace("{unit}", unit.label) for pool in pools for unit in view.units}


async def _journal(tx: Transaction, organisation_id: str, agent_id: str) -> list[JournalLine]:
    found: list[JournalLine] = []
    while len(found) < MAX_JOURNAL_LINES:
        lines = await tx.journal.lines(organisation_id, agent_id, len(found), JOURNAL_STEP)
        if not lines:
            break
        found += lines
    return found


def plain(row: Any) -> Any:
    """A row dataclass as JSON values."""
    return {name: value.value if isinstance(value, Enum) else value for name, value in asdict(row).items()}


def plain_all(rows: Sequence[Any]) -> list[Any]:
    """Row dataclasses as JSON values."""
    return [plain(row) for row in rows]


def journal_file(lines: Sequence[JournalLine], unit_ids: set[str], customer_id: str) -> bytes:
    """One line of JSON each. What is about other customers is withheld; its hash stands in."""
    found = []
    for line in lines:
        row: dict[str, Any] = {"index": line.index, "hash": line.hash}
        if concerns(line, unit_ids, customer_id):
            row["text"] = line.text
        else:
            row["withheld"] = True
        found.append(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
    return "".join(found).encode()


def _data(line: JournalLine) -> dict[str, Any]:
    content = json.loads(line.text).get("data")
    return content if isinstance(content, dict) else {}


def concerns(line: JournalLine, unit_ids: set[str], customer_id: str) -> bool:
    """Whether a line is about one of these units, about this customer, or about the site as a whole."""
    data = _data(line)
    if str(data.get("control", "")).startswith("pools-"):
        return bool(data.get("value") == customer_id)
    named = data.get("units")
    units = {str(unit) for unit in named} if isinstance(named, list) else set()
    if "unit_id" in data:
        units.add(str(data["unit_id"]))
    return units <= unit_ids


def unit_histories(material: Material) -> list[dict[str, Any]]:
    """Each unit before, during and after, with who says so."""
    before = _pools_before(material)
    value: dict[str, int] = {}
    hours: dict[str, int] = {}
    for row in material.view.accruals:
        value[row.unit_id] = value.get(row.unit_id, 0) + row.value_micro
        hours[row.unit_id] = hours.get(row.unit_id, 0) + row.ths_hours_micro
    found = []
    for unit in material.view.units:
        events = [row for row in material.unit_events if row.unit_id == unit.unit_id]
        at_pool = [
            row
            for row in events
            if row.phase is UnitPhase.REDIRECTED and row.level >= ConfirmationLevel.POOL_ACTIVE
        ]
        back = [row for row in events if row.phase is UnitPhase.RESTORED]
        orders = [row for row in material.orders if row.unit_id == unit.unit_id]
        found.append(
            {
                "unit_id": unit.unit_id,
                "label": unit.label,
                "mac": unit.mac,
                "orders": len(orders),
                "before": before.get(unit.unit_id),
                "during": {
                    "first_confirmed_us": at_pool[0].at_us if at_pool else None,
                    "highest_level": max((row.level for row in at_pool), default=0),
                    "pool": at_pool[-1].active_pool if at_pool else None,
                    "worker": at_pool[-1].active_worker if at_pool else None,
                    "ths_hours_micro": hours.get(unit.unit_id, 0),
                    "value_micro": value.get(unit.unit_id, 0),
                },
                "after": {
                    "restore_ordered": any(row.kind is OrderKind.RESTORE for row in orders),
                    "restored_us": back[-1].at_us if back else None,
                    "level": back[-1].level if back else 0,
                    "pool": back[-1].active_pool if back else None,
                    "worker": back[-1].active_worker if back else None,
                },
                "now": {
                    "phase": unit.phase.value,
                    "level": unit.level,
                    "code": unit.code.value if unit.code else None,
                    "detail": unit.detail,
                },
            }
        )
    return found


def _pools_before(material: Material) -> dict[str, Any]:
    """What the agent read from each miner before its first write for a redirect of this case, from its journal."""
    redirects = {row.order_id for row in material.orders if row.kind is OrderKind.REDIRECT}
    found: dict[str, Any] = {}
    for lines in material.journals.values():
        for line in lines:
            data = _data(line)
            if data.get("order_id") in redirects and "before" in data and "unit_id" in data:
                found.setdefault(str(data["unit_id"]), {"journal_line": line.index, "pools": data["before"]})
    return found
