"""Merge writers: each changes the pools of one firmware family and nothing else.

A family without a writer here is read-only. The list is code on purpose: a profile added on site cannot
grant writing.
"""

from collections.abc import Callable

from hashyard_agent.adapters.arp import link_mac
from hashyard_agent.adapters.writers.antminer_old import AntminerOldWriter
from hashyard_agent.adapters.writers.antminer_stock import AntminerStockWriter
from hashyard_agent.adapters.writers.bitaxe import BitaxeWriter
from hashyard_agent.adapters.writers.braiins_os import BraiinsOsWriter
from hashyard_agent.adapters.writers.luxos import LuxOsWriter
from hashyard_agent.adapters.writers.plain_cgminer import PlainCgminerWriter
from hashyard_agent.adapters.writers.vnish import VnishWriter
from hashyard_agent.adapters.writers.whatsminer_v2 import WhatsminerV2Writer
from hashyard_agent.adapters.writers.whatsminer_v3 import WhatsminerV3Writer
from hashyard_agent.ports import CredentialStore, PoolWriter


def pool_writers(
    credentials: CredentialStore, mac_of: Callable[[str], str | None] = link_mac
) -> dict[str, PoolWriter]:
    """Family, as firmware profiles call it -> its writer. `mac_of` finds the MAC of devices that tell none."""
    writers: list[PoolWriter] = [
        AntminerOldWriter(credentials),
        AntminerStockWriter(credentials),
        BitaxeWriter(),
        BraiinsOsWriter(credentials),
        LuxOsWriter(),
        PlainCgminerWriter(mac_of),
        VnishWriter(credentials),
        WhatsminerV2Writer(credentials),
        WhatsminerV3Writer(credentials),
    ]
    return {writer.traits.family: writer for writer in writers}
