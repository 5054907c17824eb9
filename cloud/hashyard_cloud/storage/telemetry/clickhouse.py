"""The telemetry store over clickhouse-connect.

chDB allows one instance in a process and is not to be called from several threads, so one dedicated thread owns
the client, whichever engine the DSN names. It does not keep a second process off its directory; a lock file does.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import clickhouse_connect
import numpy as np
import pyarrow as pa

from hashyard_cloud.errors import MalformedError, StoreError, TelemetryBusyError
from hashyard_cloud.services.ports.telemetry import MAX_BUCKETS, MAX_SERIES_MINERS, SeriesPoint
from hashyard_cloud.storage.telemetry import schema
from hashyard_shared.clock import US_PER_MS, utc
from hashyard_shared.telemetry import COLUMN_SCALES

_Answer = TypeVar("_Answer")
MS_PER_S: Final = 1_000
CHDB_SCHEME: Final = "chdb://"
_HASHRATE_SCALE: Final = COLUMN_SCALES["hashrate_ths"]


class ClickHouseTelemetry:
    """Implements `services.ports.telemetry.TelemetryStore`; made by `open_telemetry`."""

    def __init__(self, thread: ThreadPoolExecutor, client: Any, lock: int | None) -> None:
        self._thread = thread
        self._client = client
        self._lock = lock

    async def insert_block(self, block_no: int, samples: Any) -> None:
        await self._insert(block_no, samples, f"block-{block_no}")

    async def _insert(self, block_no: int, samples: Any, token: str) -> None:
        numbered = samples.append_column("block_no", pa.array(np.full(samples.num_rows, block_no, np.uint32)))
        settings = {"insert_deduplication_token": token}
        await self._call(lambda: self._client.insert_arrow(schema.TABLE, numbered, settings=settings))

    async def count_block(self, block_no: int) -> int:
        query = f"SELECT count() FROM {schema.TABLE} WHERE block_no = {{block:UInt32}}"  # noqa: S608 - our own name
        return int((await self._rows(query, {"block": block_no}))[0][0])

    async def count_blocks(self, first: int, last: int) -> dict[int, int]:
        query = (
            f"SELECT block_no, count() FROM {schema.TABLE}"  # noqa: S608 - our own name
            " WHERE block_no BETWEEN {first:UInt32} AND {last:UInt32} GROUP BY block_no"
        )
        return {row[0]: row[1] for row in await self._rows(query, {"first": first, "last": last})}

    async def replace_block(self, block_no: int, samples: Any) -> None:
        await self.delete_blocks([block_no])
        # Under its usual token the engine would take it for what was there before.
        await self._insert(block_no, samples, f"block-{block_no}-{uuid4()}")

    async def count(self) -> int:
        query = f"SELECT count() FROM {schema.TABLE}"  # noqa: S608 - our own name
        return int((await self._rows(query, {}))[0][0])

    async def delete_blocks(self, block_nos: Sequence[int]) -> None:
        statement = f"ALTER TABLE {schema.TABLE} DELETE WHERE block_no IN {{blocks:Array(UInt32)}}"
        await self._command(statement, {"blocks": list(block_nos)}, {"mutations_sync": 1})

    async def last_block(self) -> int:
        """The highest block number stored, 0 for none."""
        return int((await self._rows(f"SELECT max(block_no) FROM {schema.TABLE}", {}))[0][0])  # noqa: S608 - our own

    async def export_blocks(self, first: int, end: int) -> Any:
        """A pyarrow Table of all samples of the blocks `[first, end)`, with their `block_no`, for a backup."""
        query = (
            f"SELECT * FROM {schema.TABLE} "  # noqa: S608 - our own name
            "WHERE block_no >= {first:UInt32} AND block_no < {end:UInt32} ORDER BY block_no"
        )
        return await self._call(lambda: self._client.query_arrow(query, parameters={"first": first, "end": end}))

    async def series(self, miner_nos: Sequence[int], from_us: int, to_us: int, bucket_s: int) -> list[SeriesPoint]:
        bucket_ms = bucket_s * MS_PER_S
        from_ms = from_us // US_PER_MS // bucket_ms * bucket_ms
        to_ms = -(-to_us // US_PER_MS)
        buckets = max(0, -(-(to_ms - from_ms) // bucket_ms))
        if buckets > MAX_BUCKETS:
            raise MalformedError(f"more than {MAX_BUCKETS} points; choose a longer bucket", field="bucket_s")
        if len(miner_nos) > MAX_SERIES_MINERS:
            raise MalformedError(f"more than {MAX_SERIES_MINERS} miners in one chart")
        found = {}
        if buckets and miner_nos:
            bounds = {"from_ms": from_ms, "to_ms": to_ms, "bucket_ms": bucket_ms, "miners": list(miner_nos)}
            found = {row[0]: row for row in await self._rows(schema.SERIES, bounds)}
        return [_point((from_ms + place * bucket_ms) * US_PER_MS, found.get(place)) for place in range(buckets)]

    async def drop_before(self, before_us: int) -> None:
        month = utc(before_us).strftime("%Y%m")
        query = (
            "SELECT DISTINCT partition FROM system.parts WHERE database = {database:String} AND table = 'samples'"
            " AND active AND partition != '0' AND toUInt32(partition) < {month:UInt32}"
        )
        for (partition,) in await self._rows(query, {"database": schema.DATABASE, "month": month}):
            await self._command(f"ALTER TABLE {schema.TABLE} DROP PARTITION {int(partition)}", {}, {})

    async def close(self) -> None:
        await self._call(self._client.close)
        self._thread.shutdown(wait=True)
        if self._lock is not None:
            os.close(self._lock)

    async def _rows(self, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = await self._call(
            lambda: self._client.query(query, parameters=parameters).result_rows
        )
        return rows

    async def _command(self, statement: str, parameters: dict[str, Any], settings: dict[str, Any]) -> None:
        await self._call(lambda: self._client.command(statement, parameters=parameters, settings=settings))

    async def _call(self, work: Callable[[], _Answer]) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


async def open_telemetry(dsn: str) -> ClickHouseTelemetry:
    """Connect and make the table; raises `StoreError` that says what is wrong with the DSN or the directory."""
    lock = _lock(Path(urlsplit(dsn).path)) if dsn.startswith(CHDB_SCHEME) else None
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="telemetry")
    try:
        client = await asyncio.get_running_loop().run_in_executor(thread, _connect, dsn)
    except Exception as error:  # the driver's and the engine's own errors have no common root
        thread.shutdown(wait=True)
        if lock is not None:
            os.close(lock)
        raise StoreError(f"cannot open the telemetry store {_shown(dsn)}: {error}") from error
    return ClickHouseTelemetry(thread, client, lock)


def _lock(directory: Path) -> int:
    """Own the directory until this process ends or closes the descriptor."""
    try:
        descriptor = os.open(directory.with_name(f"{directory.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"cannot open the telemetry store in {directory}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise TelemetryBusyError(
            f"another process uses the telemetry store in {directory}; for several, set telemetry_dsn to a server"
        ) from error
    return descriptor


def _connect(dsn: str) -> Any:
    client = clickhouse_connect.get_client(dsn=dsn)
    for statement in schema.CREATE:
        client.command(statement)
    return client


def _shown(dsn: str) -> str:
    """The DSN without what may be a password."""
    scheme, _, rest = dsn.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _point(at_us: int, row: Sequence[Any] | None) -> SeriesPoint:
    if row is None:
        return SeriesPoint(
            at_us=at_us,
            miners=0,
            online=0,
            hashrate_ths=None,
            power_w=None,
            temp_chip_max_c=None,
            working_ratio=None,
        )
    _, miners, online, hashrate, power, temp, working = row
    return SeriesPoint(
        at_us=at_us,
        miners=miners,
        online=online,
        hashrate_ths=None if hashrate is None else hashrate / _HASHRATE_SCALE,
        power_w=power,
        temp_chip_max_c=temp,
        working_ratio=working,
    )
