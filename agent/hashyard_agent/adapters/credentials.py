"""Miner credentials: the site's own file first, the factory's after it.

The site's file is TOML, readable by root and the agent's user alone:

    [[credential]]
    mac = "aa:bb:cc:dd:ee:ff"     # one miner
    username = "root"
    password = "..."

    [[credential]]
    subnet = "10.1.2.0/24"        # a part of the site
    family = "antminer-stock"     # conditions may be combined
    password = "..."

The entry that fits most closely wins: MAC, then the smallest subnet, then family. Passwords never leave the site.
"""

import ipaddress
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hashyard_agent.errors import SettingsError
from hashyard_shared.ids import MalformedIdError, normalise_mac

MAX_ENTRIES: Final = 20_000
MAX_FILE_BYTES: Final = 4 * 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_FACTORY_FILE: Final = "factory_credentials.toml"


@dataclass(frozen=True, slots=True)
class Credential:
    """How to log in to a miner. The password never shows in a repr, a log or on the wire."""

    username: str
    password: str = field(repr=False)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    mac: str | None = None
    subnet: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    family: str | None = None
    username: str | None = None
    password: str = Field(repr=False)

    @field_validator("mac")
    @classmethod
    def _normal(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return normalise_mac(value)
        except MalformedIdError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _has_a_condition(self) -> "_Entry":
        if self.mac is None and self.subnet is None and self.family is None:
            raise ValueError("needs a mac, a subnet or a family, so that no password goes to every device")
        return self

    def closeness(self) -> tuple[int, int, int]:
        """How closely the entry names a miner; larger is closer."""
        prefix = -1 if self.subnet is None else self.subnet.prefixlen
        return (self.mac is not None, prefix, self.family is not None)

    def fits(self, ip: str, mac: str | None, family: str) -> bool:
        """Whether all the conditions given hold for this miner."""
        if self.mac is not None and self.mac != mac:
            return False
        if self.family is not None and self.family != family:
            return False
        return self.subnet is None or ipaddress.ip_address(ip) in self.subnet


class CredentialStore:
    """Finds the credential for a miner."""

    def __init__(self, entries: tuple[_Entry, ...] = ()) -> None:
        self._entries = sorted(entries, key=_Entry.closeness, reverse=True)

    @classmethod
    def from_file(cls, path: Path | None) -> "CredentialStore":
        """Read the site's file; None or a missing file means factory credentials only.

        Raises `SettingsError` when others may read the file or an entry is wrong; never shows a password.
        """
        if path is None or not path.exists():
            return cls()
        return cls(_entries(path))

    def find(self, *, ip: str, mac: str | None, family: str, names: tuple[str, ...]) -> Credential | None:
        """The site's credential that fits most closely, else the first factory one of `names`, else None."""
        factory = next((known for name in names if (known := factory_credentials().get(name))), None)
        for entry in self._entries:
            if entry.fits(ip, mac, family):
                username = entry.username or (factory.username if factory is not None else "root")
                return Credential(username, entry.password)
        return factory


@cache
def factory_credentials() -> Mapping[str, Credential]:
    """The credentials that miners leave the factory with, by the names that profiles use."""
    text = resources.files("hashyard_agent.adapters").joinpath(_FACTORY_FILE).read_text(encoding="utf-8")
    return {name: Credential(**fields) for name, fields in tomllib.loads(text).items()}


def _entries(path: Path) -> tuple[_Entry, ...]:
    try:
        with path.open("rb") as file:
            _check_owner(path, os.fstat(file.fileno()))
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise SettingsError(f"miner credentials {path}: over {MAX_FILE_BYTES} bytes")
        document = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"miner credentials {path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"miner credentials {path}: not TOML: {error}") from error
    rows = document.get("credential", [])
    unknown = document.keys() - {"credential"}
    if unknown or not isinstance(rows, list) or len(rows) > MAX_ENTRIES:
        raise SettingsError(f"miner credentials {path}: must be [[credential]] entries, at most {MAX_ENTRIES}")
    return tuple(_entry(path, number, row) for number, row in enumerate(rows, start=1))


def _entry(path: Path, number: int, row: object) -> _Entry:
    try:
        return _Entry.model_validate(row)
    except ValidationError as error:
        # A misspelt field shows as one missing and one too many; the one too many is what was written.
        first = max(error.errors(include_input=False), key=lambda each: each["type"] == "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"]) or "entry"
        raise SettingsError(f"miner credentials {path}: entry {number}, {where}: {first['msg']}") from None


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_mode & _OTHERS:
        raise SettingsError(f"miner credentials {path}: others may read it; run: chmod 600 {path}")
    if found.st_uid not in {0, os.geteuid()}:
        raise SettingsError(f"miner credentials {path}: must belong to root or the agent's user")
