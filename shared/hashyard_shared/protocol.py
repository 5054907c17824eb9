"""`/agent/v1`: the messages between an agent and the cloud.

| call | what |
|---|---|
| `POST /agent/v1/enrol` | one-time code and public key -> who you are, what to pin |
| `POST /agent/v1/challenge` | agent id -> a nonce to sign |
| `POST /agent/v1/token` | signed nonce -> a bearer token for an hour, and the cloud's signed time |
| `POST /agent/v1/key` | a new key, signed by the old one and itself -> its fingerprint (`agent_keys`) |
| `POST /agent/v1/batches` | frames of outbox rows as stored -> a verdict for each |
| `GET /agent/v1/desired?wait_s=` | `If-None-Match` -> the whole desired state, or 304 |

Every request carries `Hashyard-Protocol`. Errors are problem+json with a code of `ErrorCode` in `type`.

The cloud speaks this version and the one before it, side by side, so it is updated first and the sites follow:

| version | what it brought |
|---|---|
| 1 | cycles as JSON (body format 1) |
| 2 | cycles packed by column (body format 2), the agent's change of key, rotations of signing keys |
"""

import json
import struct
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hashyard_shared.codec import MAX_BODY_BYTES
from hashyard_shared.errors import ErrorCode, SharedError
from hashyard_shared.key_rotation import MAX_ROTATIONS
from hashyard_shared.signing import Envelope
from hashyard_shared.trust import HoldingPool

PROTOCOL_VERSION: Final = 2
OLDEST_PROTOCOL: Final = PROTOCOL_VERSION - 1
PROTOCOL_HEADER: Final = "Hashyard-Protocol"
SYNC_NONCE_HEADER: Final = "Hashyard-Sync-Nonce"
SENT_AT_HEADER: Final = "Hashyard-Sent-At-Us"
MAX_FRAMES_PER_REQUEST: Final = 256
MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
MAX_HEADER_BYTES: Final = 4 * 1024
MAX_WAIT_S: Final = 55
MAX_ROSTERS_WANTED: Final = 8
MAX_UNITS_PER_SITE: Final = 20_000
MAX_ORDERS_PER_DOCUMENT: Final = 20_000
TASK_LED: Final = "led"
"""Switch a miner's locating light: argument `on`."""
TASK_REBOOT: Final = "reboot"
TASK_ASSIGN_POOLS: Final = "assign-pools"
"""Write a customer's pools as they are recorded on site: arguments `customer_id` and `actor`, never a pool."""
TASK_ROTATE_KEY: Final = "rotate-key"
"""The kind of task by which the cloud asks the agent itself, not a miner, for a new key of its own."""


class FrameError(SharedError):
    """The request's frames are cut off or not of the form of this protocol."""

    code = ErrorCode.MALFORMED


class BatchKind(StrEnum):
    """What a batch's body holds. Events and rosters go before telemetry."""

    TELEMETRY = "telemetry"
    ROSTER = "roster"
    EVENTS = "events"


class EnrolRequest(BaseModel):
    """`secret` is the code's first half; `public_key` the agent's raw Ed25519 key in base64."""

    secret: str = Field(max_length=64)
    public_key: str = Field(max_length=64)
    name: str = Field(min_length=1, max_length=64)
    version: str = Field(max_length=64)
    replaces_agent_id: str | None = Field(default=None, max_length=64)


class EnrolAnswer(BaseModel):
    """Who the agent is, and what a person on site may pin after comparing fingerprints."""

    agent_id: str
    organisation_id: str
    organisation_name: str
    site_id: str
    site_name: str
    timezone: str
    epoch: int
    signing_keys: list[str] = Field(max_length=4)
    recovery_key: str | None = Field(default=None, max_length=64)
    holding_pools: list[HoldingPool] = Field(max_length=32)


class ChallengeRequest(BaseModel):
    """Ask for a nonce."""

    agent_id: str = Field(max_length=64)


class ChallengeAnswer(BaseModel):
    """`nonce` (base64) is signed as `DocumentType.CHALLENGE`, its exact decoded bytes."""

    nonce: str


class TokenRequest(BaseModel):
    """The signed nonce."""

    agent_id: str = Field(max_length=64)
    signed: Envelope


class TokenAnswer(BaseModel):
    """`time` is a signed `CloudTime`, bound to this agent."""

    token: str
    expires_in_s: int
    epoch: int
    time: Envelope


class CloudTime(BaseModel):
    """The cloud's wall time, signed with the organisation's key, so that leases need no trusted network."""

    model_config = ConfigDict(extra="forbid")

    agent_id: str
    at_us: int


