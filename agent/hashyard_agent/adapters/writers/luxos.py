"""LuxOS: pools one by one over port 4028, without a restart of mining. Pool passwords cannot be read."""

from collections.abc import Sequence
from typing import Final

from hashyard_agent.adapters.wire import cgminer, deadline
from hashyard_agent.adapters.writers.base import (
    READ_TIMEOUT_S,
    WRITE_TIMEOUT_S,
    checked,
    configured,
    first_reason,
    identified,
    refuse_blank,
    section,
    seen_pools,
)
from hashyard_agent.adapters.writers.pool_commands import FORBIDDEN, pool_rows, replace_pools
from hashyard_agent.errors import MinerMalformedError
from hashyard_agent.ports import Identity, MinerConfig, PoolGroup, PoolStatus, WriterTraits

SLOTS: Final = 8
_WATCHED_CONFIG: Final[tuple[str, ...]] = ("Profile", "IsAtmEnabled", "CurtailMode", "Strategy", "Hostname")


class LuxOsWriter:
    """See the module. Source: the vendor's API documentation."""

    traits = WriterTraits(
        "luxos", max_slots=SLOTS, password_readable=False, write_restarts_mining=False, readback_after_s=0.1
    )

    async def identify(self, identity: Identity) -> Identity:
        ip = identity.ip
        async with deadline(ip, READ_TIMEOUT_S):
            config = section(ip, await cgminer(ip, "config"), "CONFIG")[0]
            version = section(ip, await cgminer(ip, "version"), "VERSION")[0]
        if "LUXminer" not in version:
            raise MinerMalformedError(ip, "not LuxOS")
        return identified(
            identity,
            mac=config.get("MACAddr"),
            serial=config.get("SerialNumber"),
            model=version.get("Type"),
            firmware=version.get("LUXminer"),
            family=self.traits.family,
        )

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        if any(not pool.url for group in groups for pool in group.pools):
            return "an empty slot between pools, which this firmware does not have"
        return first_reason(groups, max_slots=SLOTS - 1, max_groups=1, forbidden=FORBIDDEN)

    async def read(self, identity: Identity) -> MinerConfig:
        ip = identity.ip
        async with deadline(ip, READ_TIMEOUT_S):
            rows = await pool_rows(ip)
            config = section(ip, await cgminer(ip, "config"), "CONFIG")[0]
            tempctrl = section(ip, await cgminer(ip, "tempctrl"), "TEMPCTRL")[0]
            fans = section(ip, await cgminer(ip, "fans"), "FANCTRL")[0]
        settings = {name: config[name] for name in _WATCHED_CONFIG if name in config}
        settings |= {"tempctrl": tempctrl, "min_fans": fans.get("MinFans")}
        numbers = sorted({int(row.get("GROUP", 0)) for row in rows})
        groups = [PoolGroup(configured(row for row in rows if int(row.get("GROUP", 0)) == n)) for n in numbers]
        raw = {"pools": rows, "config": config, "tempctrl": tempctrl, "fans": fans}
        return checked(ip, groups, raw, settings)

    async def write(
        self,
        identity: Identity,
        current: MinerConfig,  # noqa: ARG002 - of the port; here pools are all that a write carries
        groups: Sequence[PoolGroup],
    ) -> None:
        refuse_blank(identity.ip, groups)
        async with deadline(identity.ip, WRITE_TIMEOUT_S):
            await replace_pools(identity.ip, groups[0].pools, max_slots=SLOTS)

    async def status(self, identity: Identity) -> PoolStatus:
        async with deadline(identity.ip, READ_TIMEOUT_S):
            return PoolStatus(seen_pools(await pool_rows(identity.ip)))
