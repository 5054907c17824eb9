"""Stock Antminer of the S19 and S21 generations: digest-guarded CGI on port 80.

`set_miner_conf.cgi` replaces the configuration: what is left out goes back to the factory's. So the fan, frequency
and mode settings are posted exactly as read, two of them under the other name that writing uses, and always three
pools. It answers M000 when it took the request, and restarts mining.
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
from hashyard_agent.errors import MinerMalformedError, MinerRefusedError
from hashyard_agent.ports import (
    CredentialStore,
    Identity,
    MinerConfig,
    Pool,
    PoolGroup,
    PoolStatus,
    WriterTraits,
)

SLOTS: Final = 3
TAKEN: Final = "M000"
WRITE_NAMES: Final = {
    "bitmain-fan-ctrl": "bitmain-fan-ctrl",
    "bitmain-fan-pwm": "bitmain-fan-pwm",
    "bitmain-freq-level": "freq-level",
    "bitmain-work-mode": "miner-mode",
}
"""The name when read -> the name when written. Source: recorded requests of the vendor's own page."""
# The vendor's page always posts these; without them the firmware would go back to the factory's.
_NEEDED: Final = ("bitmain-fan-ctrl", "bitmain-fan-pwm")


class AntminerStockWriter:
    """See the module. Source of the endpoints: recorded answers of S19 and S21."""

    traits = WriterTraits("antminer-stock", max_slots=SLOTS, fixed_slots=True)

    def __init__(self, credentials: CredentialStore) -> None:
        self._logins = Logins(credentials)

    async def identify(self, identity: Identity) -> Identity:
        info = await self._call(identity, "GET", "get_system_info", READ_TIMEOUT_S)
        if "antminer" not in str(info.get("minertype", "")).lower():
            raise MinerMalformedError(identity.ip, f"not a stock Antminer: {str(info.get('minertype'))[:60]!r}")
        return identified(
            identity,
            mac=info.get("macaddr"),
            serial=info.get("serinum"),
            model=info.get("minertype"),
            firmware=info.get("system_filesystem_version"),
            family=self.traits.family,
        )

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        return first_reason(groups, max_slots=SLOTS, max_groups=1)

    async def read(self, identity: Identity) -> MinerConfig:
        conf = await self._call(identity, "GET", "get_miner_conf", READ_TIMEOUT_S)
        pools = conf.get("pools")
        if not isinstance(pools, list) or not all(isinstance(pool, dict) for pool in pools):
            raise MinerMalformedError(identity.ip, "get_miner_conf: no list of pools")
        missing = [name for name in _NEEDED if name not in conf]
        if missing:
            raise MinerMalformedError(identity.ip, f"get_miner_conf: {', '.join(missing)} missing")
        group = PoolGroup(tuple(_pool(pool) for pool in pools))
        settings = {name: value for name, value in conf.items() if name != "pools"}
        return checked(identity.ip, (group,), conf, settings)

    async def write(self, identity: Identity, current: MinerConfig, groups: Sequence[PoolGroup]) -> None:
        refuse_blank(identity.ip, groups)
        answer = await self._call(identity, "POST", "set_miner_conf", WRITE_TIMEOUT_S, _merged(current, groups))
        if answer.get("code") != TAKEN:
            raise MinerRefusedError(identity.ip, f"set_miner_conf: {answer.get('code')} {answer.get('msg', '')}")

    async def status(self, identity: Identity) -> PoolStatus:
        async with deadline(identity.ip, READ_TIMEOUT_S):
            answer = await cgminer(identity.ip, "pools")
        return PoolStatus(seen_pools(section(identity.ip, answer, "POOLS")))

    async def _call(
        self, identity: Identity, method: str, program: str, timeout_s: float, body: Any = None
    ) -> dict[str, Any]:
        path = f"/cgi-bin/{program}.cgi"
        content = await self._logins.first(
            identity,
            lambda login: request(identity.ip, method, path, timeout_s=timeout_s, digest=login, body=body),
        )
        return parsed(identity.ip, path, content)


def _pool(entry: Mapping[str, Any]) -> Pool:
    return Pool(str(entry.get("url", "")), str(entry.get("user", "")), str(entry.get("pass", "")))


def _merged(current: MinerConfig, groups: Sequence[PoolGroup]) -> dict[str, Any]:
    document = {write: current.raw[read] for read, write in WRITE_NAMES.items() if read in current.raw}
    pools = [{"url": p.url, "user": p.worker, "pass": p.password or ""} for p in groups[0].pools]
    blank = {"url": "", "user": "", "pass": ""}
    document["pools"] = pools + [blank] * (SLOTS - len(pools))
    return document
