"""A host with a customer in real SQLite, enforcement built as in the service, and a clock that a test moves."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from hashyard_cloud.domain.gate import ConditionKey
from hashyard_cloud.domain.money import Money
from hashyard_cloud.domain.status import CustomerStatus
from hashyard_cloud.services import invoices
from hashyard_cloud.services.case_view import status_bar, statuses
from hashyard_cloud.services.dunning import Dunning
from hashyard_cloud.services.enforcement import Enforcement
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.agents import AgentRow, NewAgent
from hashyard_cloud.services.ports.contracts import (
    BillingBasis,
    ContractKind,
    ContractRow,
    ContractState,
    ContractVersionRow,
)
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.services.ports.equipment import AssignmentRow, UnitRow, UnitState
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_cloud.services.ports.redirects import RedirectUnitRow
from hashyard_cloud.services.ports.sites import SiteRow
from hashyard_cloud.settings import Settings
from hashyard_cloud.storage.database import SqlDatabase
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import UnitPhase, UnitStatus
from hashyard_shared.orders import Order, OrderKind
from hashyard_shared.telemetry import RosterEntry

S = 1_000_000
START_US = 1_770_000_000 * S
OWNER = Actor("user-1", "Dana Whitfield", "203.0.113.7")
SECOND = Actor("user-2", "Marta Ruiz", "203.0.113.8")
TERMS = {"due_s": 60, "grace_s": 60, "cure_s": 300}
BOUNCE_WAIT_S = 100


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.at_us = START_US

    def now_us(self) -> int:
        return self.at_us

    def monotonic_s(self) -> float:
        return self.at_us / S

    def pass_s(self, seconds: float) -> None:
        self.at_us += round(seconds * S)


@dataclass
class Host:
    """One host with one site, one agent and one customer, and short ways to what tests ask."""

    database: SqlDatabase
    clock: Clock
    built: Enforcement
    settings: Settings
    org: str = "org-1"
    site: str = "site-1"
    customer: str = "customer-1"
    contract: str = "contract-1"
    agent: AgentRow | None = None
    event_seq: int = 0
    units: list[UnitRow] = field(default_factory=list)

    @property
    def dunning(self) -> Dunning:
        return Dunning(self.database, self.clock, self.built.defaults, self.built.desk)

    async def invoice(self, amount: str = "1000.00", contract: str | None = None) -> InvoiceRow:
        """Draft and issue an invoice."""
        line = invoices.LineInput("Hosting", Decimal(1), "month", Money.parse(amount, "USD"))
        async with self.database.transaction() as tx:
            now_us = self.clock.now_us()
            row = await invoices.draft(tx, now_us, self.org, OWNER, contract or self.contract, [line])
            return await invoices.issue(tx, now_us, self.org, OWNER, row.invoice_id)

    async def accept_mail(self) -> None:
        """What a mail server that accepts everything would do to the outbox now."""
        async with self.database.transaction() as tx:
            for notice in await tx.notices.all(self.org):
                if notice.accepted_us is None:
                    await tx.notices.update(replace(notice, accepted_us=self.clock.now_us(), reply="250 ok"))

    async def to_case(self) -> CaseRow:
        """Run an invoice into an open case whose notices the mail server accepted."""
        await self.invoice()
        self.clock.pass_s(TERMS["due_s"])
        await self.dunning.run()
        await self.accept_mail()
        self.clock.pass_s(TERMS["grace_s"])
        await self.dunning.run()
        await self.accept_mail()
        return await self.case()

    async def to_redirect(self) -> CaseRow:
        """Run an invoice into issued redirect orders."""
        await self.to_case()
        self.clock.pass_s(BOUNCE_WAIT_S + TERMS["cure_s"])
        await self.dunning.run()
        return await self.case()

    async def to_confirmed(self) -> CaseRow:
        """Run on until every unit was seen at the holding pool with shares."""
        case = await self.to_redirect()
        for row in await self.rows():
            await self.report(row, UnitPhase.REDIRECTED, 4)
        return case

    async def pay(self, amount: str = "1000.00", key: str = "key-1") -> int:
        """Record a payment; how many cases it ended."""
        async with self.database.transaction() as tx:
            done = await self.built.payments.record(
                tx, self.org, OWNER, self.customer, Money.parse(amount, "USD"), key
            )
        return done.cases_ended

    async def bar(self) -> CustomerStatus:
        """What the status bar says, which is what the list of customers says."""
        async with self.database.reading() as tx:
            found = (await status_bar(tx, self.org, self.customer)).status
            assert (await statuses(tx, self.org))[self.customer] is found
        return found

    async def missing(self) -> set[ConditionKey]:
        """The gate's conditions that are not met."""
        async with self.database.reading() as tx:
            case = (await tx.defaults.cases(self.org))[0]
            found = await self.built.defaults.situation(tx, case)
        return {item.key for item in found.verdict.missing}

    async def case(self) -> CaseRow:
        async with self.database.reading() as tx:
            return (await tx.defaults.cases(self.org))[0]

    async def rows(self) -> list[RedirectUnitRow]:
        async with self.database.reading() as tx:
            return list(await tx.redirects.units(self.org))

    async def orders(self) -> list[Order]:
        """What the site's agent would find in its desired state, verified with the organisation's key."""
        async with self.database.reading() as tx:
            public = (await self.built.keys.public_keys(tx, self.org))[0]
            return [
                Order.opened(public, envelope)
                for envelope in await self.built.desk.current_orders(tx, self.org, self.site)
            ]

    async def kinds(self) -> list[OrderKind]:
        return [order.kind for order in await self.orders()]

    async def report(
        self, row: RedirectUnitRow, phase: UnitPhase, level: int, code: ErrorCode | None = None
    ) -> None:
        """The agent says where a unit stands."""
        await self.event(
            UnitStatus(
                at_us=self.clock.now_us(),
                unit_id=row.unit_id,
                mac=row.mac,
                order_id=row.order_id,
                order_kind=row.wanted,
                sequence=row.sequence,
                phase=phase,
                level=level,
                code=code,
            )
        )

    async def event(self, event: Any, seq: int | None = None) -> None:
        """Hand an event to the sink as ingest does."""
        assert self.agent is not None
        self.event_seq += 1
        async with self.database.transaction() as tx:
            await self.built.events.apply(tx, self.agent, (1, seq or self.event_seq, 0), event)

    async def activity(self) -> list[str]:
        async with self.database.reading() as tx:
            return [row.action for row in reversed(await tx.activity.all(self.org, limit=1_000))]

    async def version(self) -> int:
        async with self.database.reading() as tx:
            return await tx.desired.version(self.org, self.site)


