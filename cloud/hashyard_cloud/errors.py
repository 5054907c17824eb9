"""The cloud's errors. The docstring is the default message; the web edge renders `code`, `status` and `field`.

CloudError                      500 internal
├── MalformedError              422 a value is missing or wrong; names the field
├── TooLargeError               413
├── NotFoundError               404 the one answer, whether a thing exists elsewhere or not
├── ConflictError               409
├── IdempotencyMismatchError    409
├── StoreCorruptError           500 what is stored cannot be read back
├── UnauthenticatedError        401
├── ForbiddenError              403
├── RateLimitedError            429 with how long to wait
├── UnsupportedError            400
├── UnavailableError            503 with how long to wait
└── StartError                  the service cannot start; carries the exit code
    ├── SettingsError           a setting is missing or wrong
    ├── DataDirError            the data directory cannot be used
    ├── StoreError              a store cannot be opened
    ├── SchemaTooNewError       the store was written by a newer version
    ├── SchemaMismatchError     the store was written by an unreleased version
    ├── BackupError             a backup could not be taken, checked or put back
    ├── TelemetryBusyError      another process owns the telemetry store
    └── PortInUseError          something else listens there
"""

from typing import ClassVar, Final

from hashyard_shared.errors import ErrorCode

DEFAULT_RETRY_AFTER_S: Final = 5.0


class CloudError(Exception):
    """Something went wrong on our side; it has been logged."""

    code: ErrorCode = ErrorCode.INTERNAL
    status: ClassVar[int] = 500

    def __init__(
        self, message: str | None = None, *, field: str | None = None, code: ErrorCode | None = None
    ) -> None:
        super().__init__(message or self.__doc__)
        self.field = field
        if code is not None:
            self.code = code


class MalformedError(CloudError):
    """A value is missing or wrong."""

    code = ErrorCode.MALFORMED
    status = 422


class TooLargeError(CloudError):
    """The request is larger than what is accepted."""

    code = ErrorCode.TOO_LARGE
    status = 413


class NotFoundError(CloudError):
    """There is nothing here, or it is not yours to see."""

    code = ErrorCode.NOT_FOUND
    status = 404


class ConflictError(CloudError):
    """It contradicts what is already recorded."""

    code = ErrorCode.CONFLICT
    status = 409


class IdempotencyMismatchError(CloudError):
    """The idempotency key was used with another request."""

    code = ErrorCode.IDEMPOTENCY_MISMATCH
    status = 409


class StoreCorruptError(CloudError):
    """What is stored cannot be read back; the disk or the backup it came from is damaged."""

    code = ErrorCode.CORRUPT


class UnauthenticatedError(CloudError):
    """Sign in first."""

    code = ErrorCode.UNAUTHENTICATED
    status = 401


class ForbiddenError(CloudError):
    """Your role does not allow this."""

    code = ErrorCode.FORBIDDEN
    status = 403


class _WaitError(CloudError):
    """Try again later."""

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_s: float = DEFAULT_RETRY_AFTER_S,
        code: ErrorCode | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class RateLimitedError(_WaitError):
    """Too many requests; wait before the next."""

    code = ErrorCode.RATE_LIMITED
    status = 429


class UnavailableError(_WaitError):
    """The service cannot do this right now; try again."""

    code = ErrorCode.UNAVAILABLE
    status = 503


class UnsupportedError(CloudError):
    """Not known here."""

    code = ErrorCode.UNSUPPORTED
    status = 400


class StartError(CloudError):
    """The service cannot start."""

    exit_code: ClassVar[int] = 1


class SettingsError(StartError):
    """A setting is missing or wrong."""

    code = ErrorCode.MALFORMED
    exit_code = 2


class DataDirError(StartError):
    """The data directory cannot be used."""

    code = ErrorCode.UNAVAILABLE
    exit_code = 3


class PortInUseError(StartError):
    """Something else listens on this address."""

    code = ErrorCode.CONFLICT
    exit_code = 4


class SchemaTooNewError(StartError):
    """The store was written by a newer version of hashyard-cloud; install that version or restore a backup."""

    code = ErrorCode.CONFLICT
    exit_code = 5


class SchemaMismatchError(StartError):
    """The store was written by an unreleased version whose schema was different; start with a fresh data_dir."""

    code = ErrorCode.CONFLICT
    exit_code = 5


class StoreError(StartError):
    """A store cannot be opened."""

    code = ErrorCode.UNAVAILABLE
    exit_code = 6


class TelemetryBusyError(StoreError):
    """Another process owns the telemetry store."""


class BackupError(StartError):
    """The backup could not be taken, checked or put back."""

    code = ErrorCode.UNAVAILABLE
    exit_code = 6
