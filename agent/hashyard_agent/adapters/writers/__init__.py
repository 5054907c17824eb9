"""Merge writers: each changes the pools of one firmware family and nothing else.

A family without a writer here is read-only. The list is code on purpose: a profile added on site cannot
grant writing.
"""

from hashyard_agent.adapters.writers.antminer_stock import AntminerStockWriter
from hashyard_agent.adapters.writers.bitaxe import BitaxeWriter
from hashyard_agent.adapters.writers.luxos import LuxOsWriter
from hashyard_agent.adapters.writers.vnish import VnishWriter
from hashyard_agent.adapters.writers.whatsminer_v2 import WhatsminerV2Writer
from hashyard_agent.ports import CredentialStore, PoolWriter


def pool_writers(credentials: CredentialStore) -> dict[str, PoolWriter]:
    """Family name, as firmware profiles call it -> its writer."""
    writers: list[PoolWriter] = [
        AntminerStockWriter(credentials),
        BitaxeWriter(),
        LuxOsWriter(),
        VnishWriter(credentials),
        WhatsminerV2Writer(credentials),
    ]
    return {writer.traits.family: writer for writer in writers}
