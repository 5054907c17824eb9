"""Tells what happens: looks at the cloud's records and at the simulated miners, and says what changed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hashyard_cloud.domain.default import CaseState
from hashyard_cloud.domain.invoice import InvoiceState
from hashyard_cloud.domain.money import Money
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_demo.world import World
from hashyard_shared.events import ConfirmationLevel
from hashyard_shared.orders import OrderKind


@dataclass
class Told:
    """What has been said already."""

    miners: dict[str, int] = field(default_factory=dict)
    invoices: dict[str, str] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the demo itself must know to go on."""

    case_open: bool
    redirected: bool
    cured: bool
    restored: bool
    invoice: str
    open_micro: int


class Story:
    """Says what changed since the last look."""

    def __init__(self, world: World, database: Database, organisation_id: str, say: Callable[[str], None]) -> None:
        self._world = world
        self._database = database
        self._organisation_id = organisation_id
        self._say = say
        self._told = Told()

    async def look(self) -> Scene:
        """One look; says what is new."""
        async with self._database.reading() as tx:
            await self._miners(tx)
            await self._invoices(tx)
            return await self._cases(tx)

    async def _miners(self, tx: Transaction) -> None:
        for site in await tx.sites.all(self._organisation_id):
            seen = await tx.miners.seen(self._organisation_id, site_id=site.site_id)
            live = sum(1 for one in seen if one.latest is not None and one.latest.hashrate_ths)
            if live != self._told.miners.get(site.name) and live:
                first = site.name not in self._told.miners
                self._told.miners[site.name] = live
                if first or live == len(seen):
                    total = sum(one.latest.hashrate_ths or 0 for one in seen if one.latest)
                    self._say(f"{site.name}: {live} of {len(seen)} miners read, {total / 1_000:.2f} PH/s")

    async def _invoices(self, tx: Transaction) -> None:
        for row in await tx.invoices.all(self._organisation_id):
            if self._told.invoices.get(row.number) == row.state:
                continue
            self._told.invoices[row.number] = row.state
            customer = await tx.customers.get(self._organisation_id, row.customer_id)
            name = customer.name if customer else row.customer_id
            total = Money(row.total_micro, row.currency).text()
            self._say(f"{row.number} over {total} to {name}: {row.state.label}")

    async def _cases(self, tx: Transaction) -> Scene:
        scene = Scene(False, False, False, False, "", 0)
        for case in await tx.defaults.cases(self._organisation_id):
            told = f"{case.state.value}{' gate open' if case.gate_open else ''}"
            if self._told.cases.get(case.number) != told:
                self._told.cases[case.number] = told
                gate = "; every condition of the redirect gate is met" if case.gate_open else ""
                self._say(f"Default case {case.number} is {case.state.value}{gate}. Reason: {case.reason}")
            units = await tx.redirects.units(self._organisation_id, case_id=case.case_id)
            self._units(case.number, [(unit.wanted, unit.level) for unit in units])
            wanted = Counter(unit.wanted for unit in units)
            sure = [unit for unit in units if unit.level >= ConfirmationLevel.POOL_ACTIVE]
            invoice_ids = await tx.defaults.invoice_ids(self._organisation_id, case.case_id)
            open_by = await tx.ledger.open_by_invoice(self._organisation_id, invoice_ids)
            rows = [await tx.invoices.get(self._organisation_id, one) for one in invoice_ids]
            unpaid = next((row.number for row in rows if row and row.state is InvoiceState.OVERDUE), "")
            scene = Scene(
                case_open=case.state is CaseState.OPEN,
                redirected=bool(units) and wanted[OrderKind.REDIRECT] == len(units) == len(sure),
                cured=not case.state.live,
                restored=bool(units) and wanted[OrderKind.RESTORE] == len(units) == len(sure),
                invoice=unpaid,
                open_micro=sum(open_by.values()),
            )
        return scene

    def _units(self, case: str, units: list[tuple[OrderKind, int]]) -> None:
        if not units:
            return
        counts = Counter(units)
        words = ", ".join(
            f"{count} {kind.value} at level {level}" for (kind, level), count in sorted(counts.items())
        )
        if self._told.units.get(case) != words:
            self._told.units[case] = words
            self._say(f"{case}: of {len(units)} machines {words}{self._truth()}")

    def _truth(self) -> str:
        """Where the simulated miners really mine, asked of the simulator and not of Hashyard."""
        pools: Counter[str] = Counter()
        for miner in self._world.miners():
            state = self._world.miner(miner["ip"])
            if state["active_pool"]:
                pools[str(state["active_pool"]).split("://")[-1]] += 1
        return ". The simulator says: " + ", ".join(f"{count} at {pool}" for pool, count in sorted(pools.items()))
