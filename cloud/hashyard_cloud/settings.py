"""Settings: a TOML file, overridden by the environment. The only reader of the environment.

`HASHYARD_CONFIG` names the file. Every key can be overridden by `HASHYARD_<KEY>`, in tables by
`HASHYARD_<TABLE>__<KEY>` (two underscores), for instance `HASHYARD_SMTP__HOST`.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hashyard_cloud.errors import SettingsError

ENV_PREFIX: Final = "HASHYARD_"
ENV_CONFIG: Final = "HASHYARD_CONFIG"
MAX_CONFIG_BYTES: Final = 256 * 1024
DAY_S: Final = 86_400


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SmtpSettings(_Section):
    """Where mail goes out. Without `host` it lands in the mailbox page."""

    host: str | None = None
    port: int = Field(default=587, ge=1, le=65_535)
    username: str | None = None
    password: str | None = None
    starttls: bool = True
    sender: str = "hashyard@localhost"
    timeout_s: float = Field(default=30, gt=0, le=300)


class GateSettings(_Section):
    """The waits of the redirect gate, in seconds."""

    notice_bounce_wait_s: int = Field(default=DAY_S, ge=0, le=30 * DAY_S)
    lease_s: int = Field(default=3 * DAY_S, ge=30, le=30 * DAY_S)
    lease_renewal_s: int = Field(default=DAY_S, ge=10, le=30 * DAY_S)
    refused_retry_s: int = Field(default=3_600, ge=1, le=30 * DAY_S)
    recovery_interval_s: float = Field(default=300, ge=0.5, le=DAY_S)
    booking_lag_s: int = Field(default=3_600, ge=0, le=30 * DAY_S)


class IngestSettings(_Section):
    """Bounds of what agents may send, and how long bodies are kept."""

    body_retention_s: int = Field(default=14 * DAY_S, ge=0)
    sample_retention_s: int = Field(default=730 * DAY_S, ge=DAY_S)
    max_requests_per_agent_per_minute: int = Field(default=1_200, ge=1)
    projection_interval_s: float = Field(default=0.5, gt=0, le=60)


class Settings(_Section):
    """All of the cloud's settings. Times are in seconds; `*_dsn` are URLs."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    public_url: str | None = None
    data_dir: Path = Path("/var/lib/hashyard-cloud")
    database_dsn: str | None = None
    telemetry_dsn: str | None = None
    master_key_file: Path | None = None
    job_interval_s: float = Field(default=30, gt=0, le=3_600)
    api_requests_per_minute: int = Field(default=1_200, ge=1, le=1_000_000)
    """What one API token may ask."""
    api_guesses_per_minute: int = Field(default=60, ge=1, le=1_000_000)
    """How often one address may show a token that is not known."""
    smtp: SmtpSettings = SmtpSettings()
    gate: GateSettings = GateSettings()
    ingest: IngestSettings = IngestSettings()

    @property
    def base_url(self) -> str:
        """How browsers and agents reach this service, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def database_url(self) -> str:
        """The relational store; SQLite in the data directory unless set."""
        return self.database_dsn or f"sqlite:///{self.data_dir.absolute() / 'hashyard.sqlite3'}"

    @property
    def telemetry_url(self) -> str:
        """The telemetry store; chDB in the data directory unless set."""
        return self.telemetry_dsn or f"chdb://{self.data_dir.absolute() / 'telemetry'}"

    @property
    def master_key_path(self) -> Path:
        """The key that encrypts the organisations' signing keys at rest."""
        return self.master_key_file or self.data_dir / "master.key"


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; raises `SettingsError` that names the file or field and what is wrong with it."""
    environment = os.environ if environ is None else environ
    if path is None and environment.get(ENV_CONFIG):
        path = Path(environment[ENV_CONFIG])
    values = {} if path is None else _read_file(path)
    _overlay(values, environment)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        where = f" in {path} or {ENV_PREFIX}*" if path else f" in {ENV_PREFIX}{name.replace('.', '__').upper()}"
        message = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise SettingsError(f"setting {name!r}{where}: {message}", field=name) from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read the configuration file {path}: {error.strerror}") from error
    if len(data) > MAX_CONFIG_BYTES:
        raise SettingsError(f"the configuration file {path} is larger than {MAX_CONFIG_BYTES} bytes")
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration file {path} is not TOML: {error}") from error


def _overlay(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    known = Settings.model_fields
    for name, text in sorted(environment.items()):
        if not name.startswith(ENV_PREFIX) or name == ENV_CONFIG:
            continue
        table, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        # Other Hashyard programs read their own variables from the same environment.
        if table not in known:
            continue
        if key:
            section = values.setdefault(table, {})
            if not isinstance(section, dict):
                raise SettingsError(f"setting {table!r} must be a table", field=table)
            section[key] = text
        else:
            values[table] = text
