"""MACs from the kernel's link-layer table: of hosts on the same link only, for families that tell none."""

from pathlib import Path
from typing import Final

from hashyard_shared.ids import MalformedIdError, normalise_mac

_TABLE: Final = Path("/proc/net/arp")
_COMPLETE: Final = 0x2


def link_mac(ip: str, table: Path = _TABLE) -> str | None:
    """The MAC that answers for this address, or None.

    A MAC that answers for several addresses is a router's or a proxy's and belongs to none of them.
    """
    try:
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
    except (OSError, UnicodeDecodeError):
        return None
    known = {row[0]: row[3] for row in rows if len(row) >= 6 and int(row[2], 16) & _COMPLETE}
    found = known.get(ip)
    if found is None or sum(1 for mac in known.values() if mac == found) > 1:
        return None
    try:
        return normalise_mac(found)
    except MalformedIdError:
        return None


def table_size(table: Path = _TABLE) -> int:
    """How many entries the table holds now."""
    try:
        return max(0, len(table.read_text(encoding="ascii").splitlines()) - 1)
    except OSError:
        return 0
