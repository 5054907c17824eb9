"""The firmware families on the wire, one module each."""

from hashyard_simulator.families.antminer_old import AntminerOld
from hashyard_simulator.families.antminer_s19 import AntminerS19
from hashyard_simulator.families.avalon import Avalon
from hashyard_simulator.families.base import Family
from hashyard_simulator.families.bitaxe import Bitaxe
from hashyard_simulator.families.braiins import Braiins
from hashyard_simulator.families.luxos import LuxOs
from hashyard_simulator.families.plain_cgminer import PlainCgminer
from hashyard_simulator.families.vnish import VNish
from hashyard_simulator.families.whatsminer_v2 import WhatsminerV2
from hashyard_simulator.families.whatsminer_v3 import WhatsminerV3

_ALL: tuple[type[Family], ...] = (
    AntminerS19,
    AntminerOld,
    WhatsminerV2,
    WhatsminerV3,
    LuxOs,
    VNish,
    Bitaxe,
    Braiins,
    Avalon,
    PlainCgminer,
)

FAMILIES: dict[str, type[Family]] = {family.name: family for family in _ALL}
