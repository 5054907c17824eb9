"""The kernel's link-layer table: who answers on the same link, and with which MAC."""

import ipaddress
from pathlib import Path
from typing import Final

from hashyard_shared.ids import MalformedIdError, normalise_mac

_TABLE: Final = Path("/proc/net/arp")
_ROUTES: Final = Path("/proc/net/route")
_COMPLETE: Final = 0x2
REFRESH_S: Final = 0.25


def link_mac(ip: str, table: Path = _TABLE) -> str | None:
    """The MAC that answers for this address, or None.

    A MAC that answers for several addresses is a router's or a proxy's and belongs to none of them.
    """
    known = answering(table)
    found = known.get(ip)
    if found is None or sum(1 for mac in known.values() if mac == found) > 1:
        return None
    try:
        return normalise_mac(found)
    except MalformedIdError:
        return None


def answering(table: Path = _TABLE) -> dict[str, str]:
    """Address -> MAC of every host on a link of this machine that answered."""
    try:
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
    except (OSError, UnicodeDecodeError):
        return {}
    return {row[0]: row[3] for row in rows if len(row) >= 6 and int(row[2], 16) & _COMPLETE}


def own_links(routes: Path = _ROUTES) -> list[ipaddress.IPv4Network]:
    """The subnets that this machine is on itself, without a router between."""
    found = []
    try:
        rows = [line.split() for line in routes.read_text(encoding="ascii").splitlines()[1:]]
        for row in rows:
            destination, gateway, mask = (int(row[at], 16).to_bytes(4, "little") for at in (1, 2, 7))
            if not any(gateway) and any(mask):
                prefix = int.from_bytes(mask, "big").bit_count()
                found.append(ipaddress.IPv4Network((destination, prefix), strict=False))
    except (OSError, ValueError, IndexError):
        return []
    return found


class Link:
    """Whether an address that was silent is absent, as far as the link can tell.

    What answered once counts: the kernel hands its table out in parts, and an entry that moves meanwhile is not
    in any of them, so a single look is not proof. `watch` is therefore called all along a sweep.
    """

    def __init__(self) -> None:
        self._links = own_links()
        self._answered: set[str] = set()
        self._read_at_s = float("-inf")

    def watch(self, now_s: float) -> None:
        """Look at the table now and then."""
        if now_s - self._read_at_s > REFRESH_S:
            self.look()
            self._read_at_s = now_s

    def look(self) -> None:
        """Look at the table now."""
        if self._links:
            self._answered.update(answering())

    def is_absent(self, ip: str) -> bool:
        """On a link of our own and nobody answered for it there; False where a router is between."""
        address = ipaddress.IPv4Address(ip)
        return ip not in self._answered and any(address in link for link in self._links)


def table_size(table: Path = _TABLE) -> int:
    """How many entries the table holds now."""
    try:
        return max(0, len(table.read_text(encoding="ascii").splitlines()) - 1)
    except OSError:
        return 0
