"""The technician's commands as programs, without a cloud: there, back, stop, trust, journal."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.identity import AgentIdentity
from hashyard_agent.trust import Trust
from hashyard_shared.clock import SystemClock
from hashyard_shared.signing import encode_base64, fingerprint, new_private_key, public_bytes
from hashyard_support.enforcement import HOLDING, ORGANISATION_ID, SITE_ID
from hashyard_support.site import SimulatedSite

pytestmark = pytest.mark.timeout(180)
KEY = new_private_key()


class Shop:
    """One machine on site: settings, identity, trust, and a simulated site."""

    def __init__(self, folder: Path, site: SimulatedSite, subnet: str) -> None:
        self.site = site
        self.config = folder / "agent.toml"
        self.store = folder / "store"
        self.config.write_text(
            f'[cloud]\nurl = "https://cloud.example"\n[site]\nsubnets = ["{subnet}"]\n'
            f'[store]\npath = "{self.store}"\n'
            f'[enforcement]\ntrust_file = "{folder / "trust.json"}"\nconfirm_interval_s = 0.1\n'
        )
        identities = FileIdentityStore(self.store)
        key = identities.new_key()
        identities.adopt(
            AgentIdentity(
                agent_id="agent-1",
                name="agent",
                organisation_id=ORGANISATION_ID,
                organisation_name="Host",
                site_id=SITE_ID,
                site_name="North",
                timezone="UTC",
                epoch=1,
                key_fingerprint=fingerprint(public_bytes(key)),
                cloud_url="https://cloud.example",
                enrolled_at_us=1,
            )
        )
        SqliteOutbox(self.store / "outbox.db", max_bytes=10_000_000, headroom_bytes=0, clock=SystemClock()).close()
        trust = Trust(
            organisation_id=ORGANISATION_ID,
            site_id=SITE_ID,
            signing_keys=(encode_base64(public_bytes(KEY)),),
            holding_pools=(HOLDING,),
        )
        (folder / "trust.json").write_text(trust.model_dump_json())
        (folder / "trust.json").chmod(0o640)

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "hashyard_agent.cli", *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    subnet = f"127.30.{random.randrange(64, 200)}.{8 * random.randrange(28, 31)}/29"
    with SimulatedSite.start(subnet, {"antminer-s19": 1}, "--restart-seconds", "0.2") as site:
        yield Shop(tmp_path, site, subnet)


def test_there_and_back_by_hand_without_agent_and_cloud(shop: Shop) -> None:
    miner = shop.site.miners()[0]
    before = shop.site.truth(miner["ip"])
    told = shop.run("redirect", miner["mac"], "--pool", "main", "--yes", "--wait", "30")
    assert "redirected" in told
    during = shop.site.truth(miner["ip"])
    assert during["pools"][0]["url"] == HOLDING.url
    assert json.loads(shop.run("units", "--json"))[0]["phase"] == "redirected"

    told = shop.run("restore", miner["mac"], "--wait", "30")
    assert "restored" in told
    after = shop.site.truth(miner["ip"])
    names = ("url", "user", "password")
    assert [[p[n] for n in names] for p in after["pools"]] == [[p[n] for n in names] for p in before["pools"]]
    assert after["settings"] == before["settings"]
    assert "Whole" in shop.run("journal", "verify")
    assert "local-command" in shop.run("journal", "show")


def test_a_stop_holds_even_a_command_by_hand(shop: Shop) -> None:
    miner = shop.site.miners()[0]
    shop.run("stop", "--reason", "smoke in the hall")
    told = shop.run("redirect", miner["mac"], "--pool", "main", "--yes", "--wait", "3", code=1)
    assert "emergency-stop" in told
    assert shop.site.truth(miner["ip"])["counters"]["writes"] == 0
    shop.run("resume")
    shop.run("redirect", miner["mac"], "--pool", "stranger", "--yes", code=5)


def test_trust_is_listed_and_changed_with_fingerprints(shop: Shop) -> None:
    assert fingerprint(public_bytes(KEY))[:4] in shop.run("trust", "list")
    second = encode_base64(public_bytes(new_private_key()))
    shop.run("trust", "add-key", second)
    shop.run("trust", "add-key", encode_base64(public_bytes(new_private_key())), code=2)
    shop.run("trust", "remove-key", fingerprint(public_bytes(KEY)), "--revoke")
    shop.run("trust", "add-pool", "spare", "stratum+tcp://s.example:1", "host.{unit}", "--password", "p")
    listed = shop.run("trust", "list")
    assert "spare" in listed
    assert "Revoked" in listed
    assert "(1 characters)" in listed
    shop.run("pools", "record", "cust-1", "stratum+tcp://a.example:1", "acme.{unit}", "--password", "x")
    shop.run("pools", "assign", "cust-1")
    assert "assigned" in shop.run("pools", "list")
    assert "trust-pool-pinned" in shop.run("journal", "show")


def test_an_edited_line_of_the_journal_is_named(shop: Shop) -> None:
    shop.run("trust", "accept-inexact", "unit-1", "--by", "the host")
    shop.run("trust", "accept-inexact", "unit-2", "--by", "the host")
    import sqlite3  # noqa: PLC0415 - the forger's tool, here alone

    with sqlite3.connect(shop.store / "enforcement.db") as database:
        database.execute("UPDATE journal SET text = replace(text, 'unit-1', 'unit-9') WHERE idx = 0")
    database.close()
    assert "BROKEN at line 0" in shop.run("journal", "verify", code=6)
