"""SSH host keys of miners, pinned on first use, by MAC: an address may move, a device's key may not change."""

import json
from pathlib import Path
from typing import Final

from hashyard_agent.adapters.files import write_durably
from hashyard_agent.errors import HostKeyChangedError, SettingsError

MAX_KEYS: Final = 20_000
MAX_FILE_BYTES: Final = 8 * 1024 * 1024
_MODE: Final = 0o600


class HostKeys:
    """The pins, in one JSON file. Errors: `SettingsError`, `StoreError`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, mac: str, ip: str, fingerprint: str) -> None:
        """Pin the key of a device that is met for the first time; a changed one is `HostKeyChangedError`."""
        known = self._read()
        pinned = known.get(mac)
        if pinned == fingerprint:
            return
        if pinned is not None:
            raise HostKeyChangedError(
                ip,
                f"its SSH host key is {fingerprint}, not {pinned} as pinned; forget it if it was reflashed",
            )
        if len(known) >= MAX_KEYS:
            raise SettingsError(f"{self._path} holds {MAX_KEYS} host keys, which is the limit")
        self._write({**known, mac: fingerprint})

    def forget(self, mac: str) -> None:
        """The next key of this device is pinned anew."""
        known = self._read()
        if known.pop(mac, None) is not None:
            self._write(known)

    def _read(self) -> dict[str, str]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SettingsError(f"{self._path} cannot be read: {error.strerror}") from error
        try:
            found = json.loads(data[:MAX_FILE_BYTES])
        except ValueError as error:
            raise SettingsError(f"{self._path} is damaged; move it aside, and keys are pinned anew") from error
        if not isinstance(found, dict):
            raise SettingsError(f"{self._path} is damaged; move it aside, and keys are pinned anew")
        return {str(mac): str(key) for mac, key in found.items()}

    def _write(self, keys: dict[str, str]) -> None:
        write_durably(self._path, json.dumps(keys, indent=1, sort_keys=True).encode(), _MODE)
