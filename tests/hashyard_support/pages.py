"""The cloud with its pages, in this process on a free port, and a host filled through the services."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, CookieJar, web

from hashyard_cloud.app import build
from hashyard_cloud.domain.money import Money
from hashyard_cloud.services import contracts, customers, equipment, hashprices, invoices, sites, users
from hashyard_cloud.services.dunning import Dunning
from hashyard_cloud.services.inputs import read
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.agents import NewAgent
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.recovery import Recovery
from hashyard_cloud.settings import Settings
from hashyard_cloud.web import keys
from hashyard_shared.clock import US_PER_S
from hashyard_support.agent_side import AgentSide
from hashyard_support.seeds import (
    DAY_S,
    HOLDING_URL,
    HOUR_S,
    INTERVAL_S,
    MODELS,
    MovableClock,
    SeedSite,
    SeedUnit,
)
from hashyard_support.visitor import Visitor

__all__ = [
    "CLAUSE",
    "DAY_S",
    "HOLDING_URL",
    "HOUR_S",
    "INTERVAL_S",
    "MODELS",
    "OWNER_EMAIL",
    "PASSWORD",
    "MovableClock",
    "Pages",
    "SeedSite",
    "SeedUnit",
    "running",
]

PASSWORD: Final = "a long pass phrase 42"
OWNER_EMAIL: Final = "dana@caprock.example"
CLAUSE: Final = (
    "§ 9.3 If an invoice stays unpaid through the grace and cure periods, the host may point the customer's "
    "machines at the host's holding pool until the debt is cured. What is mined there is credited to the debt "
    "every day; any surplus belongs to the customer."
)


@dataclass
class Pages(AgentSide):
    """The running service, and short ways to what tests ask."""

    actor: Actor = field(default_factory=lambda: Actor("seed", "Dana Whitfield", "203.0.113.7"))
    customers: dict[str, str] = field(default_factory=dict)
    contracts: dict[str, str] = field(default_factory=dict)

    async def host(self, name: str = "Caprock Hosting", email: str = OWNER_EMAIL, slug: str | None = None) -> str:
        """A host with an owner, a signing key, a holding pool and a hashprice."""
        built = self.app[keys.ENFORCEMENT]
        row = await users.create_host(
            self.database,
            self.clock,
            name=name,
            owner_email=email,
            owner_name="Dana Whitfield",
            password=PASSWORD,
            timezone="America/Chicago",
            slug=slug,
        )
        async with self.database.transaction() as tx:
            await built.keys.ensure(tx, row.organisation_id)
            await built.pools.add(
                tx,
                row.organisation_id,
                self.actor,
                reference=slug or "holding",
                url=HOLDING_URL,
                worker="caprock.{unit}",
                password="x",
            )
            price = Money.parse("0.06772", "USD")
            await hashprices.put(
                tx,
                self.clock.now_us() - 40 * DAY_S * US_PER_S,
                row.organisation_id,
                self.actor,
                price,
                "2020-01-01",
            )
        return row.organisation_id

    async def member(
        self, email: str, role: Role, organisation_id: str = "", customer_id: str | None = None
    ) -> None:
        """A person with a role and the usual password."""
        async with self.database.transaction() as tx:
            user = await tx.users.by_email(email) or await users.add_user(
                tx, self.clock, email, email.partition("@")[0].title(), PASSWORD
            )
            await tx.users.add_membership(
                organisation_id or self.organisation_id, user.user_id, role, customer_id, self.clock.now_us()
            )

    async def site(self, name: str, code: str, region: str, timezone: str, capacity_kw: int) -> SeedSite:
        """A site with an enrolled agent."""
        given = read(
            sites.SiteInput,
            {
                "name": name,
                "code": code,
                "region": region,
                "timezone": timezone,
                "capacity_kw": capacity_kw,
                "energy_price": "0.041",
                "poll_interval_s": INTERVAL_S,
            },
        )
        row = await sites.add(self.database, self.clock, self.organisation_id, self.actor, given)
        async with self.database.transaction() as tx:
            agent = await tx.agents.add(
                self.organisation_id,
                NewAgent(
                    agent_id=f"agent-{code.lower()}",
                    site_id=row.site_id,
                    name=f"{code.lower()}-01",
                    public_key="",
                    fingerprint=hashlib.sha256(code.encode()).hexdigest()[:32],
                    version="0.1.0",
                    protocol=1,
                    epoch=1,
                    replaces_agent_id=None,
                    enrolled_at_us=self.clock.now_us(),
                ),
            )
        found = SeedSite(row.site_id, name, code, agent)
        self.sites[code] = found
        return found

    async def units(self, site: SeedSite, count: int, worker: str, hall: str) -> list[SeedUnit]:
        """Registered units of the site's next devices."""
        made = []
        for place in range(count):
            number = len(site.units) + 1
            model, ths, watts = MODELS[number % len(MODELS)]
            label = f"{site.code}-{hall}-{place // 12 + 1:02d}-{place % 12 + 1:02d}"
            mac = f"02:{ord(site.code[0]):02x}:{ord(site.code[1]):02x}:00:{number >> 8:02x}:{number & 255:02x}"
            given = equipment.UnitInput(
                site_id=site.site_id,
                label=label,
                position=f"Hall {hall[0]}, rack {hall[1:]}, row {place // 12 + 1}",
                serial=f"JYZZ{site.code}{number:06d}",
                mac=mac,
                model=model,
                expected_hashrate_ths=ths,
                nameplate_w=watts,
            )
            row = await equipment.add(self.database, self.clock, self.organisation_id, self.actor, given)
            unit = SeedUnit(row.unit_id, label, mac, model, ths, watts, worker)
            site.units.append(unit)
            made.append(unit)
        return made

    async def customer(self, name: str, email: str, **more: Any) -> str:
        """A customer; `more` overrides fields of the form."""
        form = {"name": name, "company": name, "email": email, "active": True, "portal_access": True} | more
        given = read(customers.CustomerInput, form)
        row = await customers.add(self.database, self.clock, self.organisation_id, self.actor, given)
        self.customers[name] = row.customer_id
        return row.customer_id

    async def contract(self, name: str, units: Sequence[SeedUnit], **terms: Any) -> str:
        """An active contract with these units."""
        form = {
            "rate": "0.0780",
            "power_cap_kw": "190",
            "term_months": "24",
            "redirect_clause": CLAUSE,
            "redirect_clause_given": "1",
            "accepted_by": "Jordan Whelan",
        } | terms
        draft = await contracts.draft(
            self.database,
            self.clock,
            self.organisation_id,
            self.actor,
            self.customers[name],
            read(contracts.TermsInput, form),
        )
        unit_ids = [unit.unit_id for unit in units]
        await contracts.complete(
            self.database, self.clock, self.organisation_id, self.actor, draft.contract_id, unit_ids
        )
        self.contracts[name] = draft.contract_id
        return draft.contract_id

    async def invoice(self, name: str, amount: str, description: str = "Hosting") -> str:
        """An issued invoice over this amount."""
        line = invoices.LineInput(description, Decimal(1), "month", Money.parse(amount, "USD"))
        now_us = self.clock.now_us()
        async with self.database.transaction() as tx:
            row = await invoices.draft(
                tx,
                now_us,
                self.organisation_id,
                self.actor,
                self.contracts[name],
                [line],
                period=(now_us - 30 * DAY_S * US_PER_S, now_us),
            )
            await invoices.issue(tx, now_us, self.organisation_id, self.actor, row.invoice_id)
        return row.invoice_id

    async def pay(self, name: str, amount: str, key: str) -> None:
        """A payment by transfer."""
        async with self.database.transaction() as tx:
            await self.app[keys.ENFORCEMENT].payments.record(
                tx, self.organisation_id, self.actor, self.customers[name], Money.parse(amount, "USD"), key
            )

    async def dun(self) -> None:
        """One round of dunning, with a mail server that accepts everything."""
        built = self.app[keys.ENFORCEMENT]
        await Dunning(self.database, self.clock, built.defaults, built.desk).run()
        async with self.database.transaction() as tx:
            for notice in await tx.notices.all(self.organisation_id):
                if notice.accepted_us is None:
                    now_us = self.clock.now_us()
                    await tx.notices.update(replace(notice, accepted_us=now_us, reply="250 2.0.0 Ok: queued"))

    async def recover(self) -> None:
        """One round of reckoning what redirects brought."""
        built = self.app[keys.ENFORCEMENT]
        await Recovery(self.database, self.clock, built.defaults, 0).run()

    def move_s(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.offset_us += round(seconds * US_PER_S)

    @asynccontextmanager
    async def browser(self, email: str = OWNER_EMAIL, password: str = PASSWORD) -> AsyncIterator[Visitor]:
        """A signed-in HTTP client with cookies."""
        async with ClientSession(self.url, cookie_jar=CookieJar(unsafe=True)) as http:
            visitor = Visitor(http)
            await visitor.sign_in(email, password)
            yield visitor


@asynccontextmanager
async def running(data_dir: Path, host: str = "127.0.0.1", **settings: Any) -> AsyncIterator[Pages]:
    """The service on a free port, without jobs that run by themselves."""
    clock = MovableClock()
    given = Settings(data_dir=data_dir, job_interval_s=3_600, **settings)
    app = build(given, clock)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0).start()
        yield Pages(app, f"http://{host}:{runner.addresses[0][1]}", clock)
    finally:
        await runner.cleanup()
