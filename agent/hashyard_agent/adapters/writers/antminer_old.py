"""Stock Antminer of the S9 and S17 generations: digest-guarded CGI, written by a form, answered `ok` as text.

As with the modern ones a field that is left out goes back to the factory's value, so all that can be set is sent
as read; mining restarts.
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
FORM_NAMES: Final = {
    "bitmain-nobeeper": "_ant_nobeeper",
    "bitmain-notempoverctrl": "_ant_notempoverctrl",
    "bitmain-fan-ctrl": "_ant_fan_customize_switch",
    "bitmain-fan-pwm": "_ant_fan_customize_value",
    "bitmain-freq": "_ant_freq",
    "bitmain-voltage": "_ant_voltage",
    "bitmain-work-mode": "_ant_work_mode",
}
"""The name when read -> the form's name. Source: recorded requests of the vendor's own page."""
_NEEDED: Final = ("bitmain-fan-ctrl", "bitmain-fan-pwm", "bitmain-freq")


class AntminerOldWriter:
    """See the module."""

    traits = WriterTraits("antminer-old", max_slots=SLOTS, fixed_slots=True)

    def __init__(self, credentials: CredentialStore) -> None:
        self._logins = Logins(credentials)

    async def identify(self, identity: Identity) -> Identity:
        info = parsed(identity.ip, "get_system_info", await self._call(identity, "GET", "get_system_info"))
        if "antminer" not in str(info.get("minertype", "")).lower():
            raise MinerMalformedError(identity.ip, f"not a stock Antminer: {str(info.get('minertype'))[:60]!r}")
        return identified(
            identity,
            mac=info.get("macaddr"),
            serial=None,
            model=info.get("minertype"),
            firmware=info.get("file_system_version"),
            family=self.traits.family,
        )

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        return first_reason(groups, max_slots=SLOTS, max_groups=1)

    async def read(self, identity: Identity) -> MinerConfig:
        conf = parsed(identity.ip, "get_miner_conf", await self._call(identity, "GET", "get_miner_conf"))
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
        answer = await self._call(identity, "POST", "set_miner_conf", _form(current, groups))
        text = answer.decode("utf-8", "replace").strip()
        if text.lower() != "ok":
            raise MinerRefusedError(identity.ip, f"set_miner_conf: {text[:80]}")

    async def status(self, identity: Identity) -> PoolStatus:
        async with deadline(identity.ip, READ_TIMEOUT_S):
            answer = await cgminer(identity.ip, "pools")
        return PoolStatus(seen_pools(section(identity.ip, answer, "POOLS")))

    async def _call(
        self, identity: Identity, method: str, program: str, form: dict[str, str] | None = None
    ) -> bytes:
        timeout_s = READ_TIMEOUT_S if form is None else WRITE_TIMEOUT_S
        return await self._logins.first(
            identity,
            lambda login: request(
                identity.ip, method, f"/cgi-bin/{program}.cgi", timeout_s=timeout_s, digest=login, form=form
            ),
        )


def _pool(entry: Mapping[str, Any]) -> Pool:
    return Pool(str(entry.get("url", "")), str(entry.get("user", "")), str(entry.get("pass", "")))


def _form(current: MinerConfig, groups: Sequence[PoolGroup]) -> dict[str, str]:
    form: dict[str, str] = {}
    pools = [*groups[0].pools, *[Pool("", "", "")] * (SLOTS - len(groups[0].pools))]
    for number, pool in enumerate(pools, start=1):
        form[f"_ant_pool{number}url"] = pool.url
        form[f"_ant_pool{number}user"] = pool.worker
        form[f"_ant_pool{number}pw"] = pool.password or ""
    for read, write in FORM_NAMES.items():
        if read in current.raw:
            value = current.raw[read]
            form[write] = str(value).lower() if isinstance(value, bool) else str(value)
    return form