def contract_version(host: Host, contract_id: str, number: int = 1, **changes: Any) -> ContractVersionRow:
    row = ContractVersionRow(
        version_id=f"{contract_id}-v{number}",
        organisation_id=host.org,
        contract_id=contract_id,
        version=number,
        effective_us=START_US - S if number == 1 else host.clock.now_us(),
        currency="USD",
        billing_basis=BillingBasis.FIXED,
        rate_micro=75_000,
        fixed_monthly_micro=0,
        power_cap_w=None,
        term_months=None,
        auto_renew=False,
        notice_days=30,
        failover_micro=None,
        late_fee_micro=0,
        deposit_micro=0,
        minimum_uptime_bp=9_500,
        redirect_clause="§ 9.3 After the cure period the host may point the machines at its holding pool.",
        redirect_clause_given=True,
        accepted_us=START_US - S,
        accepted_by="Jordan Whelan",
        spec_model="",
        spec_hashrate_ths=None,
        spec_quantity=None,
        connector_fee_bp=None,
        payout_wallet="",
        created_us=START_US,
        created_by="test",
        **TERMS,
    )
    return replace(row, **changes)


async def add_contract(host: Host, contract_id: str, number: str) -> None:
    row = ContractRow(
        contract_id=contract_id,
        organisation_id=host.org,
        customer_id=host.customer,
        number=number,
        kind=ContractKind.HOSTED,
        state=ContractState.ACTIVE,
        created_us=START_US,
        starts_us=START_US - S,
        ends_us=None,
        extensions=0,
    )
    async with host.database.transaction() as tx:
        await tx.contracts.add(row, contract_version(host, contract_id))


async def add_unit(host: Host, number: int, contract_id: str, *, writable: bool = True) -> UnitRow:
    mac = f"d4:e8:53:0a:00:{number:02x}"
    unit = UnitRow(
        unit_id=f"unit-{number}",
        organisation_id=host.org,
        site_id=host.site,
        label=f"A-{number:02d}",
        position="",
        serial=f"SN{number}",
        mac=mac,
        model="S19",
        state=UnitState.ACTIVE,
        expected_hashrate_ths=100.0,
        nameplate_w=3_250,
        host_owned=False,
        state_since_us=START_US,
        created_us=START_US,
    )
    entry = RosterEntry(miner_id=f"mac:{mac}", mac=mac, ip=f"10.0.0.{number}", family="s19", writable=writable)
    assert host.agent is not None
    async with host.database.transaction() as tx:
        await tx.equipment.add(unit)
        await tx.miners.upsert(host.agent, [entry], START_US)
        await tx.equipment.assign(
            AssignmentRow(
                assignment_id=f"assignment-{number}",
                organisation_id=host.org,
                unit_id=unit.unit_id,
                contract_id=contract_id,
                customer_id=host.customer,
                from_us=START_US,
                to_us=None,
                ended_by="",
            )
        )
    host.units.append(unit)
    return unit


async def seed(host: Host) -> None:
    async with host.database.transaction() as tx:
        await tx.organisations.add(
            OrganisationRow(
                organisation_id=host.org,
                name="Caprock Hosting",
                slug=None,
                currency="USD",
                timezone="UTC",
                redirect_enabled=True,
                approvals_required=0,
                slogan="",
                colour_primary="#000000",
                colour_accent="#000000",
                contact_email="",
                contact_phone="",
                created_us=START_US,
            )
        )
        await tx.sites.add(
            SiteRow(
                site_id=host.site,
                organisation_id=host.org,
                name="Pecos",
                code="PN",
                region="",
                timezone="UTC",
                capacity_w=None,
                currency="USD",
                energy_price_micro=None,
                tax_bp=0,
                shadow_mode=False,
                poll_interval_s=60,
                discovery_interval_s=900,
                created_us=START_US,
            )
        )
        await tx.customers.add(
            CustomerRow(
                customer_id=host.customer,
                organisation_id=host.org,
                name="Llano Ridge",
                company="Llano Ridge Capital LLC",
                email="ops@llanoridge.example",
                billing_email="",
                phone="",
                currency="USD",
                notes="",
                active=True,
                portal_access=True,
                team_name="",
                created_us=START_US,
            )
        )
        await host.built.keys.ensure(tx, host.org)
        await host.built.pools.add(
            tx,
            host.org,
            OWNER,
            reference="holding",
            url="stratum+tcp://holding.example:3333",
            worker="host.{unit}",
            password="x",
        )
        host.agent = await tx.agents.add(
            host.org,
            NewAgent(
                agent_id="agent-1",
                site_id=host.site,
                name="rack-host",
                public_key="",
                fingerprint="f" * 32,
                version="0.1.0",
                protocol=1,
                epoch=1,
                replaces_agent_id=None,
                enrolled_at_us=START_US,
            ),
        )
