"""`trust open-snapshot` and `trust recover-snapshots`: the way back of units whose rack host is lost."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from getpass import getuser
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import BaseModel, Field, ValidationError

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_agent.adapters.files import hand_over
from hashyard_agent.cli_trust import ConfigOption
from hashyard_agent.enforcement.accepting import fresh
from hashyard_agent.enforcement.model import Change, JournalEntry, SnapshotRow
from hashyard_agent.enforcement.sealing import MAX_SEALED_CHARS, opened
from hashyard_agent.errors import SettingsError
from hashyard_agent.settings import load
from hashyard_shared.clock import SystemClock
from hashyard_shared.events import SiteControl
from hashyard_shared.protocol import MAX_UNITS_PER_SITE

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
CONTROL: Final = "snapshots-recovered"

KeyOption = Annotated[
    Path, typer.Option("--key", help="The file with the private half of the site's recovery key.")
]


class _Sealed(BaseModel):
    """One snapshot as the cloud gives it out."""

    snapshot_id: str
    unit_id: str
    sealed: str = Field(max_length=MAX_SEALED_CHARS)


class _File(BaseModel):
    """What `hashyard-cloud snapshots` writes."""

    snapshots: list[_Sealed] = Field(max_length=MAX_UNITS_PER_SITE)


def open_snapshot(
    file: Annotated[Path, typer.Argument(help="The file from `hashyard-cloud snapshots`.")], key: KeyOption
) -> None:
    """Read sealed snapshots, with the passwords in them; one JSON line for each unit."""
    for row in _opened(file, key):
        pools = [[pool.url, pool.worker, pool.password] for group in row.groups for pool in group.pools]
        shown = {"unit_id": row.unit_id, "mac": row.mac, "at_us": row.at_us, "pools": pools, "raw": dict(row.raw)}
        typer.echo(json.dumps(shown))


def recover_snapshots(
    file: Annotated[Path, typer.Argument(help="The file from `hashyard-cloud snapshots`.")],
    key: KeyOption,
    config: ConfigOption = None,
) -> None:
    """Give this box, which replaces a lost one, the way back of redirected units. The agent must not run."""
    settings = load(config)
    rows = list(_opened(file, key))
    store = SqliteEnforcementStore(settings.store.enforcement_file)
    try:
        known = {unit.unit_id for unit in store.units()}
        new = [row for row in rows if row.unit_id not in known]
        store.commit(_changes(new))
    finally:
        store.close()
        hand_over(settings.store.path)
    left = (
        f"; {len(rows) - len(new)} units are known here already and were left alone"
        if len(new) < len(rows)
        else ""
    )
    typer.echo(f"Recovered the way back of {len(new)} units{left}.")


def _changes(rows: Iterable[SnapshotRow]) -> list[Change]:
    """Units that are not at a holding pool are not touched by this: their next redirect takes a snapshot anew."""
    now_us, actor = SystemClock().now_us(), getuser()
    changes = []
    for row in rows:
        unit = replace(
            fresh(row.unit_id, row.mac, row.customer_id, ""), snapshot_id=row.snapshot_id, recovered=True
        )
        entry = JournalEntry(CONTROL, {"unit_id": row.unit_id, "snapshot_id": row.snapshot_id, "actor": actor})
        event = SiteControl(at_us=now_us, control=CONTROL, value=f"{row.unit_id}: {row.snapshot_id}", actor=actor)
        changes.append(Change(now_us, unit, row, (entry,), (event,)))
    return changes


def _opened(file: Path, key: Path) -> Iterator[SnapshotRow]:
    try:
        with file.open("rb") as source:
            sealed = _File.model_validate_json(source.read(MAX_FILE_BYTES)).snapshots
        private = key.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}") from error
    except ValidationError as error:
        raise SettingsError(f"{file} is not a file of snapshots from `hashyard-cloud snapshots`") from error
    return (opened(one.sealed, private) for one in sealed)


def add_to(app: typer.Typer) -> None:
    """Put these commands beside the others of `trust`."""
    app.command("open-snapshot")(open_snapshot)
    app.command("recover-snapshots")(recover_snapshots)
