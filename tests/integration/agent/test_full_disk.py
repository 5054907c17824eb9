"""A disk that is really full, and one that is really read-only: a small tmpfs, which needs root to mount."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.errors import StoreError
from hashyard_shared.clock import SystemClock
from hashyard_shared.protocol import BatchesAnswer, BatchKind, BatchVerdict, Verdict

KILOBYTE = 1024
MEGABYTE = 1024 * KILOBYTE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let tests mount a tmpfs")
    yield disk
    # Lazily: a failed test may have left its database open, and must not leave the mount behind too.
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def opened(disk: Path, max_bytes: int = 100 * MEGABYTE) -> SqliteOutbox:
    return SqliteOutbox(disk / "outbox.db", max_bytes=max_bytes, headroom_bytes=4 * MEGABYTE, clock=SystemClock())


def fill(disk: Path) -> None:
    with (disk / "other").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * KILOBYTE)
        except OSError:
            return


def body(at: int) -> bytes:
    return os.urandom(40_000) + at.to_bytes(4, "big")


def test_a_full_disk_drops_the_oldest_and_keeps_the_newest(small_disk: Path) -> None:
    outbox = opened(small_disk)
    kept = [outbox.put(BatchKind.TELEMETRY, at, 1, body(at)) for at in range(40)]
    assert (small_disk / "outbox.db.headroom").exists()
    fill(small_disk)
    late = [outbox.put(BatchKind.TELEMETRY, 100 + at, 1, body(at)) for at in range(200)]
    waiting = {row.header.seq for row in outbox.rows()}
    assert late[-1] in waiting
    stats = outbox.stats()
    assert stats.gap_cycles == len(kept) + len(late) - len(waiting)
    assert stats.gap_cycles > 0
    outbox.close()


def test_delivery_works_on_a_full_disk_and_headroom_comes_back(small_disk: Path) -> None:
    outbox = opened(small_disk)
    for at in range(40):
        outbox.put(BatchKind.TELEMETRY, at, 1, body(at))
    fill(small_disk)
    outbox.put(BatchKind.TELEMETRY, 99, 1, body(99))
    while batches := outbox.pending(16, MEGABYTE):
        verdicts = [BatchVerdict(epoch=0, seq=batch.header.seq, verdict=Verdict.ACCEPTED) for batch in batches]
        outbox.settle(batches, BatchesAnswer(verdicts=verdicts, received_at_us=0))
    (small_disk / "other").unlink()
    outbox.put(BatchKind.TELEMETRY, 100, 1, body(100))
    assert (small_disk / "outbox.db.headroom").exists()
    outbox.close()


def test_a_read_only_disk_is_told_and_what_was_there_is_kept(small_disk: Path) -> None:
    outbox = opened(small_disk)
    outbox.put(BatchKind.TELEMETRY, 1, 5, body(1))
    outbox.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match=r"read-only|cannot be"):
        opened(small_disk)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    outbox = opened(small_disk)
    assert outbox.stats().rows == 1
    outbox.close()


def test_an_agent_that_starts_on_a_full_disk_opens_its_stores_and_goes_on(small_disk: Path) -> None:
    outbox = opened(small_disk)
    seq = outbox.put(BatchKind.TELEMETRY, 1, 5, body(1))
    outbox.close()
    fill(small_disk)
    outbox = opened(small_disk)
    enforcement = SqliteEnforcementStore(small_disk / "enforcement.db")
    late = outbox.put(BatchKind.TELEMETRY, 2, 5, body(2))
    assert {row.header.seq for row in outbox.rows()} >= {late}
    assert late > seq
    enforcement.close()
    outbox.close()
