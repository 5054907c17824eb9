"""`led` and `reboot` on the command line while the agent runs: the agent does it, and nobody beside it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_agent.commands import CommandConfig
from hashyard_agent.hand_commands import BEGUN, EXPIRES_US, HandCommands
from hashyard_agent.miner_parts import MinerParts
from hashyard_shared.clock import SystemClock
from hashyard_shared.events import SiteControl
from hashyard_support.enforcement import ListOutbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from hashyard_support.site import SimulatedSite

    StartSite = Callable[..., SimulatedSite]

QUICK = CommandConfig(reboots_per_minute=6000, look_every_s=0.2, call_timeout_s=2)
LIMIT_S = 60


class Counted:
    """A cap that only counts."""

    def __init__(self) -> None:
        self.macs: list[str] = []

    def room(self, macs: Sequence[str]) -> str | None:
        del macs
        return None

    async def note(self, macs: Sequence[str]) -> None:
        self.macs.extend(macs)


@asynccontextmanager
async def _agent(
    folder: Path, parts: MinerParts, outbox: ListOutbox, cap: Counted
) -> AsyncIterator[SqliteEnforcementStore]:
    """What of the agent takes them: it owns the store, as the running agent does."""
    store = SqliteEnforcementStore(folder / "store" / "enforcement.db")
    desk = HandCommands(
        store=store,
        commands=parts.commands(QUICK),
        fleet=parts.fleet,
        identify=parts.driver.identify,
        cap=cap,
        outbox=outbox,
        clock=SystemClock(),
    )
    running = asyncio.create_task(desk.run())
    try:
        yield store
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        store.close()


async def _cli(folder: Path, *words: str) -> tuple[int, str]:
    config = folder / "agent.toml"
    config.write_text(f'[cloud]\nurl = "https://cloud.example"\n[store]\npath = "{folder / "store"}"\n')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hashyard_agent.cli", *words, "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_the_running_agent_does_it_and_tells_each_outcome(
    simulated_site: "StartSite", parts: MinerParts, tmp_path: Path
) -> None:
    site = await asyncio.to_thread(
        simulated_site, "127.31.70.0/28", {"antminer-s19": 1}, "--restart-seconds", "0.5"
    )
    cap, outbox = Counted(), ListOutbox()
    async with asyncio.timeout(LIMIT_S), _agent(tmp_path, parts, outbox, cap):
        assert await _cli(tmp_path, "led", "on", "127.31.70.1") == (0, "127.31.70.1     done  light on\n")
        code, said = await _cli(tmp_path, "reboot", "127.31.70.1", "127.31.70.9", "--yes")
    assert code == 1
    assert "127.31.70.1     done  restarted" in said
    assert "127.31.70.9     NOT DONE" in said
    truth = site.truth("127.31.70.1")
    assert truth["restart_count"] == 1
    assert len(cap.macs) == 1
    told = [(event.control, event.value.split(":")[0]) for event in outbox.sent if isinstance(event, SiteControl)]
    assert told == [("led", "127.31.70.1"), ("reboot", "127.31.70.1")]


async def test_what_was_left_while_no_agent_ran_is_not_done_later(
    simulated_site: "StartSite", parts: MinerParts, tmp_path: Path
) -> None:
    site = await asyncio.to_thread(simulated_site, "127.31.71.0/28", {"antminer-s19": 1})
    left = SqliteEnforcementStore(tmp_path / "store" / "enforcement.db", owner=False)
    old_us = SystemClock().now_us() - EXPIRES_US - 1
    numbers = [left.add_command(old_us, "technician", "reboot", {"ip": "127.31.71.1"}) for _ in range(2)]
    # One that was begun when the agent was killed: its effect is not known, and it is not begun again.
    left.finish_command(numbers[1], old_us, BEGUN)
    async with asyncio.timeout(LIMIT_S), _agent(tmp_path, parts, ListOutbox(), Counted()):
        while left.command_result(numbers[0]) is None:  # noqa: ASYNC110 - written by a thread of the desk
            await asyncio.sleep(0.05)
    answer = left.command_result(numbers[0])
    assert answer is not None
    assert json.loads(answer)["done"] is False
    assert left.command_result(numbers[1]) == BEGUN
    left.close()
    assert site.truth("127.31.71.1")["restart_count"] == 0
