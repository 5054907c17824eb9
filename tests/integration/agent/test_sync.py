"""Sync over real HTTP against a cloud that can be told to misbehave; the outbox is real SQLite."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from hashyard_agent.adapters.cloud_link import CloudHttp, HttpCloudLink
from hashyard_agent.adapters.outbox import STATE_NONCE, SqliteOutbox
from hashyard_agent.desired import DesiredFeed
from hashyard_agent.errors import CloudRefusedError, CloudUnreachableError
from hashyard_agent.identity import AgentIdentity, Credentials
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.sync import MAX_ISOLATED_ROWS, Sync
from hashyard_shared import cycle_codec
from hashyard_shared.clock import SystemClock
from hashyard_shared.codec import encode
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import (
    SYNC_NONCE_HEADER,
    BatchesAnswer,
    BatchHeader,
    BatchKind,
    BatchVerdict,
    ChallengeAnswer,
    CloudTime,
    DesiredState,
    SiteSettings,
    TokenAnswer,
    TokenRequest,
    Verdict,
    unpack_frames,
)
from hashyard_shared.signing import (
    DocumentType,
    encode_base64,
    fingerprint,
    new_private_key,
    public_bytes,
    sign,
    verify,
)
from hashyard_shared.telemetry import Cycle, Roster

ORGANISATION_KEY = new_private_key()
AGENT_KEY = new_private_key()
Judge = Callable[[BatchHeader, bytes], BatchVerdict | None]


def verdict(header: BatchHeader, kind: Verdict, code: ErrorCode | None = None) -> BatchVerdict:
    return BatchVerdict(epoch=header.epoch, seq=header.seq, verdict=kind, code=code)


@dataclass
class FakeCloud:
    """`/agent/v1` as agents see it. `stored` is by (epoch, seq); `judge` may decide otherwise for a row."""

    stored: dict[tuple[int, int], str] = field(default_factory=dict)
    orders: list[int] = field(default_factory=list)
    nonces: list[str | None] = field(default_factory=list)
    tokens: int = 0
    epoch: int = 1
    answers: list[web.Response] = field(default_factory=list)
    judge: Judge | None = None
    cut_after_store: int = 0
    desired_version: int = 0
    site_id: str = "site"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.add_routes(
            [
                web.post("/agent/v1/challenge", self.challenge),
                web.post("/agent/v1/token", self.token),
                web.post("/agent/v1/batches", self.batches),
                web.get("/agent/v1/desired", self.desired),
            ]
        )
        return app

    async def challenge(self, request: web.Request) -> web.Response:
        return web.json_response(text=ChallengeAnswer(nonce=encode_base64(b"n" * 32)).model_dump_json())

    async def token(self, request: web.Request) -> web.Response:
        asked = TokenRequest.model_validate_json(await request.read())
        assert verify(public_bytes(AGENT_KEY), DocumentType.CHALLENGE, asked.signed) == b"n" * 32
        self.tokens += 1
        time = CloudTime(agent_id="agent", at_us=SystemClock().now_us())
        signed = sign(ORGANISATION_KEY, DocumentType.TIME, time.model_dump_json().encode())
        answer = TokenAnswer(token=f"token-{self.tokens}", expires_in_s=60, epoch=self.epoch, time=signed)
        return web.json_response(text=answer.model_dump_json())

    def authorised(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer token-{self.tokens}"

    async def batches(self, request: web.Request) -> web.Response:
        if not self.authorised(request):
            return problem(401, ErrorCode.UNAUTHENTICATED)
        data = await request.read()
        self.nonces.append(request.headers.get(SYNC_NONCE_HEADER))
        if self.answers:
            return self.answers.pop(0)
        verdicts = [self.take(header, body) for header, body in unpack_frames(data)]
        if self.cut_after_store > 0:
            self.cut_after_store -= 1
            assert request.transport is not None
            request.transport.close()
        conflict = any(one.verdict is Verdict.EPOCH_CONFLICT for one in verdicts)
        self.epoch += conflict
        answer = BatchesAnswer(
            verdicts=verdicts,
            received_at_us=0,
            new_epoch=self.epoch if conflict else None,
            sync_nonce=f"nonce-{len(self.nonces)}",
        )
        return web.json_response(text=answer.model_dump_json())

    def take(self, header: BatchHeader, body: bytes) -> BatchVerdict:
        decided = self.judge(header, body) if self.judge else None
        if decided is not None:
            return decided
        key = (header.epoch, header.seq)
        if key in self.stored:
            same = self.stored[key] == header.sha256
            return verdict(header, Verdict.DUPLICATE if same else Verdict.EPOCH_CONFLICT)
        assert hashlib.sha256(body).hexdigest() == header.sha256
        self.stored[key] = header.sha256
        self.orders.append(header.seq)
        return verdict(header, Verdict.ACCEPTED)

    async def desired(self, request: web.Request) -> web.Response:
        etag = f'"{self.desired_version}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        time = CloudTime(agent_id="agent", at_us=SystemClock().now_us())
        document = DesiredState(
            version=self.desired_version,
            site_id=self.site_id,
            settings=SiteSettings(poll_interval_s=7),
            units=[],
            orders=[],
            time=sign(ORGANISATION_KEY, DocumentType.TIME, time.model_dump_json().encode()),
        )
        return web.json_response(text=document.model_dump_json(), headers={"ETag": etag})


def problem(status: int, code: ErrorCode, headers: dict[str, str] | None = None) -> web.Response:
    body = {"type": f"urn:hashyard:error:{code}", "title": "no", "status": status, "detail": "told so"}
    return web.json_response(body, status=status, headers=headers)


def empty_cycle(roster_id: str, at_us: int = 1) -> Cycle:
    """A cycle of no miners."""
    columns: dict[str, list[int | None]] = {name: [] for name in cycle_codec.COLUMNS}
    return Cycle(roster_id=roster_id, cycle_at_us=at_us, interval_s=60, boot_id="b", mono_s=1, pools=[], **columns)


@dataclass
class Rig:
    """Agent side and cloud side."""

    cloud: FakeCloud
    outbox: SqliteOutbox
    link: HttpCloudLink
    monitor: LinkMonitor
    sync: Sync
    times: list[int]

    def put(self, count: int) -> list[int]:
        return [
            self.outbox.put(BatchKind.TELEMETRY, at, 1, cycle_codec.pack(empty_cycle("r", at)))
            for at in range(count)
        ]

    async def drain(self) -> None:
        while (await self.sync.round()).batches:
            pass


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    cloud = FakeCloud()
    runner = web.AppRunner(cloud.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    clock = SystemClock()
    outbox = SqliteOutbox(tmp_path / "outbox.db", max_bytes=50_000_000, headroom_bytes=0, clock=clock)
    outbox.adopt_epoch(1)
    identity = AgentIdentity(
        agent_id="agent",
        name="a",
        organisation_id="o",
        organisation_name="O",
        site_id="site",
        site_name="S",
        timezone="UTC",
        epoch=1,
        key_fingerprint=fingerprint(public_bytes(AGENT_KEY)),
        cloud_url="",
        enrolled_at_us=0,
    )
    times: list[int] = []
    port = runner.addresses[0][1]
    async with CloudHttp(f"http://127.0.0.1:{port}", None, 5) as http:
        link = HttpCloudLink(
            http,
            Credentials(identity, AGENT_KEY),
            clock,
            nonce=lambda: outbox.state(STATE_NONCE),
            on_token=lambda epoch, _: times.append(epoch),
        )
        monitor = LinkMonitor(outbox, clock)
        yield Rig(cloud, outbox, link, monitor, Sync(outbox, link, monitor, refused_wait_s=0.01), times)
    outbox.close()
    await runner.cleanup()


async def eventually(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - the state of the other side has no event to wait for
            await asyncio.sleep(0.01)


async def while_running(rig: Rig, act: Callable[[], Awaitable[None]]) -> None:
    rig.outbox.on_put = rig.sync.wake
    task = asyncio.create_task(rig.sync.run())
    try:
        await act()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_everything_arrives_once_newest_first(rig: Rig) -> None:
    seqs = rig.put(300)
    await rig.drain()
    assert sorted(rig.cloud.orders) == seqs
    assert rig.cloud.orders[0] == seqs[-1]
    assert rig.outbox.stats().rows == 0
    assert rig.cloud.tokens == 1
    assert rig.times == [1]


async def test_an_answer_lost_on_the_way_is_a_duplicate_and_not_lost(rig: Rig) -> None:
    rig.cloud.cut_after_store = 2
    seqs = rig.put(20)

    async def act() -> None:
        await eventually(lambda: rig.outbox.stats().rows == 0)

    await while_running(rig, act)
    assert sorted(rig.cloud.orders) == seqs


async def test_a_row_put_while_running_is_sent_at_once(rig: Rig) -> None:
    async def act() -> None:
        await eventually(lambda: rig.monitor.now.up is None)
        rig.put(1)
        await eventually(lambda: len(rig.cloud.stored) == 1)

    await while_running(rig, act)


async def test_a_poison_request_is_halved_until_its_row_is_set_aside(rig: Rig) -> None:
    seqs = rig.put(40)
    bad = seqs[17]

    def refuse(header: BatchHeader, body: bytes) -> BatchVerdict | None:
        if header.seq == bad:
            raise web.HTTPBadRequest(
                text='{"type": "urn:hashyard:error:malformed", "title": "bad", "status": 400}',
                content_type="application/problem+json",
            )
        return None

    rig.cloud.judge = refuse
    await rig.drain()
    # What came before the bad row in a refused request was stored and is told to be a duplicate later.
    told = max(rig.cloud.orders)
    assert set(rig.cloud.orders) == {*seqs, told} - {bad}
    assert told > seqs[-1], "the gap was told as an event"
    assert rig.outbox.stats().set_aside_rows == 1
    assert rig.outbox.gaps(1)[0].gap.first_seq == bad


async def test_refusing_everything_sets_aside_few_and_waits(rig: Rig) -> None:
    rig.put(60)

    def refuse(header: BatchHeader, body: bytes) -> BatchVerdict | None:
        raise web.HTTPBadRequest(text='{"type": "malformed", "title": "bad", "status": 400}')

    rig.cloud.judge = refuse
    with pytest.raises(CloudRefusedError):
        await rig.drain()
    assert rig.outbox.stats().set_aside_rows == MAX_ISOLATED_ROWS


async def test_a_rejected_row_does_not_hold_up_the_others(rig: Rig) -> None:
    seqs = rig.put(5)
    rig.cloud.judge = lambda header, _: (
        verdict(header, Verdict.REJECTED, ErrorCode.MALFORMED) if header.seq == seqs[2] else None
    )
    await rig.drain()
    assert rig.outbox.gaps(1)[0].gap.reason == "rejected:malformed"
    told = max(rig.cloud.orders)
    assert set(rig.cloud.orders) == {*seqs, told} - {seqs[2]}
    assert told > seqs[-1], "the gap was told as an event"


async def test_a_revoked_agent_keeps_its_rows(rig: Rig) -> None:
    rig.put(3)
    rig.cloud.answers = [problem(403, ErrorCode.AGENT_REVOKED) for _ in range(3)]

    async def act() -> None:
        await eventually(lambda: rig.monitor.now.last_code == ErrorCode.AGENT_REVOKED)
        assert rig.outbox.stats().rows == 3
        assert rig.outbox.stats().set_aside_rows == 0

    await while_running(rig, act)


async def test_an_expired_token_is_renewed_once(rig: Rig) -> None:
    rig.put(1)
    await rig.drain()
    rig.cloud.tokens += 1
    rig.put(1)
    await rig.drain()
    assert rig.outbox.stats().rows == 0


async def test_the_clouds_wish_to_wait_is_respected(rig: Rig) -> None:
    rig.put(1)
    rig.cloud.answers = [problem(429, ErrorCode.RATE_LIMITED, {"Retry-After": "7"})]
    with pytest.raises(CloudUnreachableError) as caught:
        await rig.sync.round()
    assert caught.value.retry_after_s == 7


async def test_a_cloud_without_the_roster_gets_it_again(rig: Rig) -> None:
    roster = Roster(miners=[])
    rig.outbox.put(BatchKind.ROSTER, 1, 0, encode(roster))
    await rig.drain()
    known = False

    def judge(header: BatchHeader, body: bytes) -> BatchVerdict | None:
        nonlocal known
        known = known or header.kind == BatchKind.ROSTER
        return None if known else verdict(header, Verdict.RETRY, ErrorCode.ROSTER_UNKNOWN)

    rig.cloud.judge = judge
    body = cycle_codec.pack(empty_cycle(roster.roster_id()))
    rig.outbox.put(BatchKind.TELEMETRY, 1, 0, body)
    await rig.drain()
    assert rig.outbox.stats().rows == 0
    assert rig.outbox.stats().set_aside_rows == 0


async def test_a_box_restored_from_a_copy_goes_on_in_a_new_epoch(rig: Rig) -> None:
    rig.cloud.stored = {(1, seq): "other" for seq in range(1, 4)}
    rig.put(5)
    await rig.drain()
    assert rig.outbox.epoch == 2
    assert sorted(key for key, value in rig.cloud.stored.items() if value != "other") == [
        (1, 4),
        (1, 5),
        (2, 1),
        (2, 2),
        (2, 3),
    ]


async def test_the_nonce_of_the_last_answer_is_shown(rig: Rig) -> None:
    rig.put(1)
    await rig.drain()
    rig.put(1)
    await rig.drain()
    assert rig.cloud.nonces == [None, "nonce-1"]


async def test_a_later_bound_on_rows_lets_others_through_when_some_are_to_be_kept(rig: Rig) -> None:
    seqs = rig.put(30)
    kept = set(seqs[-8:])
    rig.cloud.judge = lambda header, _: verdict(header, Verdict.RETRY) if header.seq in kept else None
    with pytest.raises(CloudUnreachableError, match="later"):
        await rig.drain()
    assert set(rig.cloud.orders) == set(seqs) - kept


def feed_of(rig: Rig) -> DesiredFeed:
    return DesiredFeed(rig.link, rig.outbox, rig.monitor, lambda rotations: None, site_id="site")


async def test_the_desired_state_survives_a_restart_without_network(rig: Rig) -> None:
    feed = feed_of(rig)
    seen: list[int] = []
    feed.subscribe(lambda document: seen.append(document.version))
    rig.cloud.desired_version = 3
    assert await feed.poll(0)
    assert not await feed.poll(0)
    again = feed_of(rig)
    again.subscribe(lambda document: seen.append(document.version))
    assert seen == [3, 3]
    assert again.current is not None
    assert again.current.settings.poll_interval_s == 7


async def test_another_sites_state_is_not_taken(rig: Rig) -> None:
    rig.cloud.site_id = "elsewhere"
    feed = feed_of(rig)
    assert not await feed.poll(0)
    assert feed.current is None


async def test_a_failing_taker_does_not_keep_the_state_from_others(rig: Rig) -> None:
    feed = feed_of(rig)
    seen: list[int] = []

    def broken(document: DesiredState) -> None:
        raise ValueError("broken")

    feed.subscribe(broken)
    feed.subscribe(lambda document: seen.append(document.version))
    assert await feed.poll(0)
    assert seen == [0]
