"""Agents that deliver prepared cycles at a given rate, and nothing else: the load must not be what limits."""

import asyncio
import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.outbox.run_outbox_bytes import INTERVAL_S, START_US, cycle_of, fleet, roster_of
from hashyard_shared.clock import US_PER_S
from hashyard_shared.codec import encode
from hashyard_shared.cycle_codec import plain, seal
from hashyard_shared.protocol import (
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    SYNC_NONCE_HEADER,
    BatchHeader,
    BatchKind,
    EnrolRequest,
    pack_frame,
)
from hashyard_shared.signing import (
    DocumentType,
    decode_base64,
    encode_base64,
    new_private_key,
    public_bytes,
    sign,
)
from hashyard_shared.telemetry import Roster

VARIANTS: Final = 4
LEVEL: Final = 3
"""Preparing must not take longer than sending; how strongly a body is packed hardly changes reading it."""


@dataclass
class LoadAgent:
    """One agent: `bodies` are its cycles, `texts` their different packed contents before the time was put in."""

    miners: int
    roster: Roster
    texts: list[bytes]
    frames: list[bytes] = field(default_factory=list)
    key: Ed25519PrivateKey = field(default_factory=new_private_key)
    agent_id: str = ""
    acknowledged: int = 0
    latencies_s: list[float] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def prepared(cls, number: int, miners: int) -> "LoadAgent":
        """An agent with its own devices, the same for the same number."""
        chance = random.Random(number)
        devices = fleet(miners, chance)
        entries = [
            entry.model_copy(update={"miner_id": f"{entry.miner_id}:{number}", "mac": None})
            for entry in roster_of(miners).miners
        ]
        roster = Roster(miners=entries)
        cycles = [cycle_of(devices, at, roster.roster_id(), chance) for at in range(VARIANTS)]
        texts = [plain(cycle.model_copy(update={"cycle_at_us": START_US})) for cycle in cycles]
        return cls(miners, roster, texts)

    def prepare(self, cycles: int, first_at_us: int) -> None:
        """Make the frames of this many cycles, one interval apart."""
        place = f'"cycle_at_us":{START_US}'.encode()
        for at in range(cycles):
            at_us = first_at_us + at * INTERVAL_S * US_PER_S
            text = self.texts[at % VARIANTS].replace(place, f'"cycle_at_us":{at_us}'.encode())
            self.frames.append(_frame(BatchKind.TELEMETRY, at + 2, at_us, self.miners, seal(text, LEVEL)))

    def request(self, secret: str) -> EnrolRequest:
        """What it enrols with. The bench hands it over directly: enrolment over the wire is rate-limited."""
        public_key = encode_base64(public_bytes(self.key))
        return EnrolRequest(secret=secret, public_key=public_key, name="load", version="1")

    async def begin(self, http: aiohttp.ClientSession, url: str) -> None:
        """Get a token and deliver the roster."""
        version = {PROTOCOL_HEADER: str(PROTOCOL_VERSION)}

        async def ask(path: str, body: object) -> dict[str, str]:
            async with http.post(f"{url}/agent/v1/{path}", json=body, headers=version) as response:
                response.raise_for_status()
                answer: dict[str, str] = await response.json()
                return answer

        nonce = (await ask("challenge", {"agent_id": self.agent_id}))["nonce"]
        signed = sign(self.key, DocumentType.CHALLENGE, decode_base64(nonce))
        token = (await ask("token", {"agent_id": self.agent_id, "signed": signed.model_dump()}))["token"]
        self.headers = {**version, "Authorization": f"Bearer {token}"}
        at_us = START_US
        frame = _frame(BatchKind.ROSTER, 1, at_us, self.miners, encode(self.roster, LEVEL))
        await self._post(http, url, frame)

    async def run(self, http: aiohttp.ClientSession, url: str, start_s: float, period_s: float) -> None:
        """Deliver all cycles, one a period, or as fast as they are taken."""
        for at, frame in enumerate(self.frames):
            await asyncio.sleep(max(0.0, start_s + at * period_s - time.monotonic()))
            sent_s = time.monotonic()
            await self._post(http, url, frame)
            self.latencies_s.append(time.monotonic() - sent_s)
            self.acknowledged += self.miners

    async def _post(self, http: aiohttp.ClientSession, url: str, frame: bytes) -> None:
        async with http.post(f"{url}/agent/v1/batches", data=frame, headers=self.headers) as response:
            answer = await response.json()
        assert [one["verdict"] for one in answer["verdicts"]] == ["accepted"], answer
        self.headers[SYNC_NONCE_HEADER] = answer["sync_nonce"]


def _frame(kind: BatchKind, seq: int, at_us: int, count: int, body: bytes) -> bytes:
    sha256 = hashlib.sha256(body).hexdigest()
    return pack_frame(
        BatchHeader(epoch=1, seq=seq, kind=kind, cycle_at_us=at_us, count=count, sha256=sha256), body
    )


def frame_bytes(agents: Sequence[LoadAgent]) -> int:
    """Bytes on the wire."""
    return sum(len(frame) for agent in agents for frame in agent.frames)
