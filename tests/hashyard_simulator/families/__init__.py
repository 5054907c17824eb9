"""The firmware families on the wire, one module each."""

from hashyard_simulator.families.antminer_s19 import AntminerS19
from hashyard_simulator.families.base import Family

FAMILIES: dict[str, type[Family]] = {family.name: family for family in (AntminerS19,)}
