"""A rig that runs plain cgminer: port 4028 and nothing else. Pools one by one; no passwords, no MAC to be read.

Who answers can only be told by the link's own table, so a rig behind a router cannot be written.
"""

from collections.abc import Callable, Sequence
from typing import Final

from hashyard_agent.adapters.arp import link_mac
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
_WATCHED: Final[tuple[str, ...]] = ("Strategy", "Queue", "ASC Count", "PGA Count")


class PlainCgminerWriter:
    """See the module. Source: cgminer's API description."""

    traits = WriterTraits(
        "cgminer", max_slots=SLOTS - 1, password_readable=False, write_restarts_mining=False, readback_after_s=0.1
    )

    def __init__(self, mac_of: Callable[[str], str | None] = link_mac) -> None:
        self._mac_of = mac_of

    async def identify(self, identity: Identity) -> Identity:
        async with deadline(identity.ip, READ_TIMEOUT_S):
            version = section(identity.ip, await cgminer(identity.ip, "version"), "VERSION")[0]
        if "CGMiner" not in version or "LUXminer" in version:
            raise MinerMalformedError(identity.ip, "not plain cgminer")
        return identified(
            identity,
            mac=self._mac_of(identity.ip),
            serial=None,
            model=identity.model,
            firmware=version.get("CGMiner"),
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
        settings = {name: config[name] for name in _WATCHED if name in config}
        return checked(ip, (PoolGroup(configured(rows)),), {"pools": rows, "config": config}, settings)

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
