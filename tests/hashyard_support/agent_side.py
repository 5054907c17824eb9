"""The agents' side of a furnished host: rosters, cycles of readings, events, as they would be sent."""

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from hashyard_cloud.app import PROJECTOR
from hashyard_cloud.services.ingest import Contact
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.web import keys
from hashyard_shared import codec
from hashyard_shared.clock import US_PER_S
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import Board, Event, EventBatch, Health, MinerDetails, PoolSeen, UnitPhase, UnitStatus
from hashyard_shared.protocol import BatchHeader, BatchKind, pack_frame
from hashyard_shared.telemetry import Cycle, MinerState, Roster, RosterEntry
from hashyard_support.seeds import HOLDING_URL, INTERVAL_S, MovableClock, SeedSite, SeedUnit


@dataclass
class AgentSide:
    """What the sites' agents tell the running service."""

    app: web.Application
    url: str
    clock: MovableClock
    organisation_id: str = ""
    sites: dict[str, SeedSite] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.app[keys.DATABASE]

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
