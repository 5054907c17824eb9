"""Agents of this protocol and the one before it at one cloud; further apart, each is told what to update."""

import asyncio
import hashlib
import json
import struct
from pathlib import Path
from typing import Any, Final

import pytest
import zstandard

from hashyard_agent.adapters.cloud_link import CloudHttp, HttpCloudLink
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.cli_store import link_text
from hashyard_agent.identity import AgentIdentity, Credentials
from hashyard_agent.link_state import LinkMonitor, read_link_state
from hashyard_agent.sync import Sync
from hashyard_cloud.web.api.agent import calls
from hashyard_shared import cycle_codec
from hashyard_shared.clock import SystemClock
from hashyard_shared.codec import encode
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import OLDEST_PROTOCOL, PROTOCOL_HEADER, PROTOCOL_VERSION, BatchKind
from hashyard_shared.signing import fingerprint, public_bytes

FIGURES: Final = ("temp_chip_c", "temp_board_c", "fan_rpm", "uptime_s", "shares_accepted", "shares_rejected")
NOT_ACTED_ON_S: Final = 60.0


def frame_as_version_1_wrote_it(epoch: int, seq: int, kind: str, at_us: int, count: int, document: Any) -> bytes:
    """Written out here, so that a change of today's code cannot change what yesterday's agents send."""
    body = b"\x01" + zstandard.ZstdCompressor(level=9).compress(json.dumps(document).encode())
    header = {"epoch": epoch, "seq": seq, "kind": kind, "cycle_at_us": at_us, "count": count}
    head = json.dumps({**header, "sha256": hashlib.sha256(body).hexdigest()}).encode()
    return struct.pack(">II", len(head), len(body)) + head + body


def cycle_of_version_1(roster_id: str, at_us: int, hashrate: int) -> dict[str, Any]:
    return {
        "roster_id": roster_id,
        "cycle_at_us": at_us,
        "interval_s": 60.0,
        "boot_id": "boot",
        "mono_s": 1.5,
        "state": [1],
        "offset_ms": [0],
        "hashrate_ths": [hashrate],
        "power_w": [3_250],
        **{name: [None] for name in FIGURES},
        "pool": [None],
        "pools": [],
    }


async def test_this_protocol_and_the_one_before_reach_one_cloud_side_by_side(
    cloud: Any, cycle: Any, more_rosters: Any
) -> None:
    assert PROTOCOL_VERSION - OLDEST_PROTOCOL == 1
    old, new = await cloud.agent(), await cloud.agent()
    at_us = cloud.clock.now_us()
    first, second = more_rosters(1), more_rosters(1, first=1)
    document = first.model_dump(mode="json")
    data = frame_as_version_1_wrote_it(old.epoch, 1, "roster", at_us, 1, document)
    data += frame_as_version_1_wrote_it(
        old.epoch, 2, "telemetry", at_us, 1, cycle_of_version_1(first.roster_id(), at_us, 9_000)
    )
    health = {"kind": "health", "at_us": at_us, "version": "0.0.9", "backlog_rows": 0, "backlog_bytes": 0}
    more = {"oldest_at_us": None, "miners_found": 1, "cycle_s": 1, "emergency_stop": False, "shadow_mode": False}
    data += frame_as_version_1_wrote_it(old.epoch, 3, "events", at_us, 1, {"events": [health | more]})

    packed = cycle_codec.pack(cycle(second, at_us))
    (status, body, _), answer = await asyncio.gather(
        old.post(data, **{PROTOCOL_HEADER: str(OLDEST_PROTOCOL)}),
        new.send(new.roster_frame(second, at_us), new.frame(BatchKind.TELEMETRY, at_us, 1, packed)),
    )
    assert status == 200
    assert [verdict["verdict"] for verdict in body["verdicts"]] == ["accepted"] * 3
    assert [verdict.verdict.value for verdict in answer.verdicts] == ["accepted"] * 2
    await cloud.settle()
    async with cloud.database.reading() as tx:
        seen = await tx.miners.seen(cloud.organisation_id, site_id=cloud.site_id)
        rows = {row.agent_id: row for row in await tx.agents.all(cloud.organisation_id)}
    assert {one.latest.hashrate_ths for one in seen} == {90.0, 95.0}
    assert rows[old.enrolled.agent_id].protocol == OLDEST_PROTOCOL
    assert rows[old.enrolled.agent_id].health is not None
    assert rows[new.enrolled.agent_id].protocol == PROTOCOL_VERSION
    # Each gets its desired state; what the old one does not know, it passes over.
    for agent, version in ((old, OLDEST_PROTOCOL), (new, PROTOCOL_VERSION)):
        status, body, _ = await agent.call("GET", "desired", headers={PROTOCOL_HEADER: str(version)})
        assert (status, body["site_id"]) == (200, cloud.site_id)


@pytest.mark.parametrize(
    ("version", "code", "todo"),
    [
        (OLDEST_PROTOCOL - 1, ErrorCode.PROTOCOL_TOO_OLD, "Update the agent"),
        (PROTOCOL_VERSION + 1, ErrorCode.PROTOCOL_TOO_NEW, "Update the cloud"),
    ],
)
async def test_further_apart_is_refused_and_says_which_side_to_update(
    cloud: Any, version: int, code: ErrorCode, todo: str
) -> None:
    agent = await cloud.agent()
    status, problem, _ = await agent.post(b"", **{PROTOCOL_HEADER: str(version)})
    assert (status, problem["type"]) == (400, code.value)
    assert todo in problem["detail"]


@pytest.mark.parametrize(("spoken", "todo"), [(PROTOCOL_VERSION - 1, "Update the cloud"), (9, "Update the agent")])
async def test_an_agent_that_is_refused_keeps_everything_and_shows_what_to_do(
    cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roster: Any, spoken: int, todo: str
) -> None:
    agent = await cloud.agent()
    enrolled = agent.enrolled
    identity = AgentIdentity(
        **enrolled.model_dump(exclude={"signing_keys", "holding_pools", "recovery_key"}),
        name="rack-host",
        key_fingerprint=fingerprint(public_bytes(agent.key)),
        cloud_url=cloud.url,
        enrolled_at_us=1,
    )
    monkeypatch.setattr(calls, "PROTOCOL_VERSION", spoken)
    monkeypatch.setattr(calls, "OLDEST_PROTOCOL", spoken - 1)
    clock = SystemClock()
    outbox = SqliteOutbox(tmp_path / "outbox.db", max_bytes=50_000_000, headroom_bytes=0, clock=clock)
    try:
        outbox.put(BatchKind.ROSTER, 1, 3, encode(roster))
        monitor = LinkMonitor(outbox, clock)
        async with CloudHttp(cloud.url, None, 20) as http:
            credentials = Credentials(identity, agent.key)
            link = HttpCloudLink(http, credentials, clock, nonce=lambda: None, on_token=lambda epoch, time: None)
            running = asyncio.create_task(Sync(outbox, link, monitor, refused_wait_s=NOT_ACTED_ON_S).run())
            async with asyncio.timeout(30):
                while monitor.now.up is None:  # noqa: ASYNC110 - the monitor has no event for a test to wait on
                    await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        stats = outbox.stats()
        assert (stats.rows, stats.set_aside_rows, stats.gap_cycles) == (1, 0, 0)
        shown = link_text(read_link_state(outbox), clock.now_us())
        assert todo in shown
    finally:
        outbox.close()
