"""What is to be swept: subnets and exclusions as text, addresses as the result. Pure."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

from hashyard_agent.errors import SettingsError

MAX_ADDRESSES: Final = 2**18
MAX_SUBNETS: Final = 1_024
_PIECE_PREFIX: Final = 24


def parse_subnet(text: str, field: str = "subnets") -> ipaddress.IPv4Network:
    """A subnet like 10.1.0.0/20, or one address; raises `SettingsError` saying what is wrong."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise SettingsError(
            f"{field}: {text!r} is not a subnet; write it like 192.168.1.0/24 or 192.168.1.17"
        ) from error
    if not isinstance(network, ipaddress.IPv4Network):
        raise SettingsError(f"{field}: {text!r} is IPv6; miners are looked for on IPv4 only")
    given = text.strip().partition("/")[0]
    if network.num_addresses > 1 and given != str(network.network_address):
        raise SettingsError(f"{field}: {text!r} is an address inside a subnet; did you mean {network}?")
    if network.num_addresses > MAX_ADDRESSES:
        raise SettingsError(f"{field}: {text!r} has more than {MAX_ADDRESSES} addresses; split or narrow it")
    return network


def expand(subnets: Sequence[str], exclude: Sequence[str] = ()) -> list[str]:
    """Every address to be swept, once each, ordered by /24 pieces. Raises `SettingsError`."""
    if not subnets:
        raise SettingsError("subnets: none is given; name at least one, like 192.168.1.0/24")
    if len(subnets) > MAX_SUBNETS:
        raise SettingsError(f"subnets: more than {MAX_SUBNETS} are given")
    networks = list(ipaddress.collapse_addresses(parse_subnet(text) for text in subnets))
    excluded = list(ipaddress.collapse_addresses(parse_subnet(text, "exclude") for text in exclude))
    if sum(network.num_addresses for network in networks) > MAX_ADDRESSES:
        raise SettingsError(f"subnets: together more than {MAX_ADDRESSES} addresses; narrow them")
    return [str(address) for network in networks for address in _hosts(network, excluded)]


def pieces(addresses: Iterable[str]) -> dict[str, int]:
    """How many of the addresses lie in each /24."""
    counts: dict[str, int] = {}
    for address in addresses:
        piece = address.rpartition(".")[0]
        counts[piece] = counts.get(piece, 0) + 1
    return counts


def _hosts(
    network: ipaddress.IPv4Network, excluded: list[ipaddress.IPv4Network]
) -> Iterable[ipaddress.IPv4Address]:
    """Hosts without the excluded ones, by /24 pieces; an excluded piece is left out without looking inside."""
    prefix = max(network.prefixlen, _PIECE_PREFIX)
    ends = set() if network.prefixlen >= 31 else {network.network_address, network.broadcast_address}
    for piece in network.subnets(new_prefix=prefix):
        touching = [each for each in excluded if each.overlaps(piece)]
        if any(piece.subnet_of(each) for each in touching):
            continue
        for address in piece:
            if address not in ends and not any(address in each for each in touching):
                yield address
