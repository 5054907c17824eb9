"""`hashyard-agent` as a process: what goes wrong is one clear message and an exit code."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.adapters.trust_file import TrustFile
from hashyard_agent.identity import AgentIdentity
from hashyard_agent.settings import load
from hashyard_agent.trust import Trust
from hashyard_shared import cycle_codec
from hashyard_shared.clock import SystemClock
from hashyard_shared.codec import encode
from hashyard_shared.enrolment import EnrolmentCode
from hashyard_shared.protocol import BatchKind
from hashyard_shared.signing import encode_base64, fingerprint, new_private_key, public_bytes
from hashyard_shared.telemetry import Cycle, MinerState, Roster, RosterEntry

KEY = public_bytes(new_private_key())
MEGABYTE = 1024 * 1024
START_TIMEOUT_S = 45

pytestmark = pytest.mark.timeout(90)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(
        f'name = "pn-01"\n[cloud]\nurl = "http://127.0.0.1:{free_port()}"\n'
        f'[store]\npath = "{tmp_path / "data"}"\nmax_bytes = 20_000_000\nheadroom_bytes = 0\n'
        f'[local_web]\nlisten = "127.0.0.1:{free_port()}"\n'
        f'[enforcement]\ntrust_file = "{tmp_path / "trust.json"}"\n',
        encoding="utf-8",
    )
    return path


def agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hashyard_agent.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def enrolled(config: Path) -> None:
    """As after enrolment, without a cloud."""
    settings = load(config, {})
    identities = FileIdentityStore(settings.store.path)
    key = identities.new_key()
    identities.adopt(
        AgentIdentity(
            agent_id="agent-1",
            name="pn-01",
            organisation_id="org",
            organisation_name="Pecos",
            site_id="site",
            site_name="North",
            timezone="UTC",
            epoch=1,
            key_fingerprint=fingerprint(public_bytes(key)),
            cloud_url=settings.cloud.url,
            enrolled_at_us=0,
        )
    )
    trust = Trust(organisation_id="org", site_id="site", signing_keys=(encode_base64(KEY),))
    TrustFile(settings.enforcement.trust_file, settings.store.path).write(trust)
    opened(config).close()


def opened(config: Path) -> SqliteOutbox:
    return SqliteOutbox(
        load(config, {}).store.outbox_file, max_bytes=20_000_000, headroom_bytes=0, clock=SystemClock()
    )


def put_cycle(config: Path, at_us: int) -> None:
    roster = Roster(miners=[RosterEntry(miner_id="mac:1", ip="10.0.0.1", family="luxos")])
    empty = [None]
    cycle = Cycle(
        roster_id=roster.roster_id(),
        cycle_at_us=at_us,
        interval_s=60,
        boot_id="b",
        mono_s=1,
        state=[MinerState.ONLINE],
        offset_ms=[250],
        hashrate_ths=[10_150],
        power_w=[3_250],
        temp_chip_c=empty,
        temp_board_c=empty,
        fan_rpm=empty,
        uptime_s=empty,
        shares_accepted=empty,
        shares_rejected=empty,
        pool=[0],
        pools=[("stratum+tcp://p:1", "w")],
    )
    outbox = opened(config)
    outbox.put(BatchKind.ROSTER, at_us, 1, encode(roster))
    outbox.put(BatchKind.TELEMETRY, at_us, 1, cycle_codec.pack(cycle))
    outbox.close()


def test_a_broken_settings_file_names_the_field(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8") + "colour = 1\n", encoding="utf-8")
    done = agent("status", "--config", str(config))
    assert done.returncode == 2
    assert "enforcement.colour: there is no such setting" in done.stderr


def test_a_missing_settings_file_says_what_to_do(tmp_path: Path) -> None:
    done = agent("run", "--config", str(tmp_path / "none.toml"))
    assert (done.returncode, "there is no settings file" in done.stderr) == (2, True)


def test_an_unreachable_cloud_at_enrolment(config: Path) -> None:
    code = str(EnrolmentCode.mint(fingerprint(KEY)))
    done = agent("enroll", "--code", code, "--yes", "--config", str(config))
    assert done.returncode == 4
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistyped_code(config: Path) -> None:
    done = agent("enroll", "--code", "HY1-nonsense", "--yes", "--config", str(config))
    assert done.returncode == 5
    assert "mistyped" in done.stderr


def test_running_before_enrolment_says_how_to_enrol(config: Path) -> None:
    done = agent("run", "--config", str(config))
    assert done.returncode == 5
    assert "hashyard-agent enroll" in done.stderr


def test_status_before_enrolment(config: Path) -> None:
    done = agent("status", "--config", str(config))
    assert (done.returncode, "Not enrolled" in done.stdout) == (0, True)


def test_a_port_in_use(config: Path) -> None:
    enrolled(config)
    with socket.socket() as other:
        other.bind(("127.0.0.1", load(config, {}).local_web.port))
        other.listen()
        done = agent("run", "--config", str(config))
    assert done.returncode == 2
    assert "local_web.listen" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_read_only_disk(config: Path) -> None:
    enrolled(config)
    folder = load(config, {}).store.path
    mounted = subprocess.run(["mount", "--bind", str(folder), str(folder)], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("this machine does not let tests mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        done = agent("run", "--config", str(config))
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert done.returncode == 3
    assert "read-only" in done.stderr


def test_buffer_and_export_show_what_waits(config: Path, tmp_path: Path) -> None:
    enrolled(config)
    put_cycle(config, 1_700_000_000_000_000)
    assert "2 rows" in agent("buffer", "--config", str(config)).stdout
    out = tmp_path / "out.csv"
    done = agent("buffer", "export", "--output", str(out), "--config", str(config))
    assert done.returncode == 0
    head, line = out.read_text(encoding="utf-8").splitlines()
    assert head.startswith("at,miner_id,ip,state,hashrate_ths,power_w")
    assert line == "2023-11-14T22:13:20.250+00:00,mac:1,10.0.0.1,Online,101.5,3250,,,,,,,stratum+tcp://p:1,w"
    done = agent("buffer", "export", "-o", "-", "--format", "jsonl", "--config", str(config))
    assert done.stdout.count("\n") == 2
    assert agent("buffer", "export", "-o", "-", "--format", "xml", "--config", str(config)).returncode == 2
    assert "2 rows" in agent("buffer", "--config", str(config)).stdout


def test_buffer_tells_rate_room_age_and_gaps(config: Path) -> None:
    enrolled(config)
    now_us = SystemClock().now_us()
    for hours_ago in (3, 2, 1):
        put_cycle(config, now_us - hours_ago * 3_600_000_000)
    store = load(config, {}).store
    outbox = SqliteOutbox(store.outbox_file, max_bytes=store.max_bytes, headroom_bytes=0, clock=SystemClock())
    newest = max(outbox.pending(10, MEGABYTE), key=lambda batch: batch.header.seq)
    outbox.set_aside(newest, "rejected:malformed")
    outbox.close()
    said = agent("buffer", "--config", str(config)).stdout
    assert "the oldest from 3 h" in said
    assert "a day there is room for" in said
    assert "1 are set aside" in said
    assert "rejected:malformed  not told yet" in said


def test_the_agent_runs_without_a_cloud_and_stops_on_a_signal(config: Path) -> None:
    enrolled(config)
    command = [sys.executable, "-m", "hashyard_agent.cli", "run", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while '"up":false' not in agent_link(config) and time.monotonic() < deadline:
            time.sleep(0.1)
        shown = agent("status", "--config", str(config)).stdout
        assert "down for" in shown
        assert "cannot be reached" in shown
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=START_TIMEOUT_S)
    assert process.returncode == 0
    assert "what waits for the cloud is kept" in log
    assert "Traceback" not in log


def test_rows_of_a_former_identity_are_not_sent_under_the_new_one(config: Path) -> None:
    enrolled(config)
    put_cycle(config, 1_700_000_000_000_000)
    outbox = opened(config)
    outbox.claim("somebody-else")
    outbox.close()
    command = [sys.executable, "-m", "hashyard_agent.cli", "run", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + START_TIMEOUT_S
    folder = load(config, {}).store.path
    while not list(folder.glob("outbox.former-*.db")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=START_TIMEOUT_S)
    assert "enrolled anew" in log
    outbox = opened(config)
    assert all(row.header.kind == BatchKind.EVENTS for row in outbox.rows())
    outbox.close()


def agent_link(config: Path) -> str:
    outbox = SqliteOutbox(
        load(config, {}).store.outbox_file, max_bytes=1, headroom_bytes=0, clock=SystemClock(), read_only=True
    )
    try:
        return outbox.state("link") or ""
    finally:
        outbox.close()
