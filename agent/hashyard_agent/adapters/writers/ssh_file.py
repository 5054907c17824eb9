"""Firmware that offers only SSH: pools stand in a configuration file; the mining program is restarted.

For older Braiins OS and for plain cgminer rigs with their configuration file. The host key is pinned on first
use. The file is written beside the old one, synced and renamed, so that a cut leaves the old or the new one.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncssh

from hashyard_agent.adapters.host_keys import HostKeys
from hashyard_agent.adapters.wire import cgminer, deadline
from hashyard_agent.adapters.writers.base import (
    READ_TIMEOUT_S,
    WRITE_TIMEOUT_S,
    Logins,
    checked,
    first_reason,
    identified,
    refuse_blank,
    section,
    seen_pools,
)
from hashyard_agent.adapters.writers.pool_files import PoolFile, replaced
from hashyard_agent.errors import (
    HostKeyChangedError,
    MinerAuthError,
    MinerConnectionError,
    MinerMalformedError,
    MinerRefusedError,
)
from hashyard_agent.ports import (
    Credential,
    CredentialStore,
    Identity,
    MinerConfig,
    PoolGroup,
    PoolStatus,
    WriterTraits,
)

PORT: Final = 22
MAX_FILE_CHARS: Final = 256 * 1024
# Old devices speak nothing newer than the last of these.
HOST_KEY_KINDS: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


@dataclass(frozen=True, slots=True)
class SshFirmware:
    """Where such a firmware keeps what. `restart` and `version` are shell commands of the firmware's own."""

    family: str
    path: str
    kind: PoolFile
    restart: str
    version: str
    max_slots: int
    interface: str = "eth0"
    port: int = PORT


class SshFileWriter:
    """See the module."""

    def __init__(self, firmware: SshFirmware, credentials: CredentialStore, host_keys: HostKeys) -> None:
        self._firmware = firmware
        self._logins = Logins(credentials)
        self._host_keys = host_keys
        self.traits = WriterTraits(
            firmware.family, max_slots=firmware.max_slots, max_groups=firmware.kind.max_groups
        )

    async def identify(self, identity: Identity) -> Identity:
        address = f"/sys/class/net/{self._firmware.interface}/address"
        mac = await self._run(identity, f"cat {shlex.quote(address)}", READ_TIMEOUT_S)
        version = await self._run(identity, self._firmware.version, READ_TIMEOUT_S)
        return identified(
            identity,
            mac=mac.strip(),
            serial=None,
            model=identity.model,
            firmware=version.strip()[:128],
            family=self.traits.family,
        )

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        if any(not pool.url for group in groups for pool in group.pools):
            return "an empty slot between pools, which this file does not have"
        return first_reason(groups, max_slots=self.traits.max_slots, max_groups=self.traits.max_groups)

    async def read(self, identity: Identity) -> MinerConfig:
        text = await self._file(identity)
        try:
            document = self._firmware.kind.parse(text)
            groups = self._firmware.kind.groups(document)
        except (ValueError, KeyError, TypeError) as error:
            raise MinerMalformedError(identity.ip, f"{self._firmware.path} cannot be read: {error}") from error
        return checked(identity.ip, groups, {"text": text}, self._firmware.kind.rest(document))

    async def write(self, identity: Identity, current: MinerConfig, groups: Sequence[PoolGroup]) -> None:
        refuse_blank(identity.ip, groups)
        try:
            fresh = replaced(self._firmware.kind, str(current.raw["text"]), groups)
        except ValueError as error:
            raise MinerRefusedError(identity.ip, str(error)) from error
        path = shlex.quote(self._firmware.path)
        aside = shlex.quote(f"{self._firmware.path}.new")
        keep = f"cat > {aside} && chmod --reference={path} {aside} 2>/dev/null; sync && mv {aside} {path} && sync"
        await self._run(identity, keep, WRITE_TIMEOUT_S, stdin=fresh)
        if await self._file(identity) != fresh:
            raise MinerRefusedError(identity.ip, f"{self._firmware.path} does not hold what was written")
        await self._run(identity, self._firmware.restart, WRITE_TIMEOUT_S)

    async def status(self, identity: Identity) -> PoolStatus:
        async with deadline(identity.ip, READ_TIMEOUT_S):
            answer = await cgminer(identity.ip, "pools")
        return PoolStatus(seen_pools(section(identity.ip, answer, "POOLS")))

    async def _file(self, identity: Identity) -> str:
        text = await self._run(identity, f"cat {shlex.quote(self._firmware.path)}", READ_TIMEOUT_S)
        if len(text) > MAX_FILE_CHARS:
            raise MinerMalformedError(identity.ip, f"{self._firmware.path} is over {MAX_FILE_CHARS} characters")
        return text

    async def _run(self, identity: Identity, command: str, timeout_s: float, stdin: str | None = None) -> str:
        async def act(login: Credential) -> str:
            async with deadline(identity.ip, timeout_s), self._connected(identity, login) as connection:
                result = await connection.run(command, input=stdin, check=False)
                if result.exit_status != 0:
                    raise MinerRefusedError(identity.ip, f"{command[:60]}: exit status {result.exit_status}")
                return str(result.stdout or "")

        return await self._logins.first(identity, act)

    @asynccontextmanager
    async def _connected(
        self, identity: Identity, login: Credential
    ) -> AsyncIterator[asyncssh.SSHClientConnection]:
        ip = identity.ip
        try:
            connection = await asyncssh.connect(
                ip,
                self._firmware.port,
                username=login.username,
                password=login.password,
                # The key is judged below, by our own pins, before anything is sent but the login itself.
                client_factory=lambda: _Pinning(self._host_keys, identity),
                known_hosts=([], [], []),
                client_keys=None,
                agent_path=None,
                config=None,
                server_host_key_algs=list(HOST_KEY_KINDS),
            )
        except asyncssh.PermissionDenied as error:
            raise MinerAuthError(ip, "SSH login refused") from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostKeyChangedError(ip) from error
        except (OSError, asyncssh.Error) as error:
            raise MinerConnectionError(ip, f"SSH: {error}") from error
        try:
            yield connection
        except (OSError, asyncssh.Error, asyncio.IncompleteReadError) as error:
            raise MinerConnectionError(ip, f"SSH: {error}") from error
        finally:
            connection.abort()


class _Pinning(asyncssh.SSHClient):
    """Accepts the host key that is pinned for this device, or pins the first."""

    def __init__(self, host_keys: HostKeys, identity: Identity) -> None:
        self._host_keys = host_keys
        self._identity = identity

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        del host, addr, port
        try:
            name = self._identity.mac or self._identity.ip
            self._host_keys.check(name, self._identity.ip, key.get_fingerprint())
        except HostKeyChangedError:
            return False
        return True
