"""A rack host dies with redirected units: the box that replaces it gets their way back from sealed snapshots."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import Snapshot
from hashyard_shared.orders import OrderKind
from hashyard_shared.signing import encode_base64
from hashyard_support.enforcement import HOLDING, Site, farm_of, true_pools

LIMIT_S = 30
pytestmark = pytest.mark.timeout(150)


def die(folder: Path) -> None:
    """The box is gone, with all it knew."""
    for file in folder.glob("enforcement.db*"):
        file.unlink()


def move_in(folder: Path) -> None:
    """What the command wrote is where the enforcer of these tests looks."""
    for file in (folder / "data").glob("enforcement.db*"):
        shutil.copy2(file, folder / file.name)


def command(folder: Path, *arguments: str, config: bool = False) -> subprocess.CompletedProcess[str]:
    settings = folder / "agent.toml"
    settings.write_text(
        f'name = "new-box"\n[cloud]\nurl = "http://127.0.0.1:9"\n[store]\npath = "{folder / "data"}"\n'
        f'[enforcement]\ntrust_file = "{folder / "trust.json"}"\n',
        encoding="utf-8",
    )
    line = [sys.executable, "-m", "hashyard_agent.cli", "trust", *arguments]
    line += ["--config", str(settings)] if config else []
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


async def test_the_replacing_box_restores_what_the_lost_one_had_moved(tmp_path: Path) -> None:
    key = X25519PrivateKey.generate()
    private = tmp_path / "site.key"
    private.write_text(encode_base64(key.private_bytes_raw()), encoding="ascii")
    async with farm_of({"antminer-s19": 2}) as farm:
        before = [true_pools(device) for device in farm.devices]
        site = Site(farm, tmp_path)
        site.pin(
            site.trust().model_copy(update={"snapshot_key": encode_base64(key.public_key().public_bytes_raw())})
        )
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.level >= 3)
        sealed = [event for event in site.outbox.sent if isinstance(event, Snapshot)]
        assert len(sealed) == 2
        lost = SqliteEnforcementStore(tmp_path / "enforcement.db", owner=False)
        customer = {unit.unit_id: unit.customer_id for unit in lost.units()}
        lost.close()
        die(tmp_path)
        assert all(true_pools(device)[0][0] == HOLDING.url for device in farm.devices)
        assert set(customer.values()) == {"cust-1"}

        given_out = tmp_path / "snapshots.json"
        given_out.write_text(json.dumps({"snapshots": [event.model_dump(mode="json") for event in sealed]}))
        done = command(tmp_path, "recover-snapshots", str(given_out), "--key", str(private), config=True)
        assert done.returncode == 0, done.stderr
        assert "Recovered the way back of 2 units." in done.stdout
        shown = command(tmp_path, "open-snapshot", str(given_out), "--key", str(private))
        assert before[0][0][0] in shown.stdout
        move_in(tmp_path)

        # The new box hears the same wishes under its own epoch.
        site.epoch += 1
        async with site.running():
            # A renewed lease finds the unit at the holding pool, and does not take that for the customer's pool.
            site.command(OrderKind.REDIRECT, units=["unit-0"])
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.level >= 3, units=["unit-0"])
            site.command(OrderKind.RESTORE)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.phase == "restored" and row.level >= 3)
        assert [true_pools(device) for device in farm.devices] == before


async def test_without_the_snapshots_nothing_is_guessed(tmp_path: Path) -> None:
    async with farm_of({"antminer-s19": 1}) as farm:
        site = Site(farm, tmp_path)
        async with site.running():
            site.command(OrderKind.REDIRECT)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.level >= 3)
        die(tmp_path)
        async with site.running():
            site.command(OrderKind.RESTORE)
            async with asyncio.timeout(LIMIT_S):
                await site.until(lambda row: row.code is ErrorCode.NO_SNAPSHOT)
        assert true_pools(farm.devices[0])[0][0] == HOLDING.url
