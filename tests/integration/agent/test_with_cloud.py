"""The agent's own sync against a real cloud process: boxes replaced, rolled back, copied, revoked."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.world import World, closing_connection
from hashyard_agent.adapters.cloud_link import CloudHttp, HttpCloudLink
from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import STATE_NONCE, SqliteOutbox
from hashyard_agent.adapters.site_trust import TrustFiles
from hashyard_agent.cloud_time import signed_time_us
from hashyard_agent.errors import CloudRefusedError
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.sync import Sync
from hashyard_shared import cycle_codec
from hashyard_shared.clock import SystemClock
from hashyard_shared.codec import encode
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import SiteControl
from hashyard_shared.protocol import BatchKind
from hashyard_shared.signing import Envelope, decode_base64, fingerprint
from hashyard_shared.telemetry import Cycle, MinerState, Roster, RosterEntry

pytestmark = pytest.mark.timeout(120)
ROSTER = Roster(miners=[RosterEntry(miner_id="mac:02:00:00:00:00:01", ip="10.0.0.1", family="luxos")])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("cloud"), seed=1, miners=1, subnet="127.20.9.0/24")
    with world.cloud_only():
        yield world


@dataclass
class Box:
    """A machine with a folder of its own, and what it says to the cloud."""

    world: World
    outbox: SqliteOutbox
    sync: Sync
    times: list[Envelope]

    def put(self, hashrate: int) -> int:
        now_us = SystemClock().now_us()
        none = [None]
        cycle = Cycle(
            roster_id=ROSTER.roster_id(),
            cycle_at_us=now_us,
            interval_s=60,
            boot_id="b",
            mono_s=1,
            state=[MinerState.ONLINE],
            offset_ms=[0],
            hashrate_ths=[hashrate],
            power_w=none,
            temp_chip_c=none,
            temp_board_c=none,
            fan_rpm=none,
            uptime_s=none,
            shares_accepted=none,
            shares_rejected=none,
            pool=none,
            pools=[],
        )
        return self.outbox.put(BatchKind.TELEMETRY, now_us, 1, cycle_codec.pack(cycle))

    async def drain(self) -> None:
        while (await self.sync.round()).batches:
            pass


@asynccontextmanager
async def box(world: World, folder: Path) -> AsyncIterator[Box]:
    clock = SystemClock()
    outbox = SqliteOutbox(folder / "outbox.db", max_bytes=50_000_000, headroom_bytes=0, clock=clock)
    times: list[Envelope] = []

    def on_token(epoch: int, time: Envelope) -> None:
        times.append(time)
        if epoch > outbox.epoch:
            outbox.adopt_epoch(epoch)

    async with CloudHttp(f"http://127.0.0.1:{world.cloud_port}", None, 20) as http:
        link = HttpCloudLink(
            http,
            FileIdentityStore(folder).load(),
            clock,
            nonce=lambda: outbox.state(STATE_NONCE),
            on_token=on_token,
        )
        try:
            yield Box(world, outbox, Sync(outbox, link, LinkMonitor(outbox, clock)), times)
        finally:
            outbox.close()


def copy_of(folder: Path, to: Path) -> Path:
    to.mkdir()
    for name in ("identity.json", *(key.name for key in folder.glob("agent-*.key"))):
        shutil.copy2(folder / name, to / name)
    with sqlite3.connect(folder / "outbox.db") as source, sqlite3.connect(to / "outbox.db") as target:
        source.backup(target)
    source.close()
    target.close()
    return to


def stored(world: World) -> list[tuple[int, int, str]]:
    """(epoch, seq, kind) of everything the cloud made durable."""
    with closing_connection(world.cloud_data / "hashyard.sqlite3") as connection:
        return [tuple(row) for row in connection.execute("SELECT epoch, seq, kind FROM batches ORDER BY 1, 2")]


def agent_row(world: World, column: str) -> object:
    with closing_connection(world.cloud_data / "hashyard.sqlite3") as connection:
        return connection.execute(f"SELECT {column} FROM agents").fetchone()[0]  # noqa: S608 - a constant of this test


def events(box: Box, count: int) -> None:
    for at in range(count):
        box.outbox.put_events([SiteControl(at_us=at, control="test", value=str(at), actor="t")])


async def test_a_box_enrolled_again_keeps_its_history_and_counts_nothing_twice(world: World) -> None:
    async with box(world, world.data) as first:
        events(first, 2)
        await first.drain()
        first.outbox.put(BatchKind.ROSTER, 1, 1, encode(ROSTER))
        first.put(100)
        waiting = first.outbox.pending(10, 1_000_000)
        await first.sync._link.send(waiting)
        # The answer is lost, and now the box is enrolled again: the rows went out under the old epoch.
    before = stored(world)
    world.enrol()
    async with box(world, world.data) as again:
        assert again.outbox.epoch == 2
        await again.drain()
        assert again.outbox.stats().rows == 0
    assert stored(world) == before
    assert agent_row(world, "COUNT(*)") == 1


async def test_a_box_rolled_back_to_a_copy_loses_nothing_and_doubles_nothing(world: World, tmp_path: Path) -> None:
    old = copy_of(world.data, tmp_path / "old")
    async with box(world, world.data) as ahead:
        for at in range(3):
            ahead.put(at)
        await ahead.drain()
        epoch = ahead.outbox.epoch
    count = len(stored(world))
    async with box(world, old) as back:
        for at in range(3):
            back.put(1_000 + at)
        await back.drain()
        assert back.outbox.stats().rows == 0
        assert back.outbox.epoch > epoch
        assert back.outbox.stats().set_aside_rows == 0
    assert len(stored(world)) == count + 3
    shutil.copy2(old / "outbox.db", world.data / "outbox.db")


async def test_two_copies_of_a_box_are_noticed_and_telemetry_goes_on(world: World, tmp_path: Path) -> None:
    copy = copy_of(world.data, tmp_path / "copy")
    async with box(world, world.data) as one, box(world, copy) as other:
        for at in range(3):
            one.put(at)
            await one.drain()
            one.put(10 + at)
            await one.drain()
            other.put(100 + at)
            await other.drain()
        assert one.outbox.stats().rows == other.outbox.stats().rows == 0
    assert agent_row(world, "clone_suspected_at_us") is not None


async def test_after_a_rotation_the_second_pinned_key_is_believed(world: World) -> None:
    pinned = TrustFiles(world.folder / "trust.json", world.folder / "none.json").trust().signing_keys
    await world.rotate_signing_key()
    async with box(world, world.data) as machine:
        machine.put(1)
        await machine.drain()
        envelope = machine.times[-1]
        assert envelope.key == fingerprint(decode_base64(pinned[1]))
        keys = [decode_base64(key) for key in pinned]
        assert signed_time_us(envelope, keys, str(agent_row(world, "agent_id"))) > 0


async def test_a_revoked_agent_is_told_so_and_keeps_what_waits(world: World) -> None:
    with closing_connection(world.cloud_data / "hashyard.sqlite3") as connection, connection:
        connection.execute("UPDATE agents SET revoked_at_us = 1, revoked_reason = 'stolen'")
    async with box(world, world.data) as machine:
        machine.put(1)
        with pytest.raises(CloudRefusedError, match="revoked by the host: stolen") as caught:
            await machine.sync.round()
        assert caught.value.code is ErrorCode.AGENT_REVOKED
        assert machine.outbox.stats().rows == 1
