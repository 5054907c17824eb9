"""The agent's settings: `agent.toml`, and the only place where the agent reads the environment.

A setting may be overridden by `HASHYARD_AGENT__<SECTION>__<FIELD>` (or `HASHYARD_AGENT__NAME`); the file is
named by `--config` or `HASHYARD_AGENT_CONFIG`. What the cloud sets later stays within what is written here.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hashyard_agent.errors import SettingsError

DEFAULT_CONFIG: Final = Path("/etc/hashyard/agent.toml")
CONFIG_VARIABLE: Final = "HASHYARD_AGENT_CONFIG"
_PREFIX: Final = "HASHYARD_AGENT__"
MAX_CONFIG_BYTES: Final = 1024 * 1024
MIN_STORE_BYTES: Final = 1024 * 1024
MAX_SUBNETS: Final = 256


class _Section(BaseModel):
    """A misspelt setting must not be passed over in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class CloudSettings(_Section):
    """Where the cloud is. `ca_file` pins a private CA: with it, no public CA is trusted."""

    url: str
    ca_file: Path | None = None
    timeout_s: float = Field(default=30, gt=0, le=300)

    @field_validator("url")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ValueError("write it as https://cloud.example.com")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("plain http is only accepted for a cloud on this machine; use https://")
        return url.rstrip("/")


class SiteSettings(_Section):
    """Which networks are swept for miners. `profiles` holds firmware profiles of the site's own."""

    subnets: tuple[IPv4Network, ...] = Field(default=(), max_length=MAX_SUBNETS)
    exclude: tuple[IPv4Network, ...] = Field(default=(), max_length=MAX_SUBNETS)
    profiles: Path = Path("/etc/hashyard/profiles")


class StoreSettings(_Section):
    """Where the agent keeps what it must not lose. `path` is a folder of the agent's own.

    The outbox never grows over `max_bytes`; `headroom_bytes` are set aside on the disk as a file that is given up
    when the disk is full, so that deleting still works.
    """

    path: Path = Path("/var/lib/hashyard")
    max_bytes: int = Field(default=10_000_000_000, ge=MIN_STORE_BYTES)
    headroom_bytes: int = Field(default=16 * 1024 * 1024, ge=0, le=1_000_000_000)

    @property
    def outbox_file(self) -> Path:
        """The outbox's database."""
        return self.path / "outbox.db"

    @property
    def enforcement_file(self) -> Path:
        """The database of orders, leases, snapshots and the journal."""
        return self.path / "enforcement.db"

    @property
    def stop_file(self) -> Path:
        """The emergency stop: writes are frozen while this file is there."""
        return self.path / "EMERGENCY-STOP"

    @property
    def rotations_file(self) -> Path:
        """Rotations of the organisation's signing keys that were taken."""
        return self.path / "key-rotations.json"

    @property
    def fleet_file(self) -> Path:
        """The miners that are known."""
        return self.path / "fleet.json"


class PollingSettings(_Section):
    """How miners are read. The cloud's intervals apply unless these are set."""

    interval_s: float | None = Field(default=None, ge=1, le=3600)
    discovery_interval_s: float | None = Field(default=None, ge=5, le=86_400)
    timeout_s: float = Field(default=5, gt=0, le=60)
    slow_timeout_s: float = Field(default=20, gt=0, le=120)
    slow_interval_s: float = Field(default=3600, ge=5, le=86_400)
    max_concurrency: int = Field(default=400, ge=1, le=10_000)
    connect_timeout_s: float = Field(default=1, gt=0, le=30)


class CredentialsSettings(_Section):
    """Miners' credentials: a root-owned 0600 file, never in the cloud and never on the wire to it."""

    file: Path | None = None


class EnforcementSettings(_Section):
    """The site's own limits. They win over whatever the cloud says.

    `trust_file` (signing keys, holding pools) belongs to root. The rates are for the whole site and apply where a
    write restarts mining; `daily_cap_units` is what the cloud may touch a day before a technician must confirm.
    """

    trust_file: Path = Path("/etc/hashyard/trust.json")
    recorded_pools_file: Path | None = None
    shadow_mode: bool = False
    daily_cap_units: int = Field(default=60, ge=0, le=100_000)
    units_per_minute: float = Field(default=10, gt=0, le=100_000)
    watts_per_minute: float = Field(default=50_000, gt=0, le=1_000_000_000)
    lapse_policy: Literal["restore", "keep"] = "restore"
    max_concurrency: int = Field(default=32, ge=1, le=1_000)
    canary_wait_s: float = Field(default=600, ge=0, le=86_400)
    call_timeout_s: float = Field(default=20, gt=0, le=600)
    write_timeout_s: float = Field(default=60, gt=0, le=600)
    readback_timeout_s: float = Field(default=120, gt=0, le=3_600)
    activate_timeout_s: float = Field(default=600, gt=0, le=86_400)
    shares_timeout_s: float = Field(default=900, gt=0, le=86_400)
    confirm_interval_s: float = Field(default=5, gt=0, le=600)
    offline_retry_s: float = Field(default=10, gt=0, le=3_600)
    retry_first_s: float = Field(default=5, gt=0, le=3_600)
    retry_max_s: float = Field(default=600, gt=0, le=86_400)
    write_attempts_max: int = Field(default=3, ge=1, le=20)
    drift_check_interval_s: float = Field(default=300, gt=0, le=86_400)
    drift_reapply_max: int = Field(default=3, ge=0, le=100)
    quarantine_after: int = Field(default=2, ge=1, le=100)


