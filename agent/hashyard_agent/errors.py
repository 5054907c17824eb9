"""The agent's errors.

AgentError
├── SettingsError            a setting is missing or wrong; names the field
├── StoreError               the local store cannot be used (read-only, full, newer schema)
├── CloudError               the cloud did not do what was asked
│   ├── CloudUnreachableError    network, TLS, time-out, 5xx
│   └── CloudRefusedError        a clear no, with its code
├── MinerError               carries the device's address
│   ├── MinerConnectionError     refused, reset, no route
│   ├── MinerTimeoutError        the agent's own deadline passed
│   ├── MinerMalformedError      an answer that cannot be read; also an empty or blank pool list
│   ├── MinerAuthError           credentials refused
│   ├── MinerRefusedError        the device said no
│   ├── HostKeyChangedError      another SSH host key than the pinned one
│   └── MinerBusyError           another part of the agent is talking to it
└── RefusedError             a rule of enforcement says no, with its code
"""

from typing import ClassVar

from hashyard_shared.errors import ErrorCode


class AgentError(Exception):
    """The agent could not do what was asked."""

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class SettingsError(AgentError):
    """A setting is missing or wrong."""

    code = ErrorCode.MALFORMED


class StoreError(AgentError):
    """The local store cannot be used."""

    code = ErrorCode.UNAVAILABLE


class CloudError(AgentError):
    """The cloud did not do what was asked."""


class CloudUnreachableError(CloudError):
    """The cloud cannot be reached."""

    code = ErrorCode.UNAVAILABLE

    def __init__(self, message: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CloudRefusedError(CloudError):
    """The cloud refused the request."""

    def __init__(self, code: ErrorCode, detail: str, status: int) -> None:
        super().__init__(f"{detail} ({code}, HTTP {status})")
        self.code = code
        self.status = status


class MinerError(AgentError):
    """A miner could not be read or written."""

    miner_code: ClassVar[ErrorCode] = ErrorCode.MINER_UNREACHABLE

    def __init__(self, ip: str, message: str | None = None) -> None:
        super().__init__(f"{ip}: {message or self.__doc__}")
        self.ip = ip
        self.code = self.miner_code


class MinerConnectionError(MinerError):
    """The miner refused or dropped the connection."""


class MinerTimeoutError(MinerError):
    """The miner did not answer before the deadline."""

    miner_code = ErrorCode.MINER_TIMEOUT


class MinerMalformedError(MinerError):
    """The miner's answer cannot be read."""

    miner_code = ErrorCode.MINER_MALFORMED


class MinerAuthError(MinerError):
    """The miner refused the credentials."""

    miner_code = ErrorCode.MINER_AUTH


class MinerRefusedError(MinerError):
    """The miner said no."""

    miner_code = ErrorCode.MINER_REFUSED


class HostKeyChangedError(MinerError):
    """Its SSH host key is not the one that was pinned."""

    miner_code = ErrorCode.HOST_KEY_CHANGED


class MinerBusyError(MinerError):
    """Another part of the agent is talking to the miner."""

    miner_code = ErrorCode.UNAVAILABLE


class RefusedError(AgentError):
    """A rule of enforcement says no."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
