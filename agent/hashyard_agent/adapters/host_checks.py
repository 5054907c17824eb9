"""What `doctor` looks at on this machine: limits, routes, files, clock, disk, the way to the cloud."""

import ipaddress
import os
import resource
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hashyard_agent.adapters.arp import own_links, table_size
from hashyard_agent.adapters.connect_sweep import (
    RESERVED_DESCRIPTORS,
    WANTED_DESCRIPTORS,
    neighbour_limit,
    raise_descriptor_limit,
)
from hashyard_shared.clock import Clock, iso

WANTED_NEIGHBOURS: Final = 8_192
NEIGHBOURS_A_SECOND_DIVISOR: Final = 3
"""A dead address holds its entry for 3 s, so the table's size over 3 is how many can be found dead in a second."""
CONNECT_TIMEOUT_S: Final = 5.0
MIN_FREE_BYTES: Final = 256 * 1024 * 1024
OLDEST_PLAUSIBLE_US: Final = 1_767_225_600_000_000
"""2026-01-01: a clock before it was never set."""
_ANY_PORT: Final = 9


class Level(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, and what to do about it."""

    level: Level
    what: str
    detail: str
    advice: str = ""


def check_descriptors() -> Finding:
    """How many connections the agent may have open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit, _ = raise_descriptor_limit()
    shown = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    detail = f"{limit} at once (hard limit {shown})"
    if limit >= WANTED_DESCRIPTORS:
        return Finding(Level.GOOD, "file descriptors", detail)
    level = Level.BAD if limit < 2 * RESERVED_DESCRIPTORS else Level.WARNING
    advice = f"raise it to {WANTED_DESCRIPTORS}: LimitNOFILE= in the service, or ulimit -Hn"
    return Finding(level, "file descriptors", f"{detail}: sweeps are slow, and polling is narrow", advice)


def check_neighbours(networks: Sequence[ipaddress.IPv4Network]) -> Finding:
    """Whether the kernel's neighbour table is large enough for the links that are swept."""
    what = "neighbour table"
    limit = neighbour_limit()
    if limit is None:
        return Finding(Level.WARNING, what, "this kernel does not tell its limit", "")
    links = own_links()
    swept = sum(n.num_addresses for n in networks if any(n.overlaps(link) for link in links))
    seconds = swept / (limit / NEIGHBOURS_A_SECOND_DIVISOR)
    detail = f"limit {limit}, {table_size()} used; {swept} addresses on this machine's own links"
    if swept <= limit or limit >= WANTED_NEIGHBOURS:
        return Finding(Level.GOOD, what, detail)
    return Finding(
        Level.WARNING,
        what,
        f"{detail}: an unanswered address takes 3 s, so a sweep takes at least {seconds:.0f} s",
        f"sysctl -w net.ipv4.neigh.default.gc_thresh3={WANTED_NEIGHBOURS} "
        f"net.ipv4.neigh.default.gc_thresh2={WANTED_NEIGHBOURS // 2}",
    )


def check_route(network: ipaddress.IPv4Network) -> Finding:
    """Whether this machine has a way to the subnet."""
    what = f"subnet {network}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(network.network_address + min(1, network.num_addresses - 1)), _ANY_PORT))
        except OSError as error:
            advice = "check the subnet's spelling, or the routes of this machine: ip route"
            return Finding(Level.BAD, what, f"no route: {error.strerror}", advice)
        source = str(probe.getsockname()[0])
    near = network.is_loopback or any(network.overlaps(link) for link in own_links())
    how = "on this machine's own link" if near else "over a router: MACs come from the miners themselves"
    return Finding(Level.GOOD, what, f"{how}, from {source}")


def check_folder(path: Path) -> Finding:
    """Whether the store's folder can be written, and whether there is room."""
    what = f"store {path}"
    existing = next((each for each in (path, *path.parents) if each.exists()), Path("/"))
    if not os.access(existing, os.W_OK | os.X_OK):
        advice = f"give it to this user, or run as {_owner(existing)}"
        return Finding(Level.BAD, what, f"{existing} cannot be written by this user", advice)
    free = shutil.disk_usage(existing).free
    detail = f"{free / 1024**3:.1f} GiB free"
    if free < MIN_FREE_BYTES:
        return Finding(Level.BAD, what, detail, "make room: readings are dropped when the disk is full")
    return Finding(Level.GOOD, what, detail)


def check_clock(clock: Clock) -> Finding:
    """Whether the machine knows what time it is, roughly."""
    now_us = clock.now_us()
    if now_us < OLDEST_PLAUSIBLE_US:
        advice = "let it be set: timedatectl set-ntp true; with time unknown no new redirect starts"
        return Finding(Level.BAD, "clock", f"it says {iso(now_us)}", advice)
    return Finding(Level.GOOD, "clock", iso(now_us))


def check_cloud(url: str) -> Finding:
    """Whether the cloud's port can be reached."""
    what = f"cloud {url}"
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        advice = "check the network and the firewall; the agent goes on collecting meanwhile"
        return Finding(Level.WARNING, what, f"cannot be reached: {error}", advice)
    return Finding(Level.GOOD, what, "can be reached")


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"