class LocalWebSettings(_Section):
    """The technician's page. Anything but loopback is the host's explicit choice."""

    listen: str = "127.0.0.1:8480"
    enabled: bool = True

    @field_validator("listen")
    @classmethod
    def _address(cls, listen: str) -> str:
        host, _, port = listen.rpartition(":")
        if not host or not port.isdecimal() or not 0 <= int(port) <= 65_535:
            raise ValueError("write it as 127.0.0.1:8480")
        return listen

    @property
    def host(self) -> str:
        """The address to bind."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to bind."""
        return int(self.listen.rpartition(":")[2])


class Settings(_Section):
    """All of `agent.toml`."""

    name: str = Field(default="agent", min_length=1, max_length=64)
    cloud: CloudSettings
    site: SiteSettings = SiteSettings()
    store: StoreSettings = StoreSettings()
    polling: PollingSettings = PollingSettings()
    credentials: CredentialsSettings = CredentialsSettings()
    enforcement: EnforcementSettings = EnforcementSettings()
    local_web: LocalWebSettings = LocalWebSettings()

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.store.headroom_bytes >= self.store.max_bytes:
            raise ValueError("store.headroom_bytes must be smaller than store.max_bytes")
        return self

    @property
    def recorded_pools_file(self) -> Path:
        """Customers' pools and their passwords as recorded on site."""
        return self.enforcement.recorded_pools_file or self.store.path / "recorded-pools.json"


def config_path(given: Path | None, environment: Mapping[str, str] | None = None) -> Path:
    """Which file is meant: `--config`, then the environment, then the usual place."""
    environ = os.environ if environment is None else environment
    named = environ.get(CONFIG_VARIABLE)
    return given or (Path(named) if named else DEFAULT_CONFIG)


def load(given: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Errors: `SettingsError` that names the file, the field and what to do."""
    environ = os.environ if environment is None else environment
    path = config_path(given, environ)
    document = _read(path)
    _override(document, environ)
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError(_explain(path, error)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise SettingsError(f"{path} is over {MAX_CONFIG_BYTES} bytes; this is not an agent.toml")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no settings file at {path}; write one as deploy/agent.example.toml shows, "
            "or name it with --config"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}; correct that line") from error


def _override(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX):
            continue
        keys = variable.removeprefix(_PREFIX).lower().split("__")
        section = document
        for key in keys[:-1]:
            section = section.setdefault(key, {})
            if not isinstance(section, dict):
                raise SettingsError(f"{variable} names {key!r}, which is a value and not a section")
        text = environ[variable]
        section[keys[-1]] = json.loads(text) if text.startswith("[") else text


def _explain(path: Path, error: ValidationError) -> str:
    lines = [f"{path} has {error.error_count()} setting(s) to correct:"]
    for problem in error.errors(include_url=False)[:10]:
        field = ".".join(str(part) for part in problem["loc"]) or "(file)"
        if problem["type"] == "extra_forbidden":
            lines.append(f"  {field}: there is no such setting; remove it or correct its spelling")
        elif problem["type"] == "missing":
            lines.append(f"  {field}: is missing; add it")
        else:
            lines.append(
                f"  {field}: {problem['msg'].removeprefix('Value error, ')} (got {problem['input']!r:.80})"
            )
    return "\n".join(lines)


def write_starter(path: Path, cloud_url: str, ca_file: Path | None) -> None:
    """A first settings file for a machine that has none. Errors: `SettingsError`."""
    lines = [
        "# Hashyard agent: the least that is needed. deploy/agent.example.toml in the project has every setting.",
        "",
        "[cloud]",
        f"url = {json.dumps(cloud_url)}",
        f"ca_file = {json.dumps(str(ca_file.absolute()))}" if ca_file else '# ca_file = "/etc/hashyard/ca.pem"',
        "",
        "[site]",
        "# Where the miners are:",
        '# subnets = ["10.20.0.0/16"]',
        "subnets = []",
        "",
    ]
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write("\n".join(lines))
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}; name another file with --config"
        ) from error