class BatchHeader(BaseModel):
    """What identifies a batch: (agent, epoch, seq). `sha256` is of the body as sent."""

    epoch: int = Field(ge=0)
    seq: int = Field(ge=1)
    kind: str = Field(max_length=32)
    cycle_at_us: int
    count: int = Field(ge=0)
    sha256: str = Field(min_length=64, max_length=64)


class Verdict(StrEnum):
    """What became of one batch. Only `accepted` and `duplicate` let the agent forget it."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    RETRY = "retry"
    EPOCH_CONFLICT = "epoch-conflict"


class BatchVerdict(BaseModel):
    """The verdict for (epoch, seq), with a reason where it is not accepted."""

    epoch: int
    seq: int
    verdict: Verdict
    code: ErrorCode | None = None
    detail: str = Field(default="", max_length=500)


class BatchesAnswer(BaseModel):
    """Verdicts in the order of the frames; `new_epoch` when the cloud hands one out; the rotated sync nonce.

    `rosters_wanted` are rosters that telemetry here waits for: sent again, they release it.
    """

    verdicts: list[BatchVerdict]
    received_at_us: int
    new_epoch: int | None = None
    sync_nonce: str | None = None
    rosters_wanted: list[str] = Field(default_factory=list, max_length=MAX_ROSTERS_WANTED)


class UnitBinding(BaseModel):
    """A unit as the agent needs to know it: which device it is bound to, and whose it is."""

    unit_id: str = Field(max_length=64)
    label: str = Field(max_length=128)
    mac: str = Field(max_length=17)
    customer_id: str | None = Field(default=None, max_length=64)
    customer_name: str | None = Field(default=None, max_length=200)


class SiteSettings(BaseModel):
    """What the cloud may set. On-site safety settings win over these."""

    poll_interval_s: float = Field(default=60, ge=1, le=3600)
    discovery_interval_s: float = Field(default=900, ge=5, le=86_400)
    shadow_mode: bool = False
    redirect_enabled: bool = True


class Task(BaseModel):
    """A command for the agent; a `kind` it does not know is answered UNSUPPORTED. Begun before `expires_at_us`."""

    task_id: str = Field(max_length=64)
    kind: str = Field(max_length=64)
    miner_id: str | None = Field(default=None, max_length=128)
    expires_at_us: int | None = None
    arguments: dict[str, str | int | float | bool] = Field(default_factory=dict)


class DesiredState(BaseModel):
    """The whole of what the cloud wants of a site. No deltas; the newest document is the truth.

    `key_rotations` are all rotations of the signing keys, oldest first (`hashyard_shared.key_rotation`).
    """

    version: int
    site_id: str
    settings: SiteSettings
    units: list[UnitBinding] = Field(max_length=MAX_UNITS_PER_SITE)
    orders: list[Envelope] = Field(max_length=MAX_ORDERS_PER_DOCUMENT)
    tasks: list[Task] = Field(default_factory=list, max_length=1_000)
    key_rotations: list[Envelope] = Field(default_factory=list, max_length=MAX_ROTATIONS)
    time: Envelope


class Problem(BaseModel):
    """problem+json, as every error of the cloud is told."""

    type: str
    title: str
    status: int
    detail: str = ""
    field: str | None = None


_LENGTHS: Final = struct.Struct(">II")


def pack_frame(header: BatchHeader, body: bytes) -> bytes:
    """One frame: two big-endian 32-bit lengths, the header as JSON, the body as stored."""
    head = header.model_dump_json().encode()
    return _LENGTHS.pack(len(head), len(body)) + head + body


def unpack_frames(data: bytes) -> Iterator[tuple[BatchHeader, bytes]]:
    """Read frames back; raises `FrameError` at the first that is cut off, too large or malformed."""
    at = 0
    count = 0
    while at < len(data):
        if at + _LENGTHS.size > len(data):
            raise FrameError(f"frame {count} is cut off")
        head_bytes, body_bytes = _LENGTHS.unpack_from(data, at)
        at += _LENGTHS.size
        if head_bytes > MAX_HEADER_BYTES or body_bytes > MAX_BODY_BYTES:
            raise FrameError(f"frame {count} is over the size limit")
        if count >= MAX_FRAMES_PER_REQUEST:
            raise FrameError(f"more than {MAX_FRAMES_PER_REQUEST} frames")
        if at + head_bytes + body_bytes > len(data):
            raise FrameError(f"frame {count} is cut off")
        try:
            header = BatchHeader.model_validate(json.loads(data[at : at + head_bytes]))
        except (ValidationError, ValueError) as error:
            raise FrameError(f"frame {count} has a malformed header") from error
        at += head_bytes
        yield header, data[at : at + body_bytes]
        at += body_bytes
        count += 1
