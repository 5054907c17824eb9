"""Long-poll: at once when it differs, woken by a change, 304 when nothing happens."""

import asyncio
from typing import Any

import pytest

from hashyard_cloud.storage.database import SqlDatabase
from hashyard_cloud.web import keys
from hashyard_shared.protocol import DesiredState

PROMPT_S = 2.0
pytestmark = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])


async def _all_wait(cloud: Any, count: int) -> None:
    waiting = cloud.app[keys.DESIRED]._waiters._waiting
    while sum(map(len, waiting.values())) < count:  # noqa: ASYNC110 - the server has no event for a test to wait on
        await asyncio.sleep(0)


async def test_the_whole_document_with_an_etag(cloud: Any) -> None:
    agent = await cloud.agent()
    status, body, headers = await agent.call("GET", "desired")
    document = DesiredState.model_validate(body)
    assert status == 200
    assert headers["ETag"]
    assert document.settings.poll_interval_s == 60
    assert document.site_id == cloud.site_id


async def test_nothing_new_is_304(cloud: Any) -> None:
    agent = await cloud.agent()
    _, _, headers = await agent.call("GET", "desired")
    known = {"If-None-Match": headers["ETag"]}
    status, body, again = await agent.call("GET", "desired?wait_s=0.05", headers=known)
    assert (status, body, again["ETag"]) == (304, None, headers["ETag"])


async def test_a_change_reaches_all_who_wait(cloud: Any) -> None:
    agents = [await cloud.agent() for _ in range(3)]
    _, _, headers = await agents[0].call("GET", "desired")
    known = {"If-None-Match": headers["ETag"]}
    waiting = [
        asyncio.create_task(agent.call("GET", "desired?wait_s=30", headers=dict(known))) for agent in agents
    ]
    await _all_wait(cloud, 3)
    async with cloud.database.transaction() as tx:
        await tx.desired.bump(cloud.organisation_id, cloud.site_id)
    async with asyncio.timeout(PROMPT_S):
        answers = await asyncio.gather(*waiting)
    assert [status for status, _, _ in answers] == [200] * 3


async def test_a_change_by_another_process_is_noticed(cloud: Any, settings: Any) -> None:
    agent = await cloud.agent()
    _, _, headers = await agent.call("GET", "desired")
    known = {"If-None-Match": headers["ETag"]}
    waiting = asyncio.create_task(agent.call("GET", "desired?wait_s=30", headers=known))
    other = SqlDatabase(settings.database_url)
    async with other.transaction() as tx:
        await tx.desired.bump(cloud.organisation_id, cloud.site_id)
    await other.close()
    async with asyncio.timeout(PROMPT_S):
        status, _, _ = await waiting
    assert status == 200


async def test_a_waiting_agent_that_is_revoked_hears_of_it(cloud: Any) -> None:
    agent = await cloud.agent()
    _, _, headers = await agent.call("GET", "desired")
    known = {"If-None-Match": headers["ETag"]}
    waiting = asyncio.create_task(agent.call("GET", "desired?wait_s=30", headers=known))
    await _all_wait(cloud, 1)
    await cloud.app[keys.AGENTS].revoke(cloud.organisation_id, agent.enrolled.agent_id, "test")
    async with asyncio.timeout(PROMPT_S):
        status, problem, _ = await waiting
    assert (status, problem["type"]) == (403, "agent-revoked")
