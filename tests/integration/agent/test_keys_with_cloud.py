"""Keys changed by commands, with a real cloud process: the agent's own, and the organisation's at a site."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.world import World, closing_connection
from hashyard_agent.adapters.cloud_link import CloudHttp, HttpCloudLink
from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.cloud_time import signed_time_us, usable_keys
from hashyard_agent.desired import DesiredFeed
from hashyard_agent.enforcement_parts import trust_files
from hashyard_agent.key_change import KeyRing
from hashyard_agent.key_rotations import KeyRotations
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.settings import load
from hashyard_cloud import app_enforcement
from hashyard_cloud.adapters.secret_box import AesSecretBox
from hashyard_cloud.app import open_database
from hashyard_cloud.services.agent_keys import AgentKeys
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.settings import load as load_cloud
from hashyard_demo.processes import ProcessEndedError, run, wait_until
from hashyard_shared.clock import SystemClock
from hashyard_shared.signing import decode_base64, fingerprint, grouped

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("cloud"), seed=1, miners=1, subnet="127.20.8.0/24")
    with world.cloud_only():
        yield world


def agent_command(world: World, *arguments: str) -> str:
    return run([*world._agent_program(), *arguments, "--config", str(world.agent_config)], {})


def stored(world: World, sql: str) -> list[tuple[object, ...]]:
    with closing_connection(world.cloud_data / "hashyard.sqlite3") as connection:
        return list(connection.execute(sql))


async def take_state(world: World) -> bool:
    """One round of the agent's feed; whether the time in it was believed."""
    settings, clock = load(world.agent_config), SystemClock()
    trust = trust_files(settings)
    outbox = SqliteOutbox(world.outbox, max_bytes=12_000_000, headroom_bytes=0, clock=clock)
    try:
        async with CloudHttp(f"http://127.0.0.1:{world.cloud_port}", None, 20) as http:
            ring = KeyRing(FileIdentityStore(settings.store.path), http)
            link = HttpCloudLink(http, ring, clock, nonce=lambda: None, on_token=lambda epoch, time: None)
            identity = ring.current().identity
            taker = KeyRotations(trust, outbox, clock)
            feed = DesiredFeed(link, outbox, LinkMonitor(outbox, clock), taker.offer, site_id=identity.site_id)
            await feed.poll(0)
            if feed.current is None:
                return False
            return signed_time_us(feed.current.time, usable_keys(trust.trust()), identity.agent_id) > 0
    finally:
        outbox.close()


def test_the_agents_key_is_changed_by_a_command_and_shown_on_both_sides(world: World) -> None:
    before = FileIdentityStore(world.data).load().fingerprint
    said = agent_command(world, "rotate-key")
    after = FileIdentityStore(world.data).load().fingerprint
    assert after != before
    assert grouped(before) in said
    assert grouped(after) in said
    assert stored(world, "SELECT fingerprint, former_fingerprint FROM agents") == [(after, before)]
    status = agent_command(world, "status")
    assert f"Key       {grouped(after)}, before it {grouped(before)}" in status


def shown_keys(world: World) -> list[str]:
    return list(trust_files(load(world.agent_config)).slots().fingerprints())


def test_a_site_that_missed_two_rotations_follows_them_and_believes_the_cloud(world: World) -> None:
    pinned = world.folder / "trust.json"
    before = pinned.read_bytes()
    first = shown_keys(world)
    asyncio.run(world.rotate_signing_key())
    world._cloud_command("signing-key", "rotate", "--yes")
    assert asyncio.run(take_state(world))
    present = [row[0] for row in stored(world, "SELECT fingerprint FROM signing_keys WHERE slot = 'current'")]
    now = shown_keys(world)
    assert now[0] == present[0]
    assert not set(now) & set(first)
    assert pinned.read_bytes() == before
    said = agent_command(world, "trust")
    assert f"Key 1         {grouped(now[0])}   in use, by a signed rotation" in said
    assert f"Key 2         {grouped(now[1])}   next, by a signed rotation" in said
    # Root may make them the pinned ones; then nothing rests on the agent's own file.
    agent_command(world, "trust", "pin-rotated")
    load(world.agent_config).store.rotations_file.unlink()
    assert shown_keys(world) == now


def test_the_recovery_key_gets_a_site_back(world: World, tmp_path: Path) -> None:
    file = tmp_path / "recovery.key"
    said = world._cloud_command("signing-key", "recovery-key", "-o", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    agent_command(world, "trust", "pin-recovery-key", said.split()[-1])
    with pytest.raises(ProcessEndedError, match="already"):
        world._cloud_command("signing-key", "recovery-key", "-o", str(tmp_path / "second.key"))
    assert not (tmp_path / "second.key").exists()
    stolen = shown_keys(world)
    world._cloud_command("signing-key", "recover", "--key", str(file), "--yes")
    assert asyncio.run(take_state(world))
    now = shown_keys(world)
    assert not set(now) & set(stolen)
    said = agent_command(world, "trust")
    for key in stolen:
        assert f"Revoked       {grouped(key)}" in said
    assert f"Recovery key  {grouped(recovery_print(world))}" in said


def recovery_print(world: World) -> str:
    (row,) = stored(world, "SELECT public_key FROM signing_keys WHERE slot = 'recovery'")
    return fingerprint(decode_base64(str(row[0])))


def test_a_box_that_enrols_now_pins_the_recovery_key_by_itself(world: World, tmp_path: Path) -> None:
    trust = world.folder / "trust.json"
    trust.unlink()
    world.enrol()
    assert json.loads(trust.read_text(encoding="utf-8"))["recovery_key"] is not None
    # The chain from before leads nowhere from the fresh keys, and does no harm.
    assert asyncio.run(take_state(world))


def logged_in(world: World) -> bool:
    return stored(world, "SELECT COUNT(*) FROM agent_tokens")[0][0] != 0


async def ask_for_a_key(world: World) -> None:
    settings = load_cloud(world.folder / "cloud.toml")
    database = await open_database(settings)
    try:
        box = AesSecretBox.from_file(settings.master_key_path)
        desk = app_enforcement.enforcement(settings, SystemClock(), box).desk
        agent_id = FileIdentityStore(world.data).load().identity.agent_id
        await AgentKeys(database, SystemClock(), desk).ask(world.organisation_id(), Actor("u", "Dale"), agent_id)
    finally:
        await database.close()


def test_a_running_agent_goes_on_with_the_key_that_a_command_made_and_makes_one_when_asked(world: World) -> None:
    world.start_agent()
    try:
        wait_until(lambda: logged_in(world), "the agent is in contact", 60)
        before = FileIdentityStore(world.data).load().fingerprint
        agent_command(world, "rotate-key")
        by_command = FileIdentityStore(world.data).load().fingerprint
        assert by_command != before
        # The change ended every token of the old key: a new one was got by the running agent with the new key.
        wait_until(lambda: logged_in(world), "the running agent has taken the new key", 60)
        asyncio.run(ask_for_a_key(world))
        sql = "SELECT fingerprint, key_asked_at_us FROM agents"
        wait_until(lambda: stored(world, sql)[0][0] != by_command, "the agent made the key it was asked for", 60)
        assert stored(world, sql) == [(FileIdentityStore(world.data).load().fingerprint, None)]
        wait_until(lambda: logged_in(world), "the agent is in contact with it", 60)
    finally:
        if world.agent is not None:
            world.agent.stop()
