"""What must be true at the end: every row the agent acknowledged to itself arrived once, intact, or is a told gap.

The agent's own acknowledgement is the commit of a row. A trigger in its database copies each row in that very
transaction, so that the oracle knows exactly what was acknowledged, whenever the process is killed.
"""

import asyncio
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hashyard_cloud.storage.telemetry.clickhouse import open_telemetry
from hashyard_shared import cycle_codec
from hashyard_shared.codec import decode_bytes
from hashyard_shared.events import EventBatch, Gap
from hashyard_shared.telemetry import Cycle, Roster

TRIGGER: Final = """
    CREATE TABLE IF NOT EXISTS acknowledged (
        seq INTEGER PRIMARY KEY, kind TEXT, cycle_at_us INTEGER, count INTEGER, body BLOB
    );
    CREATE TRIGGER IF NOT EXISTS acknowledge AFTER INSERT ON outbox BEGIN
        INSERT INTO acknowledged VALUES (NEW.seq, NEW.kind, NEW.cycle_at_us, NEW.count, NEW.body);
    END;
"""
SHOWN: Final = 5
DONE: Final = 3
"""The state of a batch that has been projected."""
Sample = tuple[int, int, int, int | None, int | None, int | None]


@dataclass(slots=True)
class Verdict:
    """The counts. `problems` are the first few findings, in words."""

    rows: int = 0
    samples: int = 0
    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    in_gaps: int = 0
    gap_reasons: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled or changed."""
        return not (self.lost or self.duplicated or self.changed)

    def tell(self, problem: str) -> None:
        """Note a finding."""
        if len(self.problems) < SHOWN:
            self.problems.append(problem)


def install(outbox: Path) -> None:
    """Let the database record what is acknowledged."""
    connection = sqlite3.connect(outbox)
    connection.executescript(TRIGGER)
    connection.close()


def judge(outbox: Path, cloud_data: Path) -> Verdict:
    """Compare both sides. Neither program may be running."""
    verdict = Verdict()
    kept = _rows(outbox, "SELECT seq, kind, cycle_at_us, count, body FROM acknowledged")
    arrived = _rows(
        cloud_data / "hashyard.sqlite3",
        "SELECT b.seq, b.kind, b.sha256, b.state, x.body FROM batches b JOIN batch_bodies x USING (batch_no)",
    )
    gaps = list(_gaps(body for _, kind, _, _, body in arrived if kind == "events"))
    verdict.gap_reasons = dict(Counter(gap.reason for gap in gaps))
    _judge_rows(verdict, kept, arrived, gaps)
    telemetry = [row for row in kept if row[1] == "telemetry"]
    delivered = {sha256 for _, _, sha256, _, _ in arrived}
    _judge_samples(verdict, telemetry, kept, delivered, cloud_data)
    return verdict


def _judge_rows(verdict: Verdict, kept: list[Any], arrived: list[Any], gaps: list[Gap]) -> None:
    times = Counter(sha256 for _, _, sha256, _, _ in arrived)
    for seq, kind, _, count, body in kept:
        verdict.rows += 1
        verdict.samples += count if kind == "telemetry" else 0
        seen = times[hashlib.sha256(body).hexdigest()]
        if seen > 1 and kind == "telemetry":
            verdict.duplicated += 1
            verdict.tell(f"row {seq} ({kind}) arrived {seen} times")
        elif not seen and any((gap.first_seq or 0) <= seq <= (gap.last_seq or -1) for gap in gaps):
            verdict.in_gaps += 1
        elif not seen:
            verdict.lost += 1
            verdict.tell(f"row {seq} ({kind}) neither arrived nor is it in a gap")
    for seq, kind, sha256, state, body in arrived:
        if hashlib.sha256(body).hexdigest() != sha256:
            verdict.changed += 1
            verdict.tell(f"row {seq} ({kind}) is stored with another body")
        if kind == "telemetry" and state != DONE:
            verdict.lost += 1
            verdict.tell(f"row {seq} arrived and was not projected (state {state})")


def _judge_samples(
    verdict: Verdict, telemetry: list[Any], kept: list[Any], delivered: set[str], cloud_data: Path
) -> None:
    """Sample by sample: what the telemetry store holds is what the delivered bodies say, each once."""
    numbers = dict(_rows(cloud_data / "hashyard.sqlite3", "SELECT miner_id, miner_no FROM miners"))
    rosters = {}
    for _, kind, _, _, body in kept:
        if kind == "roster":
            roster = Roster.model_validate_json(decode_bytes(body))
            rosters[roster.roster_id()] = [numbers.get(entry.miner_id, 0) for entry in roster.miners]
    wanted: Counter[Sample] = Counter()
    for _, _, _, _, body in telemetry:
        if hashlib.sha256(body).hexdigest() in delivered:
            wanted.update(_samples(cycle_codec.unpack(body), rosters))
    found = Counter(asyncio.run(_stored(f"chdb://{cloud_data.absolute() / 'telemetry'}")))
    missing, extra = wanted - found, found - wanted
    verdict.lost += missing.total()
    verdict.duplicated += extra.total()
    for sample in [*missing][:SHOWN]:
        verdict.tell(f"sample {sample} is not in the telemetry store")
    for sample in [*extra][:SHOWN]:
        verdict.tell(f"sample {sample} is in the telemetry store {found[sample]} times, not {wanted[sample]}")


def _samples(cycle: Cycle, rosters: dict[str, list[int]]) -> Iterator[Sample]:
    for at, miner_no in enumerate(rosters[cycle.roster_id]):
        at_ms = (cycle.cycle_at_us + (cycle.offset_ms[at] or 0) * 1_000) // 1_000
        yield (
            miner_no,
            at_ms,
            int(cycle.state[at]),
            cycle.hashrate_ths[at],
            cycle.power_w[at],
            cycle.shares_accepted[at],
        )


async def _stored(dsn: str) -> list[Sample]:
    store = await open_telemetry(dsn)
    try:
        sql = "SELECT miner_no, at_ms, state, hashrate_cths, power_w, shares_accepted FROM hashyard.samples"
        rows = await store._rows(sql, {})
        return [(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows]
    finally:
        await store.close()


def _gaps(bodies: Iterable[bytes]) -> Iterator[Gap]:
    for body in bodies:
        for event in EventBatch.model_validate(json.loads(decode_bytes(body))).events:
            if isinstance(event, Gap):
                yield event


def _rows(database: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()
