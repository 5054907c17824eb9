"""A real cloud service on a free port with real stores, and an agent that speaks the protocol to it."""

import asyncio
import hashlib
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashyard_cloud.app import PROJECTOR, build
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_cloud.services.ports.sites import SiteRow
from hashyard_cloud.settings import Settings
from hashyard_cloud.web import keys
from hashyard_shared import codec
from hashyard_shared.clock import SystemClock
from hashyard_shared.events import Event, EventBatch
from hashyard_shared.protocol import (
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    SYNC_NONCE_HEADER,
    BatchesAnswer,
    BatchHeader,
    BatchKind,
    EnrolAnswer,
    pack_frame,
)
from hashyard_shared.signing import DocumentType, decode_base64, encode_base64, new_private_key, public_bytes, sign
from hashyard_shared.telemetry import Cycle, MinerState, Roster, RosterEntry

Frame = tuple[BatchHeader, bytes]


class TestClock(SystemClock):
    """The machine's clocks, with a wall time that a test can move."""

    __test__ = False

    def __init__(self) -> None:
        self.offset_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.offset_us


@dataclass
class Agent:
    """An agent on the wire."""

    url: str
    http: aiohttp.ClientSession
    key: Ed25519PrivateKey = field(default_factory=new_private_key)
    enrolled: EnrolAnswer | None = None
    token: str = ""
    nonce: str | None = None
    epoch: int = 0
    seq: int = 0

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any, Any]:
        """Status, parsed body and headers of one request."""
        headers = {PROTOCOL_HEADER: str(PROTOCOL_VERSION), **more.pop("headers", {})}
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        async with self.http.request(method, f"{self.url}/agent/v1/{path}", headers=headers, **more) as response:
            body = await response.json(content_type=None) if await response.read() else None
            return response.status, body, response.headers.copy()

    async def enrol(self, secret: str, **more: Any) -> tuple[int, Any]:
        public = encode_base64(public_bytes(self.key))
        asked = {"secret": secret, "public_key": public, "name": "rack-host", "version": "0.1.0", **more}
        status, body, _ = await self.call("POST", "enrol", json=asked)
        if status == 200:
            self.enrolled = EnrolAnswer.model_validate(body)
            self.epoch = self.enrolled.epoch
        return status, body

    async def login(self, key: Ed25519PrivateKey | None = None) -> tuple[int, Any]:
        """Challenge and token."""
        assert self.enrolled is not None
        agent_id = self.enrolled.agent_id
        status, body, _ = await self.call("POST", "challenge", json={"agent_id": agent_id})
        if status != 200:
            return status, body
        signed = sign(key or self.key, DocumentType.CHALLENGE, decode_base64(body["nonce"]))
        asked = {"agent_id": agent_id, "signed": signed.model_dump()}
        status, body, _ = await self.call("POST", "token", json=asked)
        if status == 200:
            self.token = body["token"]
        return status, body

    def frame(self, kind: str, at_us: int, count: int, body: bytes, seq: int | None = None) -> Frame:
        if seq is None:
            self.seq += 1
            seq = self.seq
        sha256 = hashlib.sha256(body).hexdigest()
        header = BatchHeader(epoch=self.epoch, seq=seq, kind=kind, cycle_at_us=at_us, count=count, sha256=sha256)
        return header, body

    def roster_frame(self, roster: Roster, at_us: int) -> Frame:
        return self.frame(BatchKind.ROSTER, at_us, len(roster.miners), codec.encode(roster))

    def cycle_frame(self, cycle: Cycle) -> Frame:
        return self.frame(BatchKind.TELEMETRY, cycle.cycle_at_us, len(cycle.state), codec.encode(cycle))

    def events_frame(self, events: list[Event], at_us: int) -> Frame:
        return self.frame(BatchKind.EVENTS, at_us, len(events), codec.encode(EventBatch(events=events)))

    async def post(self, data: bytes, **headers: str) -> tuple[int, Any, Any]:
        if self.nonce is not None:
            headers.setdefault(SYNC_NONCE_HEADER, self.nonce)
        return await self.call("POST", "batches", data=io.BytesIO(data), headers=headers)

    async def send(self, *frames: Frame) -> BatchesAnswer:
        status, body, _ = await self.post(b"".join(pack_frame(*frame) for frame in frames))
        assert status == 200, body
        answer = BatchesAnswer.model_validate(body)
        self.nonce = answer.sync_nonce
        return answer


@dataclass
class Cloud:
    """The running service and a way in for the test."""

    app: web.Application
    url: str
    clock: TestClock
    http: aiohttp.ClientSession
    organisation_id: str = "org-1"
    site_id: str = "site-1"

    @property
    def database(self) -> Any:
        return self.app[keys.DATABASE]

    async def settle(self) -> None:
        await self.app[PROJECTOR].settle()

    async def code(self) -> str:
        """The secret of a fresh enrolment code."""
        minted = await self.app[keys.ENROLMENT].mint_code(self.organisation_id, self.site_id, "test")
        return minted.code.secret

    def stranger(self) -> Agent:
        return Agent(self.url, self.http)

    async def agent(self) -> Agent:
        """An enrolled agent with a token."""
        agent = self.stranger()
        status, body = await agent.enrol(await self.code())
        assert status == 200, body
        status, body = await agent.login()
        assert status == 200, body
        return agent


