"""The trust document, the record of customers' pools, and the emergency stop, as files.

What the agent must not change belongs to root and is not writable by the agent; what holds passwords is
readable by nobody else. Files are read again when they were changed.
"""

import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, Field, RootModel, ValidationError

from hashyard_agent.adapters.files import write_durably
from hashyard_agent.errors import SettingsError, StoreError
from hashyard_agent.key_rotations import Slots, followed
from hashyard_agent.trust import RecordedPools, Trust
from hashyard_shared.key_rotation import MAX_ROTATIONS
from hashyard_shared.signing import Envelope

MAX_FILE_BYTES: Final = 8 * 1024 * 1024
RECORDED_MODE: Final = 0o600
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_READABLE_BY_OTHERS: Final = stat.S_IROTH
_FIELDS_SHOWN: Final = 5
MAX_REASON_CHARS: Final = 500

ROTATIONS_MODE: Final = 0o644
LOG: Final = logging.getLogger(__name__)

Document = TypeVar("Document", bound=BaseModel)
Stamp = tuple[int, int, int]


class _Chain(RootModel[tuple[Envelope, ...]]):
    """Rotations as they were signed, oldest first."""

    root: tuple[Envelope, ...] = Field(max_length=MAX_ROTATIONS)


class TrustFiles:
    """Implements `TrustSource` and `RotatingTrust`. `recorded_path` may be missing: then nothing is recorded.

    `rotations_path` is the agent's own file with the rotations of signing keys that it took; it proves nothing by
    itself, for each is verified anew from the pinned keys.
    """

    def __init__(self, trust_path: Path, recorded_path: Path, rotations_path: Path | None = None) -> None:
        self._trust_path = trust_path
        self._recorded_path = recorded_path
        self._rotations_path = rotations_path
        self._trust: tuple[Stamp, Trust] | None = None
        self._recorded: tuple[Stamp, RecordedPools] | None = None
        self._chain: tuple[Stamp, tuple[Envelope, ...]] | None = None
        self._slots: tuple[Trust, tuple[Envelope, ...], Slots] | None = None

    def trust(self) -> Trust:
        """The trust document with the signing keys that count now. Errors: as `pinned`."""
        return self.slots().trust

    def slots(self) -> Slots:
        """The same, with the last rotation. Errors: as `pinned`."""
        pinned, chain = self.pinned(), self.rotations()
        if self._slots is None or self._slots[0] is not pinned or self._slots[1] is not chain:
            self._slots = (pinned, chain, followed(pinned, chain))
        return self._slots[2]

    def rotations(self) -> tuple[Envelope, ...]:
        """The rotations that were taken. A file that cannot be read counts as none: the cloud sends them again."""
        stamp = _stamp(self._rotations_path) if self._rotations_path else None
        if stamp is None or self._rotations_path is None:
            return ()
        if self._chain is None or self._chain[0] != stamp:
            try:
                chain = load(self._rotations_path, _Chain, secret=False).root
            except SettingsError as error:
                LOG.warning("the kept rotations of signing keys are not used: %s", error)
                chain = ()
            self._chain = (stamp, chain)
        return self._chain[1]

    def keep(self, chain: Sequence[Envelope]) -> None:
        """Replace the file of rotations. Errors: `StoreError`."""
        if self._rotations_path is None:
            raise StoreError("there is no place for rotations of signing keys")
        write_durably(
            self._rotations_path, _Chain(tuple(chain)).model_dump_json(indent=2).encode(), ROTATIONS_MODE
        )

    def pinned(self) -> Trust:
        """What root pinned. Errors: `SettingsError` when missing, malformed, or others may write it."""
        stamp = _stamp(self._trust_path)
        if stamp is None:
            raise SettingsError(f"there is no trust document at {self._trust_path}; enrol the agent on site first")
        if self._trust is None or self._trust[0] != stamp:
            self._trust = (stamp, load(self._trust_path, Trust, secret=False))
        return self._trust[1]

    def recorded(self) -> RecordedPools:
        """The recorded pools. Errors: `SettingsError` when malformed, or others may read or write it."""
        stamp = _stamp(self._recorded_path)
        if stamp is None:
            return RecordedPools()
        if self._recorded is None or self._recorded[0] != stamp:
            self._recorded = (stamp, load(self._recorded_path, RecordedPools, secret=True))
        return self._recorded[1]


def load(path: Path, model: type[Document], *, secret: bool) -> Document:
    """Read and check one document. `secret`: nobody but owner and group may read it. Errors: `SettingsError`."""
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()), secret=secret)
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise SettingsError(f"{path} is over {MAX_FILE_BYTES} bytes")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        # Without the input: it may be a password.
        problems = error.errors(include_input=False, include_url=False)[:_FIELDS_SHOWN]
        lines = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in problems)
        raise SettingsError(f"{path} is not valid: {lines}") from None


def save_recorded(path: Path, recorded: RecordedPools) -> None:
    """Replace the record, whole and durably. Errors: `StoreError` that says what to do."""
    write_durably(path, recorded.model_dump_json(indent=2).encode(), RECORDED_MODE)


def writable_by_agent(path: Path) -> bool:
    """Whether this process could change the file although it is not root: the second key is then none."""
    return os.geteuid() != 0 and os.access(path, os.W_OK)


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    return (found.st_mtime_ns, found.st_ino, found.st_size)


def _check_mode(path: Path, found: os.stat_result, *, secret: bool) -> None:
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise SettingsError(f"{path} may be written by others; run: chmod go-w {path}")
    if secret and found.st_mode & _READABLE_BY_OTHERS:
        raise SettingsError(f"{path} holds passwords and may be read by others; run: chmod 600 {path}")
    if found.st_uid not in {0, os.geteuid()}:
        raise SettingsError(f"{path} must belong to root")


class StopFile:
    """Implements `StopSwitch` by a file: it is there or not, whoever runs and whatever else is broken."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_set(self) -> bool:
        """Whether the file is there. A folder that cannot be looked into counts as stopped."""
        try:
            self._path.stat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def reason(self) -> str:
        """Why it was set, as far as that can be read."""
        try:
            return self._path.read_text(encoding="utf-8")[:MAX_REASON_CHARS].strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def set(self, reason: str) -> None:
        """Put the file there. Errors: `SettingsError`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(f"{reason}\n", encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"{self._path} cannot be written: {error.strerror}") from error

    def clear(self) -> None:
        """Take the file away. Errors: `SettingsError`."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise SettingsError(f"{self._path} cannot be removed: {error.strerror}") from error
