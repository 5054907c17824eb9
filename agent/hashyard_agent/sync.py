"""Bring the outbox to the cloud: live data first, the backlog behind it, kept here until it is durable there.

One request is under way at a time. Its size grows while the line is good and shrinks when it is not, so that a
slow line still makes progress and live data never waits for more than one request.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from hashyard_agent.backlog import Backlog, Settled
from hashyard_agent.errors import CloudRefusedError, CloudUnreachableError
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.ports import CloudLink, StoredBatch
from hashyard_agent.retry import REFUSED_WAIT_S, cloud_retrying
from hashyard_shared import cycle_codec
from hashyard_shared.codec import CodecError
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import MAX_FRAMES_PER_REQUEST, BatchesAnswer, Verdict

LOG = logging.getLogger(__name__)
MIN_REQUEST_BYTES: Final = 64 * 1024
MAX_SENT_BYTES: Final = 8 * 1024 * 1024
START_REQUEST_BYTES: Final = 512 * 1024
IDLE_CHECK_S: Final = 30.0
ROSTER_AGAIN_S: Final = 60.0
MAX_ISOLATED_ROWS: Final = 16
"""After this many rows in a row that were refused alone, it is not the rows: wait for a person instead."""
POISON_CODES: Final = frozenset(
    {ErrorCode.MALFORMED, ErrorCode.TOO_LARGE, ErrorCode.UNSUPPORTED, ErrorCode.CORRUPT}
)
"""A request refused with one of these holds a row that will never be accepted. Any other refusal (revoked, unknown
address, no right) is about the agent or its settings, and the rows wait until a person has put it right."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one request did. `batches` is 0 when nothing waited."""

    batches: int = 0
    settled: Settled = field(default_factory=Settled)


class Sync:
    """Sends the outbox. `wake` is called whenever a row was put."""

    def __init__(
        self, outbox: Backlog, link: CloudLink, monitor: LinkMonitor, refused_wait_s: float = REFUSED_WAIT_S
    ) -> None:
        self._outbox = outbox
        self._link = link
        self._monitor = monitor
        self._refused_wait_s = refused_wait_s
        self._woken = asyncio.Event()
        self._max_rows = MAX_FRAMES_PER_REQUEST
        self._max_bytes = START_REQUEST_BYTES
        self._isolated = 0
        self._sent_again: dict[str, float] = {}

    def wake(self) -> None:
        """There is something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled. Errors: `StoreError`; the cloud's errors are retried here."""
        while True:
            self._woken.clear()
            sent = 0
            async for attempt in cloud_retrying(self._monitor, self._refused_wait_s):
                with attempt:
                    sent = (await self.round()).batches
            if sent == 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), IDLE_CHECK_S)

    async def round(self) -> Round:
        """One request and what follows from its answer. Errors: `CloudError`, `StoreError`."""
        self._outbox.seal_gaps()
        batches = self._outbox.pending(self._max_rows, self._max_bytes)
        if not batches:
            return Round()
        try:
            answer = await self._link.send(batches)
        except CloudUnreachableError:
            self._max_bytes = max(MIN_REQUEST_BYTES, self._max_bytes // 2)
            raise
        except CloudRefusedError as error:
            if error.code not in POISON_CODES:
                raise
            return self._isolate(batches, error)
        self._grow()
        self._monitor.ok()
        settled = self._outbox.settle(batches, answer)
        self._report(settled, answer)
        self._answer_retries(batches, answer, settled)
        self._send_wanted(answer.rosters_wanted)
        return Round(len(batches), settled)

    def _send_wanted(self, rosters: Sequence[str]) -> None:
        """Rosters that the cloud lost or never got. It asks until it has projected them, so not each time anew."""
        now_s = asyncio.get_running_loop().time()
        self._sent_again = {key: at for key, at in self._sent_again.items() if now_s - at < ROSTER_AGAIN_S}
        for roster_id in rosters:
            if roster_id not in self._sent_again:
                self._sent_again[roster_id] = now_s
                if not self._outbox.send_roster_again(roster_id):
                    LOG.error("the cloud asks for the roster %s, which is not kept here any more", roster_id)

    def _isolate(self, batches: Sequence[StoredBatch], error: CloudRefusedError) -> Round:
        """A whole request was refused: halve it until the row to blame stands alone, and set that aside."""
        if len(batches) > 1:
            self._max_rows = max(1, len(batches) // 2)
            return Round(len(batches), Settled(kept=len(batches)))
        self._isolated += 1
        if self._isolated > MAX_ISOLATED_ROWS:
            raise error
        self._outbox.set_aside(batches[0], f"rejected:{error.code}")
        LOG.error("row %d was refused by the cloud and is set aside: %s", batches[0].header.seq, error)
        return Round(1, Settled(set_aside=1))

    def _grow(self) -> None:
        self._isolated = 0
        self._max_rows = min(MAX_FRAMES_PER_REQUEST, self._max_rows * 2)
        self._max_bytes = min(MAX_SENT_BYTES, self._max_bytes * 2)

    def _report(self, settled: Settled, answer: BatchesAnswer) -> None:
        if settled.set_aside:
            reasons = {verdict.detail or verdict.code for verdict in answer.verdicts if verdict.code}
            LOG.error("%d row(s) were rejected and set aside: %s", settled.set_aside, reasons)
        if answer.new_epoch is not None:
            LOG.warning(
                "the cloud knows other data under this agent's numbers (was this machine restored from a copy?); "
                "going on as epoch %d, %d row(s) are sent again",
                answer.new_epoch,
                settled.conflicts,
            )

    def _answer_retries(self, batches: Sequence[StoredBatch], answer: BatchesAnswer, settled: Settled) -> None:
        kept = {verdict.seq: verdict for verdict in answer.verdicts if verdict.verdict is Verdict.RETRY}
        rosters: set[str] = set()
        for batch in batches:
            verdict = kept.get(batch.header.seq)
            if verdict is None or verdict.code is not ErrorCode.ROSTER_UNKNOWN:
                continue
            roster_id = _roster_id(batch.body)
            if roster_id is None:
                self._outbox.set_aside(batch, f"rejected:{ErrorCode.CORRUPT}")
            elif roster_id not in rosters and not self._outbox.send_roster_again(roster_id):
                LOG.error("row %d speaks of a roster that is not kept any more; set aside", batch.header.seq)
                self._outbox.set_aside(batch, f"rejected:{ErrorCode.ROSTER_UNKNOWN}")
            else:
                rosters.add(roster_id)
        if not rosters and settled.kept == len(batches):
            # Without any progress the next request would be the same one at once.
            detail = next((verdict.detail for verdict in kept.values() if verdict.detail), "no reason given")
            raise CloudUnreachableError(f"the cloud asks to send again later: {detail}")


def _roster_id(body: bytes) -> str | None:
    try:
        return cycle_codec.roster_id(body)
    except CodecError:
        return None
