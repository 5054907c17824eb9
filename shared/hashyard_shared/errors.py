"""The one closed list of error codes, and the root of this package's errors.

SharedError
├── MalformedIdError      (ids)
├── CodecError            (codec)
│   ├── TooLargeError
│   └── UnknownFormatError
├── SignatureError        (signing)
│   └── KeyChangeError    (agent_keys)
├── RotationFormError     (key_rotation)
├── EnrolmentCodeError    (enrolment)
└── FrameError            (protocol)
"""

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """Every reason that crosses the wire or is shown to a person; `type` in problem+json."""

    # general
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate-limited"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    IDEMPOTENCY_MISMATCH = "idempotency-mismatch"
    # enrolment and identity
    CODE_UNKNOWN = "code-unknown"
    CODE_USED = "code-used"
    CODE_EXPIRED = "code-expired"
    KEY_MISMATCH = "key-mismatch"
    AGENT_REVOKED = "agent-revoked"
    CLONE_SUSPECTED = "clone-suspected"
    EPOCH_CONFLICT = "epoch-conflict"
    PROTOCOL_TOO_OLD = "protocol-too-old"
    PROTOCOL_TOO_NEW = "protocol-too-new"
    # telemetry
    ROSTER_UNKNOWN = "roster-unknown"
    CORRUPT = "corrupt"
    # orders refused by the agent
    ORDER_SIGNATURE = "order-signature"
    ORDER_KEY_REVOKED = "order-key-revoked"
    ORDER_UNKNOWN_FIELD = "order-unknown-field"
    ORDER_WRONG_SITE = "order-wrong-site"
    ORDER_WRONG_AGENT = "order-wrong-agent"
    ORDER_WRONG_EPOCH = "order-wrong-epoch"
    ORDER_WRONG_MAC = "order-wrong-mac"
    ORDER_UNKNOWN_UNIT = "order-unknown-unit"
    ORDER_REPLAYED = "order-replayed"
    ORDER_EXPIRED = "order-expired"
    ORDER_NOT_YET_VALID = "order-not-yet-valid"
    ORDER_TIME_UNKNOWN = "order-time-unknown"
    ORDER_POOL_NOT_PINNED = "order-pool-not-pinned"
    ORDER_WORKER_NOT_PINNED = "order-worker-not-pinned"
    ORDER_PASSWORD_NOT_PINNED = "order-password-not-pinned"  # noqa: S105 - a code, not a password
    ORDER_OVER_DAILY_CAP = "order-over-daily-cap"
    # rotations of signing keys refused by the agent
    ROTATION_KEY_UNKNOWN = "rotation-key-unknown"
    ROTATION_KEY_REVOKED = "rotation-key-revoked"
    ROTATION_SIGNATURE = "rotation-signature"
    ROTATION_UNKNOWN_FIELD = "rotation-unknown-field"
    ROTATION_WRONG_ORGANISATION = "rotation-wrong-organisation"
    ROTATION_REPLAYED = "rotation-replayed"
    ROTATION_NOT_NEXT = "rotation-not-next"
    ROTATION_REVOKES_OTHERS = "rotation-revokes-others"
    # what stops or holds a write
    SHADOW_MODE = "shadow-mode"
    REDIRECT_DISABLED = "redirect-disabled"
    EMERGENCY_STOP = "emergency-stop"
    MAINTENANCE = "maintenance"
    QUARANTINED = "quarantined"
    DUPLICATE_MAC = "duplicate-mac"
    BOARD_SWAPPED = "board-swapped"
    REASSIGNED = "reassigned"
    FAMILY_READ_ONLY = "family-read-only"
    PASSWORD_UNKNOWN = "password-unknown"  # noqa: S105 - a code, not a password
    NOT_RESTORABLE = "not-restorable"
    NO_SNAPSHOT = "no-snapshot"
    POOLS_NOT_RECORDED = "pools-not-recorded"
    # what a device did
    MINER_UNREACHABLE = "miner-unreachable"
    MINER_TIMEOUT = "miner-timeout"
    MINER_MALFORMED = "miner-malformed"
    MINER_REFUSED = "miner-refused"
    MINER_AUTH = "miner-auth"
    POOLS_BLANK = "pools-blank"
    WRITE_NOT_TAKEN = "write-not-taken"
    SETTINGS_CHANGED = "settings-changed"
    POOL_DEAD = "pool-dead"
    NO_SHARES = "no-shares"
    IDENTITY_CHANGED = "identity-changed"
    HOST_KEY_CHANGED = "host-key-changed"
    DRIFTED = "drifted"


class SharedError(Exception):
    """What was received does not follow the rules that agent and cloud share."""

    code: ClassVar[ErrorCode] = ErrorCode.MALFORMED

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)
