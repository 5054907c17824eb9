"""Whatsminer with the version 3 API: port 4433, a 4-byte little-endian length before each JSON, both ways.

A write names account and time and carries a token: the first eight characters of base64(SHA-256(command +
password + salt + time)). Pool passwords cannot be read, and the API counts no shares; port 4028 does where it
still answers.
"""

import asyncio
import base64
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hashyard_agent.adapters.wire import MAX_ANSWER_BYTES, WHATSMINER_V3_PORT, cgminer, deadline, whatsminer_v3
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
from hashyard_agent.errors import (
    MinerAuthError,
    MinerConnectionError,
    MinerError,
    MinerMalformedError,
    MinerRefusedError,
)
from hashyard_agent.ports import (
    Credential,
    CredentialStore,
    Identity,
    MinerConfig,
    Pool,
    PoolGroup,
    PoolStatus,
    WriterTraits,
)
from hashyard_shared.events import PoolSeen

SLOTS: Final = 3
TOKEN_CHARS: Final = 8
COUNT_TIMEOUT_S: Final = 5.0
_LENGTH: Final = struct.Struct("<I")
_CODE_DENIED: Final = -4


class WhatsminerV3Writer:
    """See the module. Source: the vendor's API document, version 3."""

    traits = WriterTraits("whatsminer-v3", max_slots=SLOTS, password_readable=False, readback_after_s=0.2)

    def __init__(self, credentials: CredentialStore) -> None:
        self._logins = Logins(credentials)

    async def identify(self, identity: Identity) -> Identity:
        async with deadline(identity.ip, READ_TIMEOUT_S):
            info = _message(identity.ip, await whatsminer_v3(identity.ip, "get.device.info"))
        network, miner, system = (_part(info, name) for name in ("network", "miner", "system"))
        return identified(
            identity,
            mac=network.get("mac"),
            serial=miner.get("miner-sn"),
            model=miner.get("type"),
            firmware=system.get("fwversion"),
            family=self.traits.family,
        )

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        if any(not pool.url for group in groups for pool in group.pools):
            return "an empty slot between pools, which this firmware closes up"
        return first_reason(groups, max_slots=SLOTS, max_groups=1)

    async def read(self, identity: Identity) -> MinerConfig:
        ip = identity.ip
        async with deadline(ip, READ_TIMEOUT_S):
            status = _message(ip, await whatsminer_v3(ip, "get.miner.status", "pools"))
            setting = _message(ip, await whatsminer_v3(ip, "get.miner.setting"))
        rows = _rows(ip, status)
        pools = tuple(Pool(str(row.get("url", "")), str(row.get("account", "")), None) for row in rows)
        return checked(ip, (PoolGroup(pools),), {"pools": rows, "setting": setting}, setting)

    async def write(
        self,
        identity: Identity,
        current: MinerConfig,  # noqa: ARG002 - of the port; here pools are all that a write carries
        groups: Sequence[PoolGroup],
    ) -> None:
        refuse_blank(identity.ip, groups)
        pools = [{"pool": p.url, "worker": p.worker, "passwd": p.password or ""} for p in groups[0].pools]
        async with deadline(identity.ip, WRITE_TIMEOUT_S):
            await self._logins.first(identity, lambda login: _send(identity.ip, login, "set.miner.pools", pools))

    async def status(self, identity: Identity) -> PoolStatus:
        ip = identity.ip
        async with deadline(ip, READ_TIMEOUT_S):
            rows = _rows(ip, _message(ip, await whatsminer_v3(ip, "get.miner.status", "pools")))
        counted = {(seen.url, seen.worker): seen.accepted for seen in await _counted(ip)}
        return PoolStatus(tuple(_seen(slot, row, counted) for slot, row in enumerate(rows)))


async def _counted(ip: str) -> tuple[PoolSeen, ...]:
    """What port 4028 counts; nothing where it is closed, as newer firmwares have it."""
    try:
        async with deadline(ip, COUNT_TIMEOUT_S):
            return seen_pools(section(ip, await cgminer(ip, "pools"), "POOLS"))
    except MinerError:
        return ()


def _seen(slot: int, row: Mapping[str, Any], counted: Mapping[tuple[str, str], int | None]) -> PoolSeen:
    url, worker = str(row.get("url", ""))[:512], str(row.get("account", ""))[:256]
    return PoolSeen(
        slot=slot,
        url=url,
        worker=worker,
        active=row.get("stratum-active") in {True, "true"},
        alive=str(row.get("status", "")).lower() == "alive",
        accepted=counted.get((url, worker)),
    )


def _message(ip: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    message = answer.get("msg")
    if not isinstance(message, dict):
        raise MinerMalformedError(ip, "the answer has no message")
    return message


def _part(info: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = info.get(name)
    return part if isinstance(part, dict) else {}


def _rows(ip: str, status: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = status.get("pools")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MinerMalformedError(ip, "the answer has no pools")
    return rows


async def _send(ip: str, login: Credential, command: str, param: Any) -> None:
    info = await whatsminer_v3(ip, "get.device.info")
    salt = _message(ip, info).get("salt")
    if not isinstance(salt, str):
        raise MinerMalformedError(ip, "the device tells no salt")
    # The device's own time: its clock may be off by more than the token allows.
    at_s = int(info.get("when") or 0)
    digest = hashlib.sha256(f"{command}{login.password}{salt}{at_s}".encode()).digest()
    token = base64.b64encode(digest)[:TOKEN_CHARS].decode()
    account = login.username or "super"
    message = {"cmd": command, "param": param, "ts": at_s, "account": account, "token": token}
    answer = await _exchange(ip, json.dumps(message).encode())
    if answer.get("code") == _CODE_DENIED and "token" in str(answer.get("msg")):
        raise MinerAuthError(ip, str(answer.get("msg")))
    if answer.get("code") != 0:
        raise MinerRefusedError(ip, f"{command}: {answer.get('msg')} (code {answer.get('code')})")


async def _exchange(ip: str, body: bytes) -> dict[str, Any]:
    try:
        reader, writer = await asyncio.open_connection(ip, WHATSMINER_V3_PORT)
    except OSError as error:
        raise MinerConnectionError(ip, f"port {WHATSMINER_V3_PORT}: {error.strerror or error}") from error
    try:
        writer.write(_LENGTH.pack(len(body)) + body)
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > MAX_ANSWER_BYTES:
            raise MinerMalformedError(ip, f"the answer is over {MAX_ANSWER_BYTES} bytes")
        answer = json.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, OSError) as error:
        raise MinerConnectionError(ip, "closed without a whole answer") from error
    except ValueError as error:
        raise MinerMalformedError(ip, "the answer is not JSON") from error
    finally:
        writer.transport.abort()
    if not isinstance(answer, dict):
        raise MinerMalformedError(ip, "the answer is not a JSON object")
    return answer
