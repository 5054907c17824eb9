"""Whatsminer with the version 2 API: encrypted commands on port 4028. Pool passwords cannot be read.

A write needs a token: key = SHA-256 of md5crypt(password, salt), AES-256 in ECB mode over zero-padded JSON. The
unit answers "API command OK" whether or not anything changes. Only `update_pools` is ever sent: no unlocking, no
power settings.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hashyard_agent.adapters.wire import CGMINER_PORT, cgminer, deadline, exchange, parse_cgminer
from hashyard_agent.adapters.writers.base import (
    READ_TIMEOUT_S,
    WRITE_TIMEOUT_S,
    Logins,
    checked,
    configured,
    first_reason,
    identified,
    refuse_blank,
    section,
    seen_pools,
)
from hashyard_agent.adapters.writers.md5crypt import md5crypt
from hashyard_agent.errors import MinerAuthError, MinerMalformedError, MinerRefusedError
from hashyard_agent.ports import (
    Credential,
    CredentialStore,
    Identity,
    MinerConfig,
    PoolGroup,
    PoolStatus,
    WriterTraits,
)

SLOTS: Final = 3
_BLOCK: Final = 16
_CODE_WRONG_TOKEN: Final = 135
_CODE_WRONG_KEY: Final = 23
_WATCHED_SUMMARY: Final[tuple[str, ...]] = (
    "Power Limit",
    "Power Mode",
    "Target Freq",
    "Target MHS",
    "Security Mode",
)
_WATCHED_STATUS: Final[tuple[str, ...]] = ("power_mode", "power_limit_set", "hash_percent")


class WhatsminerV2Writer:
    """See the module. Source: the vendor's API document, version 2.0.5."""

    traits = WriterTraits(
        "whatsminer-v2",
        max_slots=SLOTS,
        password_readable=False,
        readback_after_s=0.2,
    )

    def __init__(self, credentials: CredentialStore) -> None:
        self._logins = Logins(credentials)

    async def identify(self, identity: Identity) -> Identity:
        ip = identity.ip
        async with deadline(ip, READ_TIMEOUT_S):
            info = _message(ip, await cgminer(ip, "get_miner_info"))
            version = _message(ip, await cgminer(ip, "get_version"))
        if "fw_ver" not in version:
            raise MinerMalformedError(ip, "not a Whatsminer with the version 2 API")
        return identified(
            identity,
            mac=info.get("mac"),
            serial=info.get("minersn"),
            model=identity.model,
            firmware=version.get("fw_ver"),
            family=self.traits.family,
        )

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        if any(not pool.url for group in groups for pool in group.pools):
            return "an empty slot between pools, which this firmware closes up"
        return first_reason(groups, max_slots=SLOTS, max_groups=1)

    async def read(self, identity: Identity) -> MinerConfig:
        ip = identity.ip
        async with deadline(ip, READ_TIMEOUT_S):
            pools = await cgminer(ip, "pools")
            summary = section(ip, await cgminer(ip, "summary"), "SUMMARY")[0]
            status = _message(ip, await cgminer(ip, "status"))
        settings = {name: summary[name] for name in _WATCHED_SUMMARY if name in summary}
        settings |= {name: status[name] for name in _WATCHED_STATUS if name in status}
        group = PoolGroup(configured(section(ip, pools, "POOLS")))
        return checked(ip, (group,), {"pools": pools, "status": status, "summary": summary}, settings)

    async def write(
        self,
        identity: Identity,
        current: MinerConfig,  # noqa: ARG002 - of the port; here pools are all that a write carries
        groups: Sequence[PoolGroup],
    ) -> None:
        refuse_blank(identity.ip, groups)
        command: dict[str, Any] = {"cmd": "update_pools"}
        for number in range(1, SLOTS + 1):
            pool = groups[0].pools[number - 1] if number <= len(groups[0].pools) else None
            command[f"pool{number}"] = pool.url if pool else ""
            command[f"worker{number}"] = pool.worker if pool else ""
            command[f"passwd{number}"] = pool.password if pool else ""
        async with deadline(identity.ip, WRITE_TIMEOUT_S):
            await self._logins.first(identity, lambda login: _send(identity.ip, login, command))

    async def status(self, identity: Identity) -> PoolStatus:
        async with deadline(identity.ip, READ_TIMEOUT_S):
            answer = await cgminer(identity.ip, "pools")
        return PoolStatus(seen_pools(section(identity.ip, answer, "POOLS")))


def _message(ip: str, answer: dict[str, Any]) -> dict[str, Any]:
    message = answer.get("Msg")
    if not isinstance(message, dict):
        raise MinerMalformedError(ip, "the answer has no message")
    return message


async def _send(ip: str, login: Credential, command: dict[str, Any]) -> None:
    token = _message(ip, await cgminer(ip, "get_token"))
    try:
        time_text, salt, newsalt = str(token["time"]), str(token["salt"]), str(token["newsalt"])
    except KeyError as error:
        raise MinerMalformedError(ip, "the token is not whole") from error
    hashed = md5crypt(login.password, salt)
    sign = md5crypt(hashed + time_text, newsalt)
    cipher = Cipher(algorithms.AES(hashlib.sha256(hashed.encode()).digest()), modes.ECB())  # noqa: S305 - the device's
    plain = json.dumps({**command, "token": sign}).encode()
    encryptor = cipher.encryptor()
    sealed = encryptor.update(plain + b"\x00" * (-len(plain) % _BLOCK)) + encryptor.finalize()
    message = {"enc": 1, "data": base64.b64encode(sealed).decode()}
    answer = parse_cgminer(ip, await exchange(ip, CGMINER_PORT, json.dumps(message).encode()))
    if "enc" in answer:
        answer = _opened(ip, cipher, answer["enc"])
    if answer.get("Code") in {_CODE_WRONG_KEY, _CODE_WRONG_TOKEN}:
        raise MinerAuthError(ip, str(answer.get("Msg")))
    if answer.get("STATUS") != "S":
        raise MinerRefusedError(ip, f"update_pools: {answer.get('Msg')} (code {answer.get('Code')})")


def _opened(ip: str, cipher: Cipher[modes.ECB], sealed: object) -> dict[str, Any]:
    try:
        decryptor = cipher.decryptor()
        plain = decryptor.update(base64.b64decode(str(sealed))) + decryptor.finalize()
        answer = json.loads(plain.rstrip(b"\x00"))
    except (ValueError, binascii.Error) as error:
        raise MinerMalformedError(ip, "the encrypted answer cannot be read") from error
    if not isinstance(answer, dict):
        raise MinerMalformedError(ip, "the encrypted answer is not a JSON object")
    return answer
