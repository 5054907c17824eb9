"""Receiving batches: checked one by one, made durable, then acknowledged."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from hashyard_cloud.errors import CloudError, MalformedError, TooLargeError
from hashyard_cloud.services import event_batches, telemetry_columns
from hashyard_cloud.services.parsed_cycles import ParsedCycles
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.ingest import NewBatch
from hashyard_cloud.services.rate_limits import RateLimit
from hashyard_cloud.services.telemetry_columns import CycleColumns
from hashyard_shared.clock import Clock
from hashyard_shared.codec import decode_bytes
from hashyard_shared.errors import ErrorCode, SharedError
from hashyard_shared.protocol import (
    MAX_REQUEST_BYTES,
    MAX_ROSTERS_WANTED,
    BatchesAnswer,
    BatchHeader,
    BatchKind,
    BatchVerdict,
    FrameError,
    Verdict,
    unpack_frames,
)
from hashyard_shared.telemetry import Roster

NONCE_BYTES: Final = 18
MAX_DETAIL_CHARS: Final = 500
Frame = tuple[BatchHeader, bytes]
Key = tuple[int, int]
"""(epoch, seq)"""


@dataclass(frozen=True, slots=True)
class Contact:
    """What a delivery says of itself: the nonce it was given last, and its clock when it sent."""

    sync_nonce: str | None
    sent_at_us: int | None
    protocol: int


class Ingest:
    """`receive` answers when everything accepted is durable; `received` is called after each delivery."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        limit: RateLimit,
        received: Callable[[], None],
        parsed: ParsedCycles,
    ) -> None:
        self._database = database
        self._clock = clock
        self._limit = limit
        self._received = received
        self._parsed = parsed

    async def receive(self, agent: AgentRow, data: bytes, contact: Contact) -> BatchesAnswer:
        """A verdict for each frame, in their order."""
        self._limit.take(agent.agent_id)
        if len(data) > MAX_REQUEST_BYTES:
            raise TooLargeError(f"a request may have {MAX_REQUEST_BYTES} bytes")
        # Unpacking and checking is work of milliseconds to seconds; other agents are answered meanwhile.
        frames, refused, cycles = await asyncio.to_thread(_unpack, data)
        good = [frame for frame in frames if _key(frame) not in refused]
        received_at_us = self._clock.now_us()
        async with self._database.transaction() as tx:
            verdicts, new_epoch = await self._store(tx, agent, good, received_at_us)
            nonce = await self._rotate_nonce(tx, agent, contact, received_at_us)
            wanted = await tx.ingest.rosters_wanted(agent.agent_id, MAX_ROSTERS_WANTED)
            offset_us = None if contact.sent_at_us is None else contact.sent_at_us - received_at_us
            await tx.agents.seen(
                agent.organisation_id,
                agent.agent_id,
                received_at_us,
                clock_offset_us=offset_us,
                protocol=contact.protocol,
            )
        for key, cycle in cycles.items():
            if key in verdicts and verdicts[key].verdict is Verdict.ACCEPTED:
                self._parsed.put((agent.agent_id, *key), cycle)
        self._received()
        return BatchesAnswer(
            verdicts=[(refused | verdicts)[_key(frame)] for frame in frames],
            received_at_us=received_at_us,
            new_epoch=new_epoch,
            sync_nonce=nonce,
            rosters_wanted=wanted,
        )

    async def _store(
        self, tx: Transaction, agent: AgentRow, frames: Sequence[Frame], received_at_us: int
    ) -> tuple[dict[tuple[int, int], BatchVerdict], int | None]:
        # An epoch that we never handed out: this store is older than the agent. A new one sets both straight.
        ahead = [frame for frame in frames if frame[0].epoch > agent.epoch]
        known = [frame for frame in frames if frame[0].epoch <= agent.epoch]
        batches = [NewBatch(header, body) for header, body in known]
        stored = await tx.ingest.insert(agent, batches, received_at_us) if batches else {}
        rest = [_key(frame) for frame in known if _key(frame) not in stored]
        hashes = await tx.ingest.hashes(agent.agent_id, rest) if rest else {}
        verdicts = {_key(frame): _verdict(frame[0], stored, hashes) for frame in known}
        verdicts |= {_key(frame): _conflict(frame[0], "this epoch was never handed out") for frame in ahead}
        if not any(verdict.verdict is Verdict.EPOCH_CONFLICT for verdict in verdicts.values()):
            return verdicts, None
        above = max((header.epoch for header, _ in ahead), default=0)
        return verdicts, await tx.agents.next_epoch(agent.organisation_id, agent.agent_id, above)

    async def _rotate_nonce(self, tx: Transaction, agent: AgentRow, contact: Contact, now_us: int) -> str:
        """A fresh nonce. Whoever shows neither the last one nor the one before is a copy of the box."""
        # Read inside the transaction: two deliveries of one agent may be under way at once.
        current = await tx.agents.get(agent.organisation_id, agent.agent_id) or agent
        expected = (current.sync_nonce, current.sync_nonce_previous)
        strange = (
            contact.sync_nonce is not None
            and current.sync_nonce is not None
            and contact.sync_nonce not in expected
        )
        suspected = now_us if strange and current.clone_suspected_at_us is None else None
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        # What it showed stays good beside the new one: several answers in a row may be lost on the way.
        previous = contact.sync_nonce if contact.sync_nonce in expected else current.sync_nonce
        await tx.agents.rotate_nonce(agent.organisation_id, agent.agent_id, nonce, previous, suspected)
        if suspected is not None:
            await tx.desired.bump(agent.organisation_id, agent.site_id)
        return nonce


