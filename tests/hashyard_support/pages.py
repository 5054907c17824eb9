"""The cloud with its pages, in this process on a free port, and a host filled through the services."""

import hashlib
import math
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, CookieJar, web

from hashyard_cloud.app import PROJECTOR, build
from hashyard_cloud.domain.money import Money
from hashyard_cloud.services import contracts, customers, equipment, hashprices, invoices, sites, users
from hashyard_cloud.services.dunning import Dunning
from hashyard_cloud.services.ingest import Contact
from hashyard_cloud.services.inputs import read
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.agents import AgentRow, NewAgent
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.services.recovery import Recovery
from hashyard_cloud.settings import Settings
from hashyard_cloud.web import keys
from hashyard_shared import codec
from hashyard_shared.clock import US_PER_S, SystemClock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import Board, Event, EventBatch, Health, MinerDetails, PoolSeen, UnitPhase, UnitStatus
from hashyard_shared.protocol import BatchHeader, BatchKind, pack_frame
from hashyard_shared.telemetry import Cycle, MinerState, Roster, RosterEntry
from hashyard_support.visitor import Visitor

PASSWORD: Final = "a long pass phrase 42"
OWNER_EMAIL: Final = "dana@caprock.example"
HOLDING_URL: Final = "stratum+tcp://holding.caprock.example:3333"
INTERVAL_S: Final = 600
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
MODELS: Final = (
    ("Antminer S21", 200.0, 3_500),
    ("Antminer S19 XP", 140.0, 3_010),
    ("Whatsminer M60S", 186.0, 3_441),
)
CLAUSE: Final = (
    "§ 9.3 If an invoice stays unpaid through the grace and cure periods, the host may point the customer's "
    "machines at the host's holding pool until the debt is cured. What is mined there is credited to the debt "
    "every day; any surplus belongs to the customer."
)


class MovableClock(SystemClock):
    """The machine's clocks with a wall time that a test moves."""

    def __init__(self) -> None:
        self.offset_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.offset_us


@dataclass
class SeedUnit:
    """A unit and the device behind it."""

    unit_id: str
    label: str
    mac: str
    model: str
    ths: float
    watts: int
    worker: str
    held: bool = False


@dataclass
class SeedSite:
    """A site with its agent."""

    site_id: str
    name: str
    code: str
    agent: AgentRow
    units: list[SeedUnit] = field(default_factory=list)
    seq: int = 0
    roster_id: str = ""
    extra: int = 0


