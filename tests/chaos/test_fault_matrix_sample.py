"""A sample of the fault matrix, one hard case for each family; `make fault-matrix` runs all of it."""

import asyncio
import random

import pytest

from hashyard_agent.enforcement.model import Step
from hashyard_shared.orders import OrderKind
from hashyard_support.fault_matrix import FAULTS, run_case
from hashyard_support.kill_matrix import Kill, run_kill

pytestmark = pytest.mark.timeout(60)

BY_NAME = {fault.name: fault for fault in FAULTS}
SAMPLE = [
    ("antminer-s19", "dies in the write, taken", "redirect"),
    ("antminer-old", "blank pools", "restore"),
    ("whatsminer-v2", "says OK, changes nothing", "restore"),
    ("whatsminer-v3", "address moved", "restore"),
    ("luxos", "hang on write", "redirect"),
    ("cgminer", "applies after restart", "restore"),
    ("braiins", "reset on write", "redirect"),
    ("vnish", "slow 15 s", "restore"),
    ("bitaxe", "slow write 15 s", "restore"),
    ("luxos", "loses its pools", "restore"),
]
KILLS = [
    Kill(OrderKind.REDIRECT, Step.WRITING, "after"),
    Kill(OrderKind.REDIRECT, Step.READ_BACK, "before"),
    Kill(OrderKind.RESTORE, Step.READ_BACK, "before"),
]


async def test_no_fault_harms_anybody() -> None:
    octet = random.randrange(200, 226)
    outcomes = await asyncio.gather(
        *(
            run_case(family, BY_NAME[fault], moment, f"127.30.{octet}.{1 + 2 * number}")
            for number, (family, fault, moment) in enumerate(SAMPLE)
        )
    )
    assert [outcome for outcome in outcomes if outcome.violations or not outcome.result] == []


async def test_a_killed_process_finishes_its_work_at_the_next_start() -> None:
    octet = random.randrange(226, 254)
    outcomes = await asyncio.gather(
        *(run_kill("luxos", kill, f"127.30.{octet}.{1 + number}") for number, kill in enumerate(KILLS))
    )
    assert [outcome for outcome in outcomes if outcome.violations or not outcome.result] == []
