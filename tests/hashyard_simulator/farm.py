"""Builds the devices of a spec and puts them on the network."""

import asyncio
import ipaddress
import random
import resource
import socket
import ssl
from typing import Any, Self

from hashyard_simulator.catalog import model_for
from hashyard_simulator.clock import SimClock
from hashyard_simulator.device import Device, Identity, Pool, Timing, random_mac, random_serial
from hashyard_simulator.families import FAMILIES
from hashyard_simulator.families.base import Family, filled_slots
from hashyard_simulator.faults import IMMEDIATE_KINDS, NETWORK_KINDS, Fault, FaultKind
from hashyard_simulator.pools import PoolWorld
from hashyard_simulator.spec import FarmSpec, MinerGroup, SiteSpec, addresses
from hashyard_simulator.station import Station
from hashyard_simulator.tls import self_signed_context

OPEN_BATCH = 200
FILES_WANTED = 65_536


class UnknownMinerError(KeyError):
    """No simulated miner has this address."""


class Farm:
    """Sites of miners in this process. Use as an async context manager, or `start` and `close`."""

    def __init__(self, spec: FarmSpec) -> None:
        self.spec = spec
        self.clock = SimClock()
        self.world = PoolWorld()
        self.skipped_families: list[str] = []
        self._stations: dict[str, Station] = {}
        self._tls: ssl.SSLContext | None = None
        self._macs: set[str] = set()
        self.world.subscribe(self._settle_all)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Opens every port. Raises `OSError` when an address is taken."""
        raise_file_limit()
        may_bind_low = can_bind_low_ports()
        for site in self.spec.sites:
            self._build_site(site, may_bind_low=may_bind_low)
        stations = list(self._stations.values())
        try:
            for start in range(0, len(stations), OPEN_BATCH):
                await asyncio.gather(*(s.open() for s in stations[start : start + OPEN_BATCH]))
        except OSError:
            await self.close()
            raise

    async def close(self) -> None:
        await asyncio.gather(*(station.close() for station in self._stations.values()))
        # Transports finish closing in the next turns of the loop.
        await asyncio.sleep(0.01)

    # -- looking ---------------------------------------------------------------------------------

    @property
    def devices(self) -> list[Device]:
        return [station.device for station in self._stations.values()]

    def device(self, ip: str) -> Device:
        """Raises `UnknownMinerError`."""
        return self._station(ip).device

    def restarts(self, site: str | None = None) -> list[tuple[float, str]]:
        """`(wall seconds, ip)` of the last restarts, in order, of one site or of all."""
        chosen = [d for d in self.devices if site is None or d.site == site]
        return sorted((at_s, d.identity.ip) for d in chosen for at_s in d.restart_log)

    def power_w(self, site: str | None = None) -> int:
        """Watts drawn now, of one site or of all."""
        chosen = [d for d in self.devices if site is None or d.site == site]
        return sum(d.reading(reported=False).power_w for d in chosen)

    # -- disturbing ------------------------------------------------------------------------------

    async def inject(self, ip: str, kind: FaultKind, params: dict[str, Any]) -> None:
        """Arms a fault, or lets it happen at once; `count` and `ttl_s` among the parameters bound it.

        Raises `UnknownMinerError` or `ValueError`.
        """
        station = self._station(ip)
        device = station.device
        if kind in IMMEDIATE_KINDS:
            await self._happen(station, kind, params)
            return
        options = dict(params)
        count = options.pop("count", None)
        ttl_s = options.pop("ttl_s", None)
        expires_at_s = None if ttl_s is None else self.clock.monotonic_s() + float(ttl_s)
        if kind is FaultKind.DIE:
            device.settle()
        device.faults.add(Fault(kind, options, None if count is None else int(count), expires_at_s))
        if kind in NETWORK_KINDS:
            await station.reconcile()

    async def _happen(self, station: Station, kind: FaultKind, params: dict[str, Any]) -> None:
        device = station.device
        if kind is FaultKind.LOSE_POOLS:
            blanks = filled_slots([], FAMILIES[device.family].slots) if params.get("mode") == "blank" else []
            device.replace_pools(blanks)
        elif kind is FaultKind.SWAP_BOARD:
            device.swap_board()
        elif kind is FaultKind.RESTART:
            device.restart(reboot=params.get("mode") == "reboot")
        else:
            await self._move(station, str(params.get("to", "")), swap=bool(params.get("swap")))

    async def _move(self, station: Station, to: str, *, swap: bool) -> None:
        address = str(ipaddress.IPv4Address(to))
        if not address.startswith("127."):
            raise ValueError(f"{address} is not a loopback address")
        other = self._stations.get(address)
        if other is not None and not swap:
            raise ValueError(f"{address} is taken by another miner; say swap to exchange the two")
        old = station.ip
        del self._stations[old]
        self._stations[address] = station
        if other is not None:
            self._stations[old] = other
            await other.leave()
        await station.leave()
        if other is not None:
            await other.settle_at(old)
        await station.settle_at(address)

    async def clear_faults(self, ip: str) -> None:
        """Everything armed is gone; a dead device lives again. Raises `UnknownMinerError`."""
        station = self._station(ip)
        station.device.revive()
        await station.reconcile()

    # -- building --------------------------------------------------------------------------------

    def _station(self, ip: str) -> Station:
        try:
            return self._stations[ip]
        except KeyError:
            raise UnknownMinerError(ip) from None

    def _settle_all(self) -> None:
        for device in self.devices:
            device.settle()

    def _build_site(self, site: SiteSpec, *, may_bind_low: bool) -> None:
        ips = iter(addresses(site.subnet, sum(group.count for group in site.miners)))
        number = 0
        for group in site.miners:
            family = FAMILIES[group.family]
            offered = may_bind_low or not family.privileged_ports
            if not offered and group.family not in self.skipped_families:
                self.skipped_families.append(group.family)
            for index in range(group.count):
                number += 1
                ip = next(ips)
                if not offered:
                    continue
                if ip in self._stations:
                    raise ValueError(f"{ip} is in two sites")
                device = self._build_device(site, group, family, ip=ip, number=number, index=index)
                tls = self._tls_context() if family.needs_tls else None
                self._stations[ip] = Station(device, family(device).endpoints(), tls)

    def _build_device(
        self, site: SiteSpec, group: MinerGroup, family: type[Family], *, ip: str, number: int, index: int
    ) -> Device:
        rng = random.Random(f"{self.spec.seed}/{site.name}/{number}")
        model = model_for(group.family, index, group.model)
        customer = group.customer or site.customers[(number - 1) % len(site.customers)]
        words = {"customer": customer, "site": site.name, "n": number}
        pools = [
            Pool(p.url.format(**words), p.user.format(**words), p.password.format(**words))
            for p in group.pools or site.pools
        ]
        identity = Identity(
            ip=ip,
            mac=self._unique_mac(rng),
            serial=random_serial(rng),
            hostname=family.hostname,
            board_serials=tuple(random_serial(rng) for _ in range(model.boards)),
        )
        reboot_s = self.spec.reboot_seconds
        restart_s = self.spec.restart_seconds
        return Device(
            site=site.name,
            family=group.family,
            model=model,
            identity=identity,
            pools=pools[: family.slots],
            settings=family.initial_settings(rng),
            account=family.account,
            password=group.password or family.password,
            clock=self.clock,
            world=self.world,
            timing=Timing(restart_s, 2 * restart_s if reboot_s is None else reboot_s, self.spec.share_seconds),
            seed=rng.getrandbits(32),
        )

    def _unique_mac(self, rng: random.Random) -> str:
        mac = random_mac(rng)
        while mac in self._macs:
            mac = random_mac(rng)
        self._macs.add(mac)
        return mac

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = self_signed_context()
        return self._tls


def raise_file_limit() -> int:
    """Raises the soft limit of open files as far as allowed; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def can_bind_low_ports() -> bool:
    """Whether this process may listen on port 80 (root, or a capability)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            # An address of its own, so that a server on a simulated one does not answer for us.
            probe.bind(("127.255.255.254", 80))
        except PermissionError:
            return False
        except OSError:
            return True
    return True
