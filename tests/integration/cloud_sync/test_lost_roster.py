"""A roster that the cloud lost: telemetry is kept until it comes, and the agent is asked for it again."""

from pathlib import Path
from typing import Any

from hashyard_agent.adapters.cloud_link import CloudHttp, HttpCloudLink
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.identity import AgentIdentity, Credentials
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.sync import Sync
from hashyard_cloud.storage.tables.ingest import ROSTERS
from hashyard_shared import cycle_codec
from hashyard_shared.clock import SystemClock
from hashyard_shared.codec import encode
from hashyard_shared.protocol import BatchKind
from hashyard_shared.signing import fingerprint, public_bytes


async def test_the_agent_is_asked_for_a_roster_that_was_lost_and_telemetry_waits_for_it(
    cloud: Any, tmp_path: Path, roster: Any, cycle: Any
) -> None:
    agent, clock = await cloud.agent(), SystemClock()
    identity = AgentIdentity(
        **agent.enrolled.model_dump(exclude={"signing_keys", "holding_pools", "recovery_key"}),
        name="rack-host",
        key_fingerprint=fingerprint(public_bytes(agent.key)),
        cloud_url=cloud.url,
        enrolled_at_us=1,
    )
    outbox = SqliteOutbox(tmp_path / "outbox.db", max_bytes=50_000_000, headroom_bytes=0, clock=clock)
    outbox.adopt_epoch(agent.epoch)

    def put() -> None:
        at_us = clock.now_us()
        outbox.put(BatchKind.TELEMETRY, at_us, 3, cycle_codec.pack(cycle(roster, at_us)))

    async def counts() -> Any:
        async with cloud.database.reading() as tx:
            return await tx.ingest.counts()

    try:
        async with CloudHttp(cloud.url, None, 20) as http:
            link = HttpCloudLink(
                http,
                Credentials(identity, agent.key),
                clock,
                nonce=lambda: None,
                on_token=lambda epoch, time: None,
            )
            sync = Sync(outbox, link, LinkMonitor(outbox, clock))
            outbox.put(BatchKind.ROSTER, clock.now_us(), 3, encode(roster))
            put()
            await sync.round()
            await cloud.settle()
            # The store came back from before the roster did.
            async with cloud.database.transaction() as tx:
                await tx.connection.execute(ROSTERS.delete())
            put()
            await sync.round()
            await cloud.settle()
            assert (await counts()).waiting == 1
            put()
            await sync.round()
            # The answer asked for it; it is in the queue, once, ahead of everything else.
            (again,) = outbox.pending(10, 1_000_000)
            assert again.header.kind == BatchKind.ROSTER
            await sync.round()
            await cloud.settle()
            assert (await counts()).waiting == 0
            assert outbox.stats().rows == 0
    finally:
        outbox.close()
