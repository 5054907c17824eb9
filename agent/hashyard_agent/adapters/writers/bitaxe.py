"""Bitaxe with AxeOS: host and port of a pool are separate fields, without a scheme; two pools.

Passwords cannot be read. A write is stored and shown at once, but mining goes on with the old pools until the
device restarts, so the writer restarts it. The device has no login.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hashyard_agent.adapters.writers.base import (
    READ_TIMEOUT_S,
    WRITE_TIMEOUT_S,
    checked,
    first_reason,
    identified,
    refuse_blank,
    whole,
)
from hashyard_agent.adapters.writers.http import parsed, request
from hashyard_agent.enforcement.comparison import bare_url
from hashyard_agent.errors import MinerMalformedError
from hashyard_agent.ports import Identity, MinerConfig, Pool, PoolGroup, PoolStatus, WriterTraits
from hashyard_shared.events import PoolSeen

SLOTS: Final = 2
PREFIXES: Final = ("stratum", "fallbackStratum")
MAX_PORT: Final = 65_535
_INFO: Final = "/api/system/info"
_SETTINGS: Final[tuple[str, ...]] = (
    "frequency",
    "coreVoltage",
    "autofanspeed",
    "fanspeed",
    "invertfanpolarity",
    "flipscreen",
    "overheat_mode",
    "hostname",
    "ssid",
)


class BitaxeWriter:
    """See the module. Source: the open firmware's API description."""

    traits = WriterTraits(
        "bitaxe", max_slots=SLOTS, fixed_slots=True, password_readable=False, applies_on_restart=True
    )

    async def identify(self, identity: Identity) -> Identity:
        info = await _info(identity.ip)
        if "ASICModel" not in info:
            raise MinerMalformedError(identity.ip, "not AxeOS")
        return identified(
            identity,
            mac=info.get("macAddr"),
            serial=None,
            model=info.get("ASICModel"),
            firmware=info.get("version"),
            family=self.traits.family,
        )

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        reason = first_reason(groups, max_slots=SLOTS, max_groups=1)
        if reason is not None:
            return reason
        for pool in groups[0].pools:
            host, port = _host_and_port(pool.url)
            if pool.url and (not host or port is None):
                return f"{pool.url!r} is not a plain host and port, which is all this firmware stores"
        return None

    async def read(self, identity: Identity) -> MinerConfig:
        info = await _info(identity.ip)
        pools = tuple(_pool(info, prefix) for prefix in PREFIXES)
        settings = {name: info[name] for name in _SETTINGS if name in info}
        return checked(identity.ip, (PoolGroup(pools),), info, settings)

    async def write(
        self,
        identity: Identity,
        current: MinerConfig,  # noqa: ARG002 - of the port; here pools are all that a write carries
        groups: Sequence[PoolGroup],
    ) -> None:
        refuse_blank(identity.ip, groups)
        ip = identity.ip
        pools = list(groups[0].pools) + [Pool("", "", "")] * (SLOTS - len(groups[0].pools))
        body: dict[str, Any] = {}
        for prefix, pool in zip(PREFIXES, pools, strict=True):
            host, port = _host_and_port(pool.url)
            body |= {f"{prefix}URL": host, f"{prefix}Port": port or 0}
            body |= {f"{prefix}User": pool.worker, f"{prefix}Password": pool.password or ""}
        await request(ip, "PATCH", "/api/system", timeout_s=WRITE_TIMEOUT_S, body=body)
        await request(ip, "POST", "/api/system/restart", timeout_s=WRITE_TIMEOUT_S)

    async def status(self, identity: Identity) -> PoolStatus:
        """The device counts shares over both pools, and starts again from zero with each restart."""
        info = await _info(identity.ip)
        fallback = bool(info.get("isUsingFallbackStratum"))
        mining = float(info.get("hashRate") or 0) > 0
        accepted, rejected = whole(info.get("sharesAccepted")), whole(info.get("sharesRejected"))
        seen = []
        for slot, prefix in enumerate(PREFIXES):
            pool = _pool(info, prefix)
            active = fallback == (slot == 1)
            seen.append(
                PoolSeen(
                    slot=slot,
                    url=pool.url,
                    worker=pool.worker,
                    active=active,
                    alive=mining if active else None,
                    accepted=accepted if active else None,
                    rejected=rejected if active else None,
                )
            )
        return PoolStatus(tuple(seen), uptime_s=whole(info.get("uptimeSeconds")))


async def _info(ip: str) -> dict[str, Any]:
    return parsed(ip, _INFO, await request(ip, "GET", _INFO, timeout_s=READ_TIMEOUT_S))


def _pool(info: Mapping[str, Any], prefix: str) -> Pool:
    host, port = str(info.get(f"{prefix}URL") or ""), info.get(f"{prefix}Port")
    return Pool(f"{host}:{port}" if host else "", str(info.get(f"{prefix}User") or ""), None if host else "")


def _host_and_port(url: str) -> tuple[str, int | None]:
    bare = bare_url(url)
    host, colon, port = bare.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) <= MAX_PORT or any(c in host for c in "/?@#"):
        return "", None
    return host, int(port)