@dataclass
class Pages:
    """The running service, and short ways to what tests ask."""

    app: web.Application
    url: str
    clock: MovableClock
    organisation_id: str = ""
    actor: Actor = field(default_factory=lambda: Actor("seed", "Dana Whitfield", "203.0.113.7"))
    sites: dict[str, SeedSite] = field(default_factory=dict)
    customers: dict[str, str] = field(default_factory=dict)
    contracts: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.app[keys.DATABASE]

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

    async def deliver(self, site: SeedSite, kind: BatchKind, at_us: int, count: int, body: bytes) -> None:
        """What the site's agent would send."""
        site.seq += 1
        header = BatchHeader(
            epoch=1,
            seq=site.seq,
            kind=kind,
            cycle_at_us=at_us,
            count=count,
            sha256=hashlib.sha256(body).hexdigest(),
        )
        await self.app[keys.INGEST].receive(site.agent, pack_frame(header, body), Contact(None, None, 1))

    async def roster(self, site: SeedSite, extra: int = 0) -> None:
        """Who is there: the units' devices and so many that are not registered."""
        entries = [
            RosterEntry(
                miner_id=f"mac:{unit.mac}",
                mac=unit.mac,
                serial=f"DEV{unit.mac.replace(':', '').upper()}",
                ip=f"10.20.{place // 250}.{place % 250 + 1}",
                family="antminer-stock" if "Ant" in unit.model else "whatsminer-v2",
                make=unit.model.split()[0],
                model=unit.model,
                firmware="2025.11.13",
                expected_hashrate_ths=unit.ths,
                writable=True,
            )
            for place, unit in enumerate(site.units)
        ]
        for number in range(extra):
            mac = f"02:ee:{ord(site.code[0]):02x}:00:00:{number + 1:02x}"
            entries.append(
                RosterEntry(
                    miner_id=f"mac:{mac}",
                    mac=mac,
                    serial=f"NEW{number:05d}",
                    ip=f"10.20.9.{number + 1}",
                    family="bitaxe",
                    make="Bitaxe",
                    model="Gamma 601",
                    firmware="2.9",
                    expected_hashrate_ths=1.2,
                )
            )
        roster = Roster(miners=entries)
        site.roster_id = roster.roster_id()
        await self.deliver(site, BatchKind.ROSTER, self.clock.now_us(), len(entries), codec.encode(roster))
        site.extra = extra

    async def cycle(self, site: SeedSite, at_us: int, dead: int = 0) -> None:
        """One poll cycle with believable readings; the first `dead` units do not answer."""
        randomness = random.Random(f"{site.code}{at_us}")
        extra = site.extra
        count = len(site.units) + extra
        pools: dict[tuple[str, str], int] = {}
        columns: dict[str, list[int | None]] = {
            name: []
            for name in (
                *("hashrate_ths", "power_w", "temp_chip_c", "temp_board_c", "fan_rpm", "uptime_s"),
                *("shares_accepted", "shares_rejected", "pool"),
            )
        }
        states = []
        for place in range(count):
            unit = site.units[place] if place < len(site.units) else None
            ths = unit.ths if unit else 1.2
            if unit and place < dead:
                states.append(MinerState.UNREACHABLE)
                for values in columns.values():
                    values.append(None)
                continue
            share = 0.985 + 0.02 * math.sin(at_us / 9e9 + place) + randomness.gauss(0, 0.004)
            hot = place % 37 == 11
            share *= 0.65 if hot else 1.0
            states.append(MinerState.DEGRADED if hot else MinerState.ONLINE)
            columns["hashrate_ths"].append(round(ths * share * 100))
            columns["power_w"].append(round((unit.watts if unit else 18) * (0.9 + share / 10)))
            columns["temp_chip_c"].append(97 if hot else 72 + place % 9)
            columns["temp_board_c"].append(60 + place % 7)
            columns["fan_rpm"].append(5_900 + place * 7 % 900)
            columns["uptime_s"].append(900_000 + place * 1_300)
            columns["shares_accepted"].append(at_us // 10**8 % 10**6)
            columns["shares_rejected"].append(31)
            url = HOLDING_URL if unit and unit.held else "stratum+tcp://us.pool-a.example:3333"
            worker = f"{unit.worker}.{unit.label.lower()}" if unit else "new.1"
            worker = f"caprock.{unit.label}" if unit and unit.held else worker
            columns["pool"].append(pools.setdefault((url, worker), len(pools)))
        cycle = Cycle(
            roster_id=site.roster_id,
            cycle_at_us=at_us,
            interval_s=INTERVAL_S,
            boot_id="boot-1",
            mono_s=at_us / US_PER_S,
            state=states,
            offset_ms=[place % 900 for place in range(count)],
            pools=list(pools),
            **columns,
        )
        await self.deliver(site, BatchKind.TELEMETRY, at_us, count, codec.encode(cycle))

    async def events(self, site: SeedSite, *events: Event) -> None:
        """Things the agent reports."""
        body = codec.encode(EventBatch(events=list(events)))
        await self.deliver(site, BatchKind.EVENTS, self.clock.now_us(), len(events), body)

    async def health(self, site: SeedSite, backlog_s: int = 0) -> None:
        """The agent's own state."""
        now_us = self.clock.now_us()
        await self.events(
            site,
            Health(
                at_us=now_us,
                version="0.1.0",
                backlog_rows=backlog_s // 60,
                backlog_bytes=backlog_s * 300,
                oldest_at_us=now_us - backlog_s * US_PER_S if backlog_s else None,
                miners_found=len(site.units),
                cycle_s=4.2,
                emergency_stop=False,
                shadow_mode=False,
            ),
        )

    async def details(self, site: SeedSite, units: Sequence[SeedUnit]) -> None:
        """What the slow lane reads of these miners."""
        await self.events(site, *(self._details(unit) for unit in units))

    def _details(self, unit: SeedUnit) -> MinerDetails:
        hot = unit.ths * 0.2
        boards = [
            Board(
                index=index,
                hashrate_ths=round(hot if index == 2 else unit.ths / 3, 1),
                chips=65,
                expected_chips=65,
                temp_board_c=52 + index * 3,
                temp_chip_c=84 + index * 6,
            )
            for index in range(3)
        ]
        pools = [
            PoolSeen(
                slot=slot,
                url=f"stratum+tcp://{name}.pool-a.example:3333",
                worker=f"{unit.worker}.{unit.label.lower()}",
                active=slot == 0,
                alive=True,
                accepted=31_402 if slot == 0 else 0,
                rejected=25 if slot == 0 else 0,
            )
            for slot, name in enumerate(("us", "eu", "ap"))
        ]
        return MinerDetails(
            at_us=self.clock.now_us(),
            miner_id=f"mac:{unit.mac}",
            boards=boards,
            fans_rpm=[6_840, 6_790, 6_810, 6_820],
            pools=pools,
            errors=[],
        )

    async def report(self, phase: UnitPhase, level: int, *, refused: int = 0, waiting: int = 0) -> None:
        """Agents say where the ordered units stand; the first few refuse, the next few wait."""
        async with self.database.reading() as tx:
            rows = await tx.redirects.units(self.organisation_id, live_only=True)
        by_unit = {unit.unit_id: (site, unit) for site in self.sites.values() for unit in site.units}
        told: dict[str, list[Event]] = {}
        for place, row in enumerate(rows):
            site, unit = by_unit[row.unit_id]
            code, now_phase, now_level = None, phase, level
            if place < refused:
                code, now_phase, now_level = ErrorCode.PASSWORD_UNKNOWN, UnitPhase.REFUSED, 0
            elif place < refused + waiting:
                code, now_phase, now_level = ErrorCode.MINER_UNREACHABLE, UnitPhase.WAITING, 1
            unit.held = now_phase is UnitPhase.REDIRECTED
            told.setdefault(site.code, []).append(
                UnitStatus(
                    at_us=self.clock.now_us(),
                    unit_id=row.unit_id,
                    mac=row.mac,
                    order_id=row.order_id,
                    order_kind=row.wanted,
                    sequence=row.sequence,
                    phase=now_phase,
                    level=now_level,
                    code=code,
                    detail="active pool is the holding pool, shares advance" if code is None else "",
                    active_pool=HOLDING_URL if unit.held else "stratum+tcp://us.pool-a.example:3333",
                    active_worker=f"caprock.{unit.label}" if unit.held else f"{unit.worker}.{unit.label.lower()}",
                )
            )
        for name, events in told.items():
            await self.events(self.sites[name], *events)
        await self.settle()

    async def settle(self) -> None:
        """Wait until everything received is projected."""
        await self.app[PROJECTOR].settle()

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
