"""The oracle itself: silent when all is well; it speaks when a row or a sample is missing, doubled or changed."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import oracle
from chaos.world import World, closing_connection
from hashyard_agent.adapters.cloud_link import CloudHttp, HttpCloudLink
from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.sync import Sync
from hashyard_demo.processes import wait_until
from hashyard_shared.clock import SystemClock
from hashyard_shared.codec import encode
from hashyard_shared.protocol import BatchKind
from hashyard_shared.telemetry import Cycle, MinerState, Roster, RosterEntry

pytestmark = pytest.mark.timeout(120)
CYCLES = 5
ROSTER = Roster(miners=[RosterEntry(miner_id=f"mac:{at}", ip=f"10.0.0.{at}", family="luxos") for at in range(3)])


def cycle(at: int) -> bytes:
    none = [None] * 3
    return encode(
        Cycle(
            roster_id=ROSTER.roster_id(),
            cycle_at_us=SystemClock().now_us() + at,
            interval_s=60,
            boot_id="b",
            mono_s=at,
            state=[MinerState.ONLINE] * 3,
            offset_ms=[1, 2, None],
            hashrate_ths=[100 + at, None, 0],
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
    )


async def drain(world: World, outbox: SqliteOutbox) -> None:
    async with CloudHttp(f"http://127.0.0.1:{world.cloud_port}", None, 20) as http:
        link = HttpCloudLink(
            http,
            FileIdentityStore(world.data).load(),
            SystemClock(),
            nonce=lambda: None,
            on_token=lambda _, __: None,
        )
        sync = Sync(outbox, link, LinkMonitor(outbox, SystemClock()))
        while (await sync.round()).batches:
            pass


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which five cycles went the whole way and nothing runs any more."""
    world = World(tmp_path_factory.mktemp("oracle"), seed=1, miners=1, subnet="127.61.8.0/24")
    with world.cloud_only():
        oracle.install(world.outbox)
        clock = SystemClock()
        outbox = SqliteOutbox(world.outbox, max_bytes=50_000_000, headroom_bytes=0, clock=clock)
        outbox.put(BatchKind.ROSTER, 1, 3, encode(ROSTER))
        for at in range(CYCLES):
            outbox.put(BatchKind.TELEMETRY, at, 3, cycle(at))
        asyncio.run(drain(world, outbox))
        outbox.close()
        wait_until(lambda: world.unprojected() == 0, "everything is projected", 60)
    return world.folder


@pytest.fixture
def copy(delivered: Path, tmp_path: Path) -> Path:
    shutil.copytree(delivered, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


def judged(folder: Path) -> oracle.Verdict:
    """In a process of its own: the engine of the telemetry store opens one directory in a process's life."""
    script = (
        "import json, sys; from pathlib import Path; from dataclasses import asdict; from chaos import oracle;"
        "print(json.dumps(asdict(oracle.judge(Path(sys.argv[1]), Path(sys.argv[2])))))"
    )
    command = [sys.executable, "-c", script, str(folder / "data" / "outbox.db"), str(folder / "cloud")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return oracle.Verdict(**json.loads(done.stdout))


def change(folder: Path, which: str, sql: str) -> oracle.Verdict:
    with closing_connection(folder / which) as connection, connection:
        connection.execute(sql)
    return judged(folder)


def test_all_is_well(copy: Path) -> None:
    verdict = judged(copy)
    assert verdict.holds, verdict.problems
    assert (verdict.rows, verdict.samples) == (CYCLES + 1, CYCLES * 3)


def test_a_row_that_did_not_arrive_is_lost(copy: Path) -> None:
    verdict = change(copy, "data/outbox.db", "INSERT INTO acknowledged VALUES (99, 'telemetry', 0, 3, x'0101')")
    assert verdict.lost == 1


def test_a_row_the_cloud_lost_is_lost_and_its_samples_are_strangers(copy: Path) -> None:
    verdict = change(copy, "cloud/hashyard.sqlite3", "DELETE FROM batches WHERE seq = 3")
    assert verdict.lost == 1
    assert verdict.duplicated == 3


def test_a_row_counted_twice_is_doubled(copy: Path) -> None:
    columns = (
        "organisation_id, agent_id, kind, cycle_at_us, count, sha256, received_at_us, state, block_no, roster_id"
    )
    with sqlite3.connect(copy / "cloud" / "hashyard.sqlite3") as connection:
        connection.execute(
            f"INSERT INTO batches (batch_no, epoch, seq, {columns})"  # noqa: S608 - constant columns
            f" SELECT 999, 7, 1, {columns} FROM batches WHERE seq = 3"
        )
        connection.execute("INSERT INTO batch_bodies SELECT 999, body FROM batch_bodies LIMIT 1 OFFSET 2")
    connection.close()
    assert judged(copy).duplicated == 1


def test_a_body_that_was_changed_is_noticed(copy: Path) -> None:
    verdict = change(
        copy,
        "cloud/hashyard.sqlite3",
        "UPDATE batch_bodies SET body = x'01' WHERE batch_no = (SELECT batch_no FROM batches WHERE seq = 4)",
    )
    assert verdict.changed == 1


def test_a_lost_telemetry_store_is_rebuilt_by_the_command_from_the_bodies(copy: Path) -> None:
    shutil.rmtree(copy / "cloud" / "telemetry")
    assert judged(copy).lost == CYCLES * 3
    shutil.rmtree(copy / "cloud" / "telemetry")
    settings = (copy / "cloud.toml").read_text(encoding="utf-8")
    moved = "\n".join(line for line in settings.splitlines() if not line.startswith("data_dir"))
    (copy / "cloud.toml").write_text(f'{moved}\ndata_dir = "{copy / "cloud"}"\n', encoding="utf-8")
    program = str(Path(sys.executable).with_name("hashyard-cloud"))
    for again in (False, True):
        command = [program, "rebuild-telemetry", "--all", "--config", str(copy / "cloud.toml")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "inserted anew" in done.stdout
        verdict = judged(copy)
        assert verdict.holds, (again, verdict.problems)
    assert verdict.samples == CYCLES * 3
