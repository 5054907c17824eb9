"""VNish: `POST settings` on the REST interface merges what it is given, so only the pools are sent.

Pool URLs come back without `stratum+tcp://`. A write restarts mining.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

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
from hashyard_agent.adapters.writers.http import parsed, request
from hashyard_agent.errors import MinerAuthError, MinerMalformedError, MinerRefusedError
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

SLOTS: Final = 5
_API: Final = "/api/v1"


class VnishWriter:
    """See the module. Source: recorded answers of the vendor's interface."""

    traits = WriterTraits("vnish", max_slots=SLOTS)

    def __init__(self, credentials: CredentialStore) -> None:
        self._logins = Logins(credentials)

    async def identify(self, identity: Identity) -> Identity:
        path = f"{_API}/info"
        info = parsed(identity.ip, path, await request(identity.ip, "GET", path, timeout_s=READ_TIMEOUT_S))
        if info.get("fw_name") != "AnthillOS" and "vnish" not in str(info.get("miner", "")).lower():
            raise MinerMalformedError(identity.ip, "not VNish")
        system = info.get("system")
        network = system.get("network_status") if isinstance(system, dict) else None
        return identified(
            identity,
            mac=network.get("mac") if isinstance(network, dict) else None,
            serial=info.get("serial"),
            model=system.get("miner_name") if isinstance(system, dict) else None,
            firmware=info.get("fw_version"),
            family=self.traits.family,
        )

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        if any(not pool.url for group in groups for pool in group.pools):
            return "an empty slot between pools, which this firmware closes up"
        return first_reason(groups, max_slots=SLOTS, max_groups=1)

    async def read(self, identity: Identity) -> MinerConfig:
        document = await self._logins.first(identity, lambda login: self._settings(identity.ip, login))
        miner = document.get("miner")
        pools = miner.get("pools") if isinstance(miner, dict) else None
        if not isinstance(miner, dict) or not isinstance(pools, list):
            raise MinerMalformedError(identity.ip, "settings: no list of pools")
        ordered = sorted((p for p in pools if isinstance(p, dict)), key=lambda p: int(p.get("order", 0)))
        settings: dict[str, Any] = {name: value for name, value in miner.items() if name != "pools"}
        settings |= {name: value for name, value in document.items() if name != "miner"}
        return checked(identity.ip, (PoolGroup(tuple(_pool(p) for p in ordered)),), document, settings)

    async def write(
        self,
        identity: Identity,
        current: MinerConfig,  # noqa: ARG002 - of the port; here pools are all that a write carries
        groups: Sequence[PoolGroup],
    ) -> None:
        refuse_blank(identity.ip, groups)
        pools = [{"url": p.url, "user": p.worker, "pass": p.password or ""} for p in groups[0].pools]
        body = {"miner": {"pools": pools}}
        answer = await self._logins.first(identity, lambda login: self._post(identity.ip, login, body))
        if "err" in answer:
            raise MinerRefusedError(identity.ip, f"settings: {answer['err']}")

    async def status(self, identity: Identity) -> PoolStatus:
        async with deadline(identity.ip, READ_TIMEOUT_S):
            answer = await cgminer(identity.ip, "pools")
        return PoolStatus(seen_pools(section(identity.ip, answer, "POOLS")))

    async def _settings(self, ip: str, login: Credential) -> dict[str, Any]:
        path = f"{_API}/settings"
        headers = await self._unlock(ip, login)
        return parsed(ip, path, await request(ip, "GET", path, timeout_s=READ_TIMEOUT_S, headers=headers))

    async def _post(self, ip: str, login: Credential, body: Mapping[str, Any]) -> dict[str, Any]:
        path = f"{_API}/settings"
        headers = await self._unlock(ip, login)
        content = await request(ip, "POST", path, timeout_s=WRITE_TIMEOUT_S, headers=headers, body=body)
        return parsed(ip, path, content)

    async def _unlock(self, ip: str, login: Credential) -> dict[str, str]:
        path = f"{_API}/unlock"
        content = await request(ip, "POST", path, timeout_s=READ_TIMEOUT_S, body={"pw": login.password})
        token = parsed(ip, path, content).get("token")
        if not isinstance(token, str):
            raise MinerAuthError(ip, "unlock gave no token")
        return {"Authorization": f"Bearer {token}"}


def _pool(entry: Mapping[str, Any]) -> Pool:
    return Pool(str(entry.get("url", "")), str(entry.get("user", "")), str(entry.get("pass", "")))
