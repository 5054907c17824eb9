"""An agent's own key, changed over the wire, broken off at every step, by the agent and by the command."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hashyard_agent.adapters.cloud_link import CloudHttp, HttpCloudLink
from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.errors import CloudRefusedError, CloudUnreachableError
from hashyard_agent.identity import AgentIdentity, Credentials, Keys, PendingKey
from hashyard_agent.key_change import KeyChanges, KeyRing
from hashyard_agent.link_state import LinkMonitor
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.web import keys
from hashyard_shared.agent_keys import AgentKeyAnswer, AgentKeyRequest
from hashyard_shared.clock import SystemClock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import DesiredState
from hashyard_shared.signing import decode_base64, encode_base64, fingerprint, new_private_key, public_bytes

OWNER = Actor("user-1", "Dale Owner")


class KilledError(Exception):
    """The process ended here."""


class MortalFiles(FileIdentityStore):
    """The real files, in a process that ends before or after a step."""

    def __init__(self, folder: Path, kill: str) -> None:
        super().__init__(folder)
        self._kill = kill

    def prepare(self, asked: str) -> PendingKey:
        self._end("before the key is durable")
        pending = super().prepare(asked)
        self._end("with a pending key")
        return pending

    def new_key(self) -> Any:
        key = super().new_key()
        self._end("with a key that nothing names")
        return key

    def promote(self, pending: PendingKey) -> Credentials:
        self._end("before the switch")
        return super().promote(pending)

    def _forget_all_but(self, key_fingerprint: str) -> None:
        self._end("after the switch")
        super()._forget_all_but(key_fingerprint)

    def _end(self, where: str) -> None:
        if where == self._kill:
            raise KilledError(where)


class MortalLink:
    """The real calls; one of them never goes out, or its answer never comes in."""

    def __init__(self, http: CloudHttp, kill: str) -> None:
        self._http = http
        self._kill = kill

    async def challenge(self, agent_id: str) -> str:
        return await self._http.challenge(agent_id)

    async def change_key(self, request: AgentKeyRequest) -> AgentKeyAnswer:
        if self._kill == "request lost":
            raise KilledError
        answer = await self._http.change_key(request)
        if self._kill == "answer lost":
            raise KilledError
        return answer


KILLS = (
    "before the key is durable",
    "with a key that nothing names",
    "with a pending key",
    "request lost",
    "answer lost",
    "before the switch",
    "after the switch",
)


@pytest.fixture
async def http(cloud: Any) -> AsyncIterator[CloudHttp]:
    async with CloudHttp(cloud.url, None, 20) as link:
        yield link


@pytest.fixture
async def files(cloud: Any, tmp_path: Path) -> FileIdentityStore:
    """An agent that was enrolled with a key of its own on disk."""
    folder = tmp_path / "agent"
    store = FileIdentityStore(folder)
    agent = cloud.stranger()
    agent.key = store.new_key()
    assert (await agent.enrol(await cloud.code()))[0] == 200
    enrolled = agent.enrolled
    store.adopt(
        AgentIdentity(
            agent_id=enrolled.agent_id,
            name="rack-host",
            organisation_id=enrolled.organisation_id,
            organisation_name=enrolled.organisation_name,
            site_id=enrolled.site_id,
            site_name=enrolled.site_name,
            timezone=enrolled.timezone,
            epoch=enrolled.epoch,
            key_fingerprint=fingerprint(public_bytes(agent.key)),
            cloud_url=cloud.url,
            enrolled_at_us=1,
        )
    )
    return store


def link_of(http: CloudHttp, ring: Keys) -> HttpCloudLink:
    return HttpCloudLink(http, ring, SystemClock(), nonce=lambda: None, on_token=lambda epoch, time: None)


async def known(cloud: Any, files: FileIdentityStore) -> Any:
    async with cloud.database.reading() as tx:
        return await tx.agents.by_id(files.load().identity.agent_id)


async def told(cloud: Any) -> list[str]:
    async with cloud.database.reading() as tx:
        rows = await tx.activity.all(cloud.organisation_id, limit=100)
    return [row.text for row in rows if row.action == "agent.key-changed"]


async def test_a_new_key_counts_on_both_sides_and_the_old_one_no_more(
    cloud: Any, http: CloudHttp, files: Any
) -> None:
    ring = KeyRing(files, http)
    old = ring.current()
    link = link_of(http, ring)
    await link.desired(None, 0)
    changed = await ring.change()
    row = await known(cloud, files)
    assert (changed.old, changed.new) == (old.fingerprint, row.fingerprint)
    assert row.former_fingerprint == old.fingerprint
    assert row.key_changed_at_us is not None
    assert files.load().fingerprint == row.fingerprint
    assert files.load().identity.former_fingerprint == old.fingerprint
    (text,) = await told(cloud)
    assert "has a new key" in text
    # The token of the old key is worth nothing any more; the link gets one with the new key by itself.
    assert await link.desired(None, 0) is not None
    with pytest.raises(CloudRefusedError, match="not signed with this agent's key") as caught:
        await link_of(http, old).desired(None, 0)
    assert caught.value.code is ErrorCode.KEY_MISMATCH


@pytest.mark.parametrize("kill", KILLS)
async def test_a_change_that_broke_off_is_finished_or_never_was(
    cloud: Any, http: CloudHttp, files: FileIdentityStore, tmp_path: Path, kill: str
) -> None:
    folder = tmp_path / "agent"
    before = files.load().fingerprint
    with pytest.raises(KilledError):
        await KeyRing(MortalFiles(folder, kill), MortalLink(http, kill)).change()
    # The agent starts again and first just talks to the cloud: whichever key counts there, it gets in.
    ring = KeyRing(FileIdentityStore(folder), http)
    assert await link_of(http, ring).desired(None, 0) is not None
    row = await known(cloud, files)
    assert ring.current().fingerprint == row.fingerprint
    # Then the change is made again, or finished: there is one new key, and nothing is left of others.
    if ring.unfinished() or ring.current().fingerprint == before:
        await ring.change()
    await ring.tidy()
    row = await known(cloud, files)
    assert ring.current().fingerprint == row.fingerprint != before
    assert [file.name for file in folder.glob("agent-*.key")] == [f"agent-{row.fingerprint}.key"]
    assert not (folder / "new-key.json").exists()
    assert len(await told(cloud)) == 1


async def test_the_host_asks_and_the_agent_answers_once(
    cloud: Any, http: CloudHttp, files: FileIdentityStore, tmp_path: Path
) -> None:
    before = files.load()
    await cloud.app[keys.AGENT_KEYS].ask(cloud.organisation_id, OWNER, before.identity.agent_id)
    state: dict[str, str] = {}

    class Memory:
        def state(self, key: str) -> str | None:
            return state.get(key)

        def set_state(self, key: str, value: str) -> None:
            state[key] = value

    ring = KeyRing(files, http)
    link = link_of(http, ring)
    changes = KeyChanges(ring, LinkMonitor(Memory(), SystemClock()))
    found = await link.desired(None, 0)
    assert found is not None
    asking = found[0]
    changes.offer(asking)
    running = asyncio.create_task(changes.run())
    async with asyncio.timeout(30):
        while ring.current().fingerprint == before.fingerprint:  # noqa: ASYNC110 - a file has no event to wait on
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await known(cloud, files)).key_asked_at_us is None
    found = await link.desired(None, 0)
    assert found is not None
    assert found[0].tasks == []
    # After a restart the kept document still asks; it was answered, so nothing is changed again.
    after = ring.current().fingerprint
    await KeyRing(files, http).change(asking.tasks[0].task_id)
    assert files.load().fingerprint == after


async def test_a_suspected_copy_gets_no_orders_but_is_asked_for_its_key(cloud: Any) -> None:
    agent = await cloud.agent()
    async with cloud.database.transaction() as tx:
        await tx.agents.rotate_nonce(cloud.organisation_id, agent.enrolled.agent_id, "n2", "n1", 1)
    await cloud.app[keys.AGENT_KEYS].ask(cloud.organisation_id, OWNER, agent.enrolled.agent_id)
    _, body, _ = await agent.call("GET", "desired")
    document = DesiredState.model_validate(body)
    assert [task.kind for task in document.tasks] == ["rotate-key"]


async def test_the_copy_of_a_box_is_out_once_the_key_was_changed(
    cloud: Any, http: CloudHttp, files: FileIdentityStore
) -> None:
    copied = files.load()
    waiting = asyncio.create_task(link_of(http, copied).desired('"none"', 0))
    await waiting
    await KeyRing(files, http).change()
    with pytest.raises(CloudRefusedError):
        await link_of(http, copied).desired(None, 0)


async def test_who_waits_with_the_old_key_hears_nothing_meant_for_the_new_one(cloud: Any, files: Any) -> None:
    agent = cloud.stranger()
    agent.key = files.load().key
    agent.enrolled = files.load().identity
    await agent.login()
    _, _, headers = await agent.call("GET", "desired")
    waiting = asyncio.create_task(
        agent.call("GET", "desired?wait_s=50", headers={"If-None-Match": headers["ETag"]})
    )
    held = cloud.app[keys.DESIRED]._waiters._waiting
    async with asyncio.timeout(30):
        while not any(held.values()):  # noqa: ASYNC110 - the server has no event for a test
            await asyncio.sleep(0.01)
    async with CloudHttp(cloud.url, None, 20) as http:
        await KeyRing(files, http).change()
    status, problem, _ = await waiting
    assert (status, problem["type"]) == (401, "unauthenticated")


async def signed_by(cloud: Any, agent: Any, old: Any, new: Any) -> tuple[int, Any]:
    agent_id = agent.enrolled.agent_id
    _, body, _ = await agent.call("POST", "challenge", json={"agent_id": agent_id})
    request = AgentKeyRequest.signed(agent_id, body["nonce"], old, new)
    status, problem, _ = await agent.call("POST", "key", json=json.loads(request.model_dump_json()))
    return status, problem


async def test_a_change_needs_both_signatures_a_fresh_challenge_and_an_agent_in_good_standing(cloud: Any) -> None:
    agent = await cloud.agent()
    agent_id, stranger, fresh = agent.enrolled.agent_id, new_private_key(), new_private_key()
    status, problem = await signed_by(cloud, agent, stranger, fresh)
    assert (status, problem["type"]) == (401, "key-mismatch")
    _, body, _ = await agent.call("POST", "challenge", json={"agent_id": agent_id})
    request = AgentKeyRequest.signed(agent_id, body["nonce"], agent.key, fresh)
    forged = AgentKeyRequest.signed(agent_id, body["nonce"], agent.key, stranger)
    mixed = request.model_copy(update={"by_new": forged.by_new})
    status, problem, _ = await agent.call("POST", "key", json=json.loads(mixed.model_dump_json()))
    assert (status, problem["type"]) == (401, "key-mismatch")
    stale = AgentKeyRequest.signed(agent_id, encode_base64(b"n" * 32), agent.key, fresh)
    status, problem, _ = await agent.call("POST", "key", json=json.loads(stale.model_dump_json()))
    assert (status, problem["type"]) == (401, "unauthenticated")
    nobody = AgentKeyRequest.signed("nobody", body["nonce"], agent.key, fresh)
    status, problem, _ = await agent.call("POST", "key", json=json.loads(nobody.model_dump_json()))
    assert (status, problem["type"]) == (401, "unauthenticated")
    assert decode_base64(await cloud_key(cloud, agent_id)) == public_bytes(agent.key)
    await cloud.app[keys.AGENTS].revoke(cloud.organisation_id, agent_id, "stolen")
    status, problem, _ = await agent.call("POST", "key", json=json.loads(request.model_dump_json()))
    assert (status, problem["type"]) == (403, "agent-revoked")


async def cloud_key(cloud: Any, agent_id: str) -> str:
    async with cloud.database.reading() as tx:
        return str((await tx.agents.by_id(agent_id)).public_key)


async def test_two_processes_do_not_change_the_key_at_once(
    cloud: Any, http: CloudHttp, files: FileIdentityStore
) -> None:
    one, other = KeyRing(files, http), KeyRing(files, http)
    first, second = await asyncio.gather(one.change(), other.change())
    assert {first.new, second.new} >= {(await known(cloud, files)).fingerprint}
    assert one.current().fingerprint == other.current().fingerprint == (await known(cloud, files)).fingerprint


async def test_without_the_cloud_nothing_changes_and_the_next_try_goes_on(
    cloud: Any, http: CloudHttp, files: FileIdentityStore
) -> None:
    before = files.load().fingerprint
    async with CloudHttp("http://127.0.0.1:9", None, 5) as nowhere:
        with pytest.raises(CloudUnreachableError):
            await KeyRing(files, nowhere).change()
    assert files.load().fingerprint == before
    pending = files.pending()
    assert pending is not None
    await KeyRing(files, http).change()
    assert files.load().fingerprint == fingerprint(public_bytes(pending.key))
