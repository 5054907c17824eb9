"""The writer for firmware that offers only SSH, against a real SSH server with a real shell and file."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from hashyard_agent.adapters.credentials import Credential
from hashyard_agent.adapters.host_keys import HostKeys
from hashyard_agent.adapters.writers.pool_files import BOSMINER_TOML, CGMINER_CONF, PoolFile, replaced
from hashyard_agent.adapters.writers.ssh_file import SshFileWriter, SshFirmware
from hashyard_agent.enforcement.comparison import same_groups
from hashyard_agent.errors import HostKeyChangedError, MinerAuthError, MinerError, MinerMalformedError
from hashyard_agent.ports import Identity, Pool, PoolGroup

MAC = "02:5e:e0:00:00:09"
HOLD = Pool("stratum+tcp://holding.example:3333", "host.R1", 'ho"ld')
CGMINER = """{
  "pools": [
    {"url": "stratum+tcp://a.example:3333", "user": "acme.1", "pass": "x", "quota": "2"},
    {"url": "stratum+ssl://b.example:443/p?q=1", "user": "acme.1", "pass": "y"}
  ],
  "api-listen": true,
  "freq": "600"
}
"""
BOSMINER = """# kept by hand
[format]
version = "1.2+"
model = "Antminer S9"

[[group]]
name = "Main"
quota = 3

[[group.pool]]
enabled = true
url = "stratum2+tcp://v2.example:3336/9awtMD5KQgvRUh2y"
user = "acme.1"

[[group.pool]]
enabled = false
url = "stratum+tcp://b.example:25"
user = "acme.1"
password = "y"

[temp_control]
target_temp = 80 # degrees

[[group]]
name = "Second"
fixed_share_ratio = 0.25

[[group.pool]]
url = "stratum+tcp://c.example:3333"
user = "acme.1"

[autotuning]
enabled = true
"""
KINDS = {"cgminer": (CGMINER_CONF, CGMINER), "bosminer": (BOSMINER_TOML, BOSMINER)}


class _Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("root", "root")


async def _shell(process: asyncssh.SSHServerProcess[str]) -> None:
    """Runs the command in a real shell, as the device would."""
    child = await asyncio.create_subprocess_shell(
        process.command or "",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    feed = asyncio.create_task(_feed(process, child.stdin))
    out = await child.stdout.read()
    code = await child.wait()
    feed.cancel()
    await asyncio.gather(feed, return_exceptions=True)
    process.stdout.write(out.decode())
    process.exit(code)


async def _feed(process: asyncssh.SSHServerProcess[str], stdin: asyncio.StreamWriter) -> None:
    """What the client sends until its end; a command that reads nothing does not wait for it."""
    text = await process.stdin.read()
    stdin.write(text.encode())
    await stdin.drain()
    stdin.close()


@asynccontextmanager
async def _device(folder: Path, kind: PoolFile, text: str) -> AsyncIterator[tuple[SshFirmware, Identity]]:
    (folder / "pools.conf").write_text(text)
    (folder / "mac").write_text(f"{MAC}\n")
    ip = f"127.30.{random.randrange(1, 254)}.{random.randrange(1, 254)}"
    server = await asyncssh.create_server(
        _Server,
        ip,
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=_shell,
    )
    firmware = SshFirmware(
        family="ssh",
        path=str(folder / "pools.conf"),
        kind=kind,
        restart=f"echo restarted >> {folder}/restarts",
        version="echo 1.0",
        max_slots=8,
        interface=f"../../..{folder}/iface",
        port=server.sockets[0].getsockname()[1],
    )
    (folder / "iface").mkdir()
    (folder / "iface" / "address").write_text(f"{MAC}\n")
    try:
        yield firmware, Identity(ip, MAC, None, "ssh", "", "S9", "1.0")
    finally:
        server.close()
        await server.wait_closed()


class _Logins:
    def __init__(self, word: str = "root") -> None:
        self._password = word

    def for_miner(self, identity: Identity) -> list[Credential]:
        return [Credential("root", self._password)]


@pytest.mark.parametrize("name", sorted(KINDS))
async def test_pools_in_a_file_are_switched_and_restored_and_nothing_else_changes(
    tmp_path: Path, name: str
) -> None:
    kind, text = KINDS[name]
    async with _device(tmp_path, kind, text) as (firmware, who):
        writer = SshFileWriter(firmware, _Logins(), HostKeys(tmp_path / "keys.json"))
        seen = await writer.identify(who)
        assert (seen.mac, seen.firmware) == (MAC, "1.0")
        before = await writer.read(who)
        target = (replace(before.groups[0], pools=(HOLD,)),)
        await writer.write(who, before, target)
        during = await writer.read(who)
        assert same_groups(target, during.groups)
        assert during.settings == before.settings
        await writer.write(who, during, before.groups)
        after = await writer.read(who)
        assert same_groups(before.groups, after.groups)
        assert after.settings == before.settings
        assert (tmp_path / "restarts").read_text().splitlines() == ["restarted"] * 2


async def test_a_host_key_is_pinned_on_first_use_and_a_changed_one_refused(tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "keys.json")
    for number, expected in enumerate((None, HostKeyChangedError)):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with _device(folder, CGMINER_CONF, CGMINER) as (firmware, who):
            writer = SshFileWriter(firmware, _Logins(), keys)
            if expected is None:
                await writer.read(who)
                await writer.read(who)
            else:
                with pytest.raises(expected):
                    await writer.read(who)
                keys.forget(MAC)
                await writer.read(who)


async def test_a_refused_login_a_broken_file_and_a_closed_port_are_told_apart(tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "keys.json")
    async with _device(tmp_path, CGMINER_CONF, CGMINER) as (firmware, who):
        with pytest.raises(MinerAuthError):
            await SshFileWriter(firmware, _Logins("wrong"), keys).read(who)
        (tmp_path / "pools.conf").write_text("{")
        with pytest.raises(MinerMalformedError):
            await SshFileWriter(firmware, _Logins(), keys).read(who)
    with pytest.raises(MinerError):
        await SshFileWriter(firmware, _Logins(), keys).read(who)


def test_a_file_that_cannot_be_changed_without_more_is_refused() -> None:
    inline = 'group = [{ name = "g", pool = [{ url = "a:1", user = "w" }] }]\n[other]\nx = 1\n'
    with pytest.raises(ValueError, match=r"."):
        replaced(BOSMINER_TOML, inline, (PoolGroup((HOLD,)),))
