"""A consistent copy of both stores in one folder, and the way back from it.

The relational copy is taken first, in one transaction; the samples after it. Samples that came in between belong
to blocks which the relational copy does not call finished: they are left out at the restore and projected anew
from their bodies. The key that opens the signing keys is not copied: a backup by itself cannot sign.
"""

import asyncio
import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import URL, select

from hashyard_cloud.errors import BackupError
from hashyard_cloud.storage.database import SqlDatabase
from hashyard_cloud.storage.tables.ingest import BLOCKS
from hashyard_cloud.storage.telemetry.clickhouse import ClickHouseTelemetry
from hashyard_shared.clock import Clock

MANIFEST: Final = "manifest.json"
SQLITE_COPY: Final = "hashyard.sqlite3"
POSTGRES_COPY: Final = "hashyard.pgdump"
SAMPLES: Final = "samples.parquet"
BLOCKS_PER_PART: Final = 64
DUMP_TIMEOUT_S: Final = 3_600
_HASH_BYTES: Final = 1 << 20


class CopiedFile(BaseModel):
    """One file of a backup."""

    name: str = Field(pattern=r"^[a-z0-9.-]+$")
    size_bytes: int
    sha256: str


class Manifest(BaseModel):
    """Written last: a folder with a manifest is a whole backup."""

    format: int = 1
    taken_us: int
    samples: int
    files: list[CopiedFile] = Field(max_length=8)


async def back_up(database: SqlDatabase, telemetry: ClickHouseTelemetry, clock: Clock, folder: Path) -> Manifest:
    """Copy both stores into an empty folder, while they are in use. Errors: `BackupError`."""
    taken_us = clock.now_us()
    try:
        await asyncio.to_thread(_claim, folder)
        relational = await asyncio.to_thread(_copy_relational, database.engine.url, folder)
        samples = await _export_samples(telemetry, folder / SAMPLES)
        files = [await asyncio.to_thread(_seal, folder / name) for name in (relational, SAMPLES)]
        manifest = Manifest(taken_us=taken_us, samples=samples, files=files)
        await asyncio.to_thread(_write_durably, folder / MANIFEST, manifest.model_dump_json(indent=2))
    except (OSError, sqlite3.Error, pa.ArrowException) as error:
        raise BackupError(f"the backup into {folder} failed: {error}") from error
    return manifest


def check(folder: Path) -> Manifest:
    """Whether this backup is whole; raises `BackupError` that names the file which is not."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        for file in manifest.files:
            if _hash(folder / file.name) != file.sha256:
                raise BackupError(f"{folder / file.name} is not as it was written; use another backup")
    except (OSError, ValidationError) as error:
        raise BackupError(f"{folder} is not a whole backup: {error}") from error
    return manifest


def restore_relational(folder: Path, database_file: Path) -> None:
    """Put the relational copy where the service looks for it; nothing may be there yet."""
    source = folder / SQLITE_COPY
    if not source.exists():
        raise BackupError(f"{folder} holds a PostgreSQL dump; restore {POSTGRES_COPY} with pg_restore first")
    if database_file.exists():
        raise BackupError(f"{database_file} exists; restore into an empty data_dir")
    try:
        shutil.copyfile(source, database_file)
        database_file.chmod(0o600)
    except OSError as error:
        raise BackupError(f"cannot write {database_file}: {error.strerror}") from error


async def restore_samples(database: SqlDatabase, telemetry: ClickHouseTelemetry, folder: Path) -> int:
    """Insert the samples of blocks that the relational store calls finished; how many."""
    async with database.engine.connect() as connection:
        done = select(BLOCKS.c.block_no).where(BLOCKS.c.done_at_us.is_not(None))
        rows = await connection.execute(done)
        finished = set(rows.scalars())
    count = 0
    parts = _parts(folder / SAMPLES)
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        for block_no in sorted(set(part["block_no"].unique().to_pylist()) & finished):
            block = part.filter(pc.equal(part["block_no"], block_no)).drop_columns(["block_no"])
            await telemetry.insert_block(block_no, block)
            count += block.num_rows
    return count


def _claim(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty; name a new folder for each backup")


def _parts(path: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)


def _copy_relational(url: URL, folder: Path) -> str:
    if url.get_backend_name() == "sqlite":
        # A read transaction of its own: complete and consistent however much is written meanwhile.
        with sqlite3.connect(f"file:{url.database}?mode=ro", uri=True) as source:
            source.execute("VACUUM INTO ?", (str(folder / SQLITE_COPY),))
        source.close()
        return SQLITE_COPY
    pg_dump = shutil.which("pg_dump")
    if pg_dump is None:
        raise BackupError("pg_dump is needed to copy a PostgreSQL store; install the PostgreSQL client")
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    done = subprocess.run(  # noqa: S603 - found on PATH, the DSN is the operator's own
        [pg_dump, "--format=custom", f"--file={folder / POSTGRES_COPY}", plain],
        env={"PGPASSWORD": url.password or ""},
        capture_output=True,
        text=True,
        timeout=DUMP_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise BackupError(f"pg_dump failed: {done.stderr.strip()[-500:]}")
    return POSTGRES_COPY


async def _export_samples(telemetry: ClickHouseTelemetry, path: Path) -> int:
    """Block by block, so that memory stays bounded whatever the store holds."""
    writer: pq.ParquetWriter | None = None
    count = 0
    try:
        for first in range(0, await telemetry.last_block() + 1, BLOCKS_PER_PART):
            part = await telemetry.export_blocks(first, first + BLOCKS_PER_PART)
            if writer is None:
                writer = pq.ParquetWriter(path, part.schema, compression="zstd")
            if part.num_rows:
                await asyncio.to_thread(writer.write_table, part, max(1, part.num_rows))
            count += part.num_rows
    finally:
        if writer is not None:
            writer.close()
    return count


def _seal(path: Path) -> CopiedFile:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.chmod(0o600)
    return CopiedFile(name=path.name, size_bytes=path.stat().st_size, sha256=_hash(path))


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _write_durably(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