async def seed(database: Any, organisation_id: str, site_id: str) -> None:
    async with database.transaction() as tx:
        if await tx.organisations.get(organisation_id) is None:
            await tx.organisations.add(
                OrganisationRow(
                    organisation_id=organisation_id,
                    name="Northern Hosting",
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
                    created_us=1,
                )
            )
        await tx.sites.add(
            SiteRow(
                site_id=site_id,
                organisation_id=organisation_id,
                name=f"Hall {site_id}",
                code="H1",
                region="",
                timezone="Europe/Oslo",
                capacity_w=None,
                currency="USD",
                energy_price_micro=None,
                tax_bp=0,
                shadow_mode=False,
                poll_interval_s=60,
                discovery_interval_s=900,
                created_us=1,
            )
        )


@pytest.fixture
def engine() -> str:
    """Which relational engine; modules that prove both override it by a parameter."""
    return "sqlite"


@pytest.fixture
def settings(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> Settings:
    dsn = request.getfixturevalue("postgresql")() if engine == "postgresql" else None
    return Settings(data_dir=tmp_path / "data", database_dsn=dsn)


@pytest.fixture
async def cloud(settings: Settings) -> AsyncIterator[Cloud]:
    clock = TestClock()
    app = build(settings, clock, pages=False)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as http:
        running = Cloud(app, f"http://127.0.0.1:{port}", clock, http)
        await seed(running.database, running.organisation_id, running.site_id)
        try:
            yield running
        finally:
            await runner.cleanup()


def make_roster(count: int, first: int = 0) -> Roster:
    return Roster(
        miners=[
            RosterEntry(
                miner_id=f"mac:02:00:00:00:{(first + at) >> 8:02x}:{(first + at) & 255:02x}",
                mac=f"02:00:00:00:{(first + at) >> 8:02x}:{(first + at) & 255:02x}",
                ip=f"127.0.0.{at + 1}",
                family="s19",
                model="Antminer S19",
                expected_hashrate_ths=95.0,
            )
            for at in range(count)
        ]
    )


def make_cycle(
    roster: Roster,
    at_us: int,
    *,
    hashrate_ths: float = 95.0,
    power_w: int | None = 3_250,
    state: MinerState = MinerState.ONLINE,
    interval_s: float = 60,
    pool: tuple[str, str] | None = ("stratum+tcp://pool.example:3333", "acme.001"),
) -> Cycle:
    count = len(roster.miners)
    seen = state is MinerState.ONLINE

    def column(value: int | None) -> list[int | None]:
        return [value if seen else None] * count

    return Cycle(
        roster_id=roster.roster_id(),
        cycle_at_us=at_us,
        interval_s=interval_s,
        boot_id="boot",
        mono_s=1.5,
        state=[state] * count,
        offset_ms=list(range(count)),
        hashrate_ths=column(round(hashrate_ths * 100)),
        power_w=column(power_w),
        temp_chip_c=column(70),
        temp_board_c=column(60),
        fan_rpm=column(5_400),
        uptime_s=column(1_000),
        shares_accepted=column(10),
        shares_rejected=column(0),
        pool=column(0 if pool else None),
        pools=[pool] if pool else [],
    )


@pytest.fixture
def fan_out() -> Callable[[Cloud, int], Awaitable[list[float]]]:
    """How long a change takes to reach each of so many agents that wait, in seconds."""

    async def measure(cloud: Cloud, count: int) -> list[float]:
        agents = []
        for _ in range(count):
            # Fifty in a row from one address are more than enrolment takes from a stranger.
            cloud.app[keys.ENROL_LIMIT]._buckets.clear()
            agents.append(await cloud.agent())
            async with cloud.database.transaction() as tx:
                await tx.desired.bump(cloud.organisation_id, cloud.site_id)
        started_s = 0.0

        async def wait(agent: Agent) -> float:
            _, _, headers = await agent.call("GET", "desired")
            known = {"If-None-Match": headers["ETag"]}
            status, _, _ = await agent.call("GET", "desired?wait_s=50", headers=known)
            assert status == 200
            return time.monotonic() - started_s

        waiting = [asyncio.create_task(wait(agent)) for agent in agents]
        held = cloud.app[keys.DESIRED]._waiters._waiting
        while sum(map(len, held.values())) < count:  # noqa: ASYNC110 - the server has no event for a test to wait on
            await asyncio.sleep(0.01)
        started_s = time.monotonic()
        async with cloud.database.transaction() as tx:
            await tx.desired.bump(cloud.organisation_id, cloud.site_id)
        return list(await asyncio.gather(*waiting))

    return measure


@pytest.fixture
def roster() -> Roster:
    return make_roster(3)


@pytest.fixture
def cycle() -> Any:
    return make_cycle


@pytest.fixture
def more_rosters() -> Any:
    return make_roster
