"""The firmware families on the wire, one module each."""

from hashyard_simulator.families.antminer_s19 import AntminerS19
from hashyard_simulator.families.base import Family
from hashyard_simulator.families.bitaxe import Bitaxe
from hashyard_simulator.families.luxos import LuxOs
from hashyard_simulator.families.vnish import VNish
from hashyard_simulator.families.whatsminer_v2 import WhatsminerV2

_ALL: tuple[type[Family], ...] = (AntminerS19, WhatsminerV2, LuxOs, VNish, Bitaxe)

FAMILIES: dict[str, type[Family]] = {family.name: family for family in _ALL}