def _key(frame: Frame) -> tuple[int, int]:
    return frame[0].epoch, frame[0].seq


def _unpack(data: bytes) -> tuple[list[Frame], dict[Key, BatchVerdict], dict[Key, CycleColumns]]:
    """All frames, the verdicts of those that cannot be taken, and the cycles among those that can."""
    try:
        frames = list(unpack_frames(data))
    except FrameError as error:
        raise MalformedError(str(error), code=error.code) from error
    if len({(*_key(frame), frame[0].sha256) for frame in frames}) != len({_key(frame) for frame in frames}):
        raise MalformedError("two frames have one epoch and seq and different bodies")
    refused: dict[tuple[int, int], BatchVerdict] = {}
    cycles: list[Frame] = []
    for frame in frames:
        header, body = frame
        if hashlib.sha256(body).hexdigest() != header.sha256:
            refused[_key(frame)] = _rejected(header, ErrorCode.CORRUPT, "the body does not match its sha256")
        elif header.kind == BatchKind.TELEMETRY:
            cycles.append(frame)
        elif (problem := _problem(frame)) is not None:
            refused[_key(frame)] = problem
    parsed, unreadable = _parse_cycles(cycles)
    return frames, refused | unreadable, parsed


def _parse_cycles(frames: Sequence[Frame]) -> tuple[dict[Key, CycleColumns], dict[Key, BatchVerdict]]:
    try:
        cycles = telemetry_columns.parse([body for _, body in frames])
        return {_key(frame): cycle for frame, cycle in zip(frames, cycles, strict=True)}, {}
    except (SharedError, CloudError) as error:
        if len(frames) == 1:
            header = frames[0][0]
            return {}, {_key(frames[0]): _rejected(header, error.code, str(error))}
    # Together they cannot be read; one by one shows which.
    found: dict[Key, CycleColumns] = {}
    refused: dict[Key, BatchVerdict] = {}
    for frame in frames:
        one, problem = _parse_cycles([frame])
        found |= one
        refused |= problem
    return found, refused


def _problem(frame: Frame) -> BatchVerdict | None:
    header, body = frame
    try:
        if header.kind == BatchKind.ROSTER:
            Roster.model_validate_json(decode_bytes(body))
        elif header.kind == BatchKind.EVENTS:
            event_batches.parse(body)
        else:
            return _rejected(header, ErrorCode.UNSUPPORTED, f"kind {header.kind!r} is not known here")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return _rejected(header, ErrorCode.MALFORMED, f"{where}: {first['msg']}")
    except (SharedError, CloudError) as error:
        return _rejected(header, error.code, str(error))
    return None


def _verdict(
    header: BatchHeader, stored: dict[tuple[int, int], int], hashes: dict[tuple[int, int], str]
) -> BatchVerdict:
    key = (header.epoch, header.seq)
    if key in stored:
        return BatchVerdict(epoch=header.epoch, seq=header.seq, verdict=Verdict.ACCEPTED)
    if hashes.get(key) == header.sha256:
        return BatchVerdict(epoch=header.epoch, seq=header.seq, verdict=Verdict.DUPLICATE)
    return _conflict(header, "another body was stored under this epoch and seq; send again under the new epoch")


def _conflict(header: BatchHeader, detail: str) -> BatchVerdict:
    return BatchVerdict(
        epoch=header.epoch,
        seq=header.seq,
        verdict=Verdict.EPOCH_CONFLICT,
        code=ErrorCode.EPOCH_CONFLICT,
        detail=detail,
    )


def _rejected(header: BatchHeader, code: ErrorCode, detail: str) -> BatchVerdict:
    return BatchVerdict(
        epoch=header.epoch,
        seq=header.seq,
        verdict=Verdict.REJECTED,
        code=code,
        detail=detail[:MAX_DETAIL_CHARS],
    )
