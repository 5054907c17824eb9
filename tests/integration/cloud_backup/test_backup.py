"""Backups of real stores: chDB and SQLite, taken through the command line as an operator would."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hashyard_demo.processes import Program
from hashyard_demo.processes import run as run_program

pytestmark = pytest.mark.timeout(120)
CLOUD = str(Path(sys.executable).parent / "hashyard-cloud")
FILL = """
import asyncio, sys
import pyarrow as pa
from hashyard_cloud.services.ports.telemetry import SAMPLE_COLUMNS
from hashyard_cloud.storage.telemetry.clickhouse import open_telemetry

async def fill(dsn):
    store = await open_telemetry(dsn)
    for block_no in (1, 2, 3):
        columns = {name: pa.array([block_no] * 5) for name in SAMPLE_COLUMNS}
        columns["at_ms"] = pa.array([1_790_000_000_000 + place for place in range(5)])
        columns["flags"] = pa.array([0] * 5)
        await store.insert_block(block_no, pa.table(columns))
    await store.close()

async def count(dsn):
    store = await open_telemetry(dsn)
    print([await store.count_block(block_no) for block_no in (1, 2, 3)])
    await store.close()

asyncio.run({"fill": fill, "count": count}[sys.argv[1]](sys.argv[2]))
"""


def settings_file(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "cloud.toml"
    path.write_text(f'port = 0\ndata_dir = "{folder / "data"}"\n', encoding="utf-8")
    return path


def telemetry(what: str, folder: Path) -> str:
    return run_program([sys.executable, "-c", FILL, what, f"chdb:///{folder / 'data' / 'telemetry'}"], {})


def hosts(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "data" / "hashyard.sqlite3")) as connection:
        return connection.execute("SELECT name FROM organisations").fetchall()


@contextmanager
def serving(config: Path, folder: Path) -> Iterator[None]:
    service = Program("cloud", [CLOUD, "serve", "--config", str(config)], folder / "log", {})
    service.start(read_stdout=True)
    assert "is ready" in service.read_line()
    try:
        yield
    finally:
        service.stop()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A data directory with a host and three blocks, of which the relational store calls two finished."""
    folder = tmp_path / "source"
    config = settings_file(folder)
    password = folder / "password"
    password.write_text("a long pass phrase 1", encoding="utf-8")
    create = ("create-host", "Mesa Verde", "--email", "o@mesa.example", "--password-file", str(password))
    run_program([CLOUD, *create, "--config", str(config)], {})
    telemetry("fill", folder)
    with closing(sqlite3.connect(folder / "data" / "hashyard.sqlite3")) as connection:
        connection.executemany(
            "INSERT INTO projection_blocks (block_no, created_at_us, samples, done_at_us) VALUES (?, 1, 5, ?)",
            [(1, 1), (2, 1)],
        )
        connection.commit()
    return folder


@pytest.mark.parametrize("running", [True, False])
def test_a_backup_comes_back_whole(source: Path, tmp_path: Path, running: bool) -> None:
    config, copy = source / "cloud.toml", tmp_path / "copy"
    if running:
        with serving(config, source):
            told = run_program([CLOUD, "backup", str(copy), "--config", str(config)], {})
    else:
        told = run_program([CLOUD, "backup", str(copy), "--config", str(config)], {})
    assert "15 samples" in told
    assert "master.key" in told
    assert sorted(path.name for path in copy.iterdir()) == ["hashyard.sqlite3", "manifest.json", "samples.parquet"]

    other = tmp_path / "other"
    told = run_program([CLOUD, "restore", str(copy), "--config", str(settings_file(other))], {})
    # Block 3 was not finished in the relational copy: it is projected anew, not restored.
    assert "10 samples" in told
    assert hosts(other) == hosts(source) == [("Mesa Verde",)]
    assert telemetry("count", other) == "[5, 5, 0]\n"
    shutil.copyfile(source / "data" / "master.key", other / "data" / "master.key")
    (other / "data" / "master.key").chmod(0o600)
    with serving(other / "cloud.toml", other):
        pass


def fails(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([CLOUD, *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert "Traceback" not in done.stderr
    return done


def test_what_is_wrong_is_said(source: Path, tmp_path: Path) -> None:
    config, copy = source / "cloud.toml", tmp_path / "copy"
    run_program([CLOUD, "backup", str(copy), "--config", str(config)], {})
    again = fails("backup", str(copy), "--config", str(config))
    assert (again.returncode, "is not empty" in again.stderr) == (6, True)
    onto_itself = fails("restore", str(copy), "--config", str(config))
    assert (onto_itself.returncode, "empty data_dir" in onto_itself.stderr) == (6, True)
    damaged = bytearray((copy / "samples.parquet").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (copy / "samples.parquet").write_bytes(bytes(damaged))
    refused = fails("restore", str(copy), "--config", str(settings_file(tmp_path / "third")))
    assert (refused.returncode, "samples.parquet is not as it was written" in refused.stderr) == (6, True)
