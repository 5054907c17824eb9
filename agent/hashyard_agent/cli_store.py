"""`status` and `buffer`: what the local store says, whether the agent runs or not."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import typer

from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.errors import SettingsError
from hashyard_agent.health import read_health
from hashyard_agent.link_state import LinkState, read_link_state
from hashyard_agent.settings import Settings, load
from hashyard_agent.text import ago, duration, size
from hashyard_shared.clock import Clock, SystemClock, iso
from hashyard_shared.signing import grouped

if TYPE_CHECKING:
    from hashyard_agent.backlog import OutboxStats

SHOWN_GAPS: Final = 20
STALE_HEALTH_S: Final = 180


@contextmanager
def _outbox(settings: Settings, clock: Clock) -> Iterator[SqliteOutbox]:
    store = settings.store
    outbox = SqliteOutbox(
        store.outbox_file, max_bytes=store.max_bytes, headroom_bytes=0, clock=clock, read_only=True
    )
    try:
        yield outbox
    finally:
        outbox.close()


def show_status(config: Path | None, *, as_json: bool) -> None:
    """Print who the agent is, whether it runs, its link, its miners and its outbox."""
    clock = SystemClock()
    settings = load(config)
    identity = FileIdentityStore(settings.store.path).enrolled()
    if identity is None:
        typer.echo(
            "Not enrolled. Get a code on the site's page in the cloud, then: hashyard-agent enroll --code ..."
        )
        return
    with _outbox(settings, clock) as outbox:
        link, health, stats = read_link_state(outbox), read_health(outbox), outbox.stats()
    if as_json:
        document = {
            "identity": identity.model_dump(),
            "link": link.model_dump(),
            "health": health.model_dump() if health else None,
            "outbox": asdict(stats),
        }
        typer.echo(json.dumps(document))
        return
    now_us = clock.now_us()
    typer.echo(f"{identity.site_name} · {identity.name} · {identity.organisation_name}")
    former = f", before it {grouped(identity.former_fingerprint)}" if identity.former_fingerprint else ""
    typer.echo(f"Key       {grouped(identity.key_fingerprint)}{former}")
    typer.echo(f"Link      {link_text(link, now_us)}")
    if health is None:
        typer.echo("Agent     has not run yet; start it with: hashyard-agent run")
    else:
        stale = now_us - health.at_us > STALE_HEALTH_S * 1_000_000
        running = "last seen" if stale else "running, seen"
        typer.echo(f"Agent     {running} {ago(now_us - health.at_us)}, version {health.version}")
        typer.echo(f"Miners    {health.miners_found:,} found, a cycle takes {health.cycle_s:.1f} s")
        if health.emergency_stop:
            typer.echo("Writes    frozen by the emergency stop")
        elif health.shadow_mode:
            typer.echo("Writes    shadow mode: everything but the write")
        for note in health.notes:
            typer.echo(f"Note      {note}")
    typer.echo(f"Outbox    {_depth(stats, now_us)}")


def link_text(link: LinkState, now_us: int) -> str:
    """The state of the link in words."""
    if link.up is None:
        return "not tried yet"
    since = duration(now_us - link.since_us)
    return f"up for {since}" if link.up else f"down for {since}: {link.last_error}"


def _depth(stats: "OutboxStats", now_us: int) -> str:
    if stats.rows == 0:
        waits = "nothing waits"
    else:
        oldest = ago(now_us - stats.oldest_us) if stats.oldest_us is not None else "-"
        waits = f"{stats.rows:,} rows ({stats.samples:,} samples) wait, the oldest from {oldest}"
    lost = f"{stats.gap_cycles:,} cycles lost" if stats.gap_cycles else "nothing dropped"
    return f"{waits} · {size(stats.used_bytes)} of {size(stats.max_bytes)} · {lost}"


def show_buffer(config: Path | None, *, as_json: bool) -> None:
    """Print depth, age, rate, room and the newest gaps."""
    clock = SystemClock()
    settings = load(config)
    with _outbox(settings, clock) as outbox:
        stats, gaps = outbox.stats(), outbox.gaps(SHOWN_GAPS)
    if as_json:
        document = asdict(stats) | {"gaps": [row.gap.model_dump() | {"reported": row.reported} for row in gaps]}
        typer.echo(json.dumps(document))
        return
    typer.echo(_depth(stats, clock.now_us()))
    rate = bytes_per_day(stats)
    if rate:
        left = (stats.max_bytes - stats.used_bytes) / rate * 86_400 * 1_000_000
        typer.echo(f"At {size(int(rate))} a day there is room for {duration(int(left))}.")
    typer.echo(f"{stats.urgent_rows:,} of the rows go first; {stats.set_aside_rows:,} are set aside as unusable.")
    for row in gaps:
        gap = row.gap
        told = "told to the cloud" if row.reported else "not told yet"
        typer.echo(
            f"gap  {iso(gap.from_us)} to {iso(gap.to_us)}  {gap.cycles:,} cycles, {gap.samples:,} samples  "
            f"{gap.reason}  {told}"
        )


def bytes_per_day(stats: "OutboxStats") -> float:
    """How fast the outbox grows without a link, from what waits; 0 when that cannot be told yet."""
    if stats.oldest_us is None or stats.newest_us is None or stats.newest_us - stats.oldest_us < 60 * 1_000_000:
        return 0.0
    return stats.body_bytes / ((stats.newest_us - stats.oldest_us) / (86_400 * 1_000_000))


def export(config: Path | None, output: Path, form: str) -> None:
    """Write what waits. Errors: `SettingsError` for an unknown form, `StoreError`."""
    from hashyard_agent.export import csv_lines, json_lines  # noqa: PLC0415 - only export needs telemetry models

    forms = {"csv": csv_lines, "jsonl": json_lines}
    if form not in forms:
        raise SettingsError(f"--format {form!r} is not known; use csv or jsonl")
    settings = load(config)
    with _outbox(settings, SystemClock()) as outbox:
        lines = forms[form](outbox.rows(), outbox.roster)
        if str(output) == "-":
            count = _write(sys.stdout, lines)
        else:
            with output.open("w", encoding="utf-8", newline="") as file:
                count = _write(file, lines)
    typer.echo(f"Wrote {count:,} lines; nothing was removed from the outbox.", err=True)


def _write(file: TextIO, lines: Iterator[str]) -> int:
    count = 0
    for line in lines:
        file.write(line + "\n")
        count += 1
    return count
