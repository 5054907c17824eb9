"""An enforcer as a process of its own, which can be told to kill itself (SIGKILL) at a given durable step.

`python -m hashyard_support.enforcer_process FOLDER` reads `process.json` and `desired.json` there, and reads the
latter again whenever it changes.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_agent.adapters.site_trust import StopFile, TrustFiles
from hashyard_agent.adapters.writers import pool_writers
from hashyard_agent.enforcement.enforcer import Enforcer
from hashyard_agent.enforcement.model import AgentFacts, Change
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import Identity
from hashyard_shared.clock import SystemClock
from hashyard_shared.protocol import DesiredState
from hashyard_support.enforcement import AGENT_ID, ORGANISATION_ID, QUICK, SITE_ID, FactoryLogins, ListOutbox

LOOK_S = 0.02
KILLED_MARK = "killed"


class KillingStore(SqliteEnforcementStore):
    """Ends the process without warning before or after the commit of a step; once."""

    def __init__(self, folder: Path, kill: dict[str, str]) -> None:
        super().__init__(folder / "enforcement.db")
        self._mark = folder / KILLED_MARK
        self._kill = kill

    def commit(self, changes: Sequence[Change]) -> None:
        due = not self._mark.exists() and any(self._is_due(change) for change in changes)
        if due and self._kill["when"] == "before":
            self._end()
        super().commit(changes)
        if due:
            self._end()

    def _is_due(self, change: Change) -> bool:
        row = change.unit
        if row is None or row.goal is None or not self._kill:
            return False
        return row.step.value == self._kill["step"] and row.goal.value == self._kill["goal"]

    def _end(self) -> None:
        self._mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


class KnownPlaces:
    """Where the miners are, as told."""

    def __init__(self, identities: Sequence[dict[str, Any]]) -> None:
        self._by_mac = {entry["mac"]: Identity(**entry) for entry in identities}

    def locate(self, mac: str) -> Identity | None:
        return self._by_mac.get(mac)

    def mac_of(self, ip: str) -> str | None:
        return next((mac for mac, known in self._by_mac.items() if known.ip == ip), None)

    def duplicated(self, mac: str) -> bool:
        return False

    def power_w(self, mac: str) -> int | None:
        return None


async def run(folder: Path) -> None:
    config = json.loads((folder / "process.json").read_text())
    store = KillingStore(folder, config["kill"])
    places = KnownPlaces(config["identities"])
    enforcer = Enforcer(
        agent=AgentFacts(AGENT_ID, lambda: config["agent_key"], ORGANISATION_ID, SITE_ID, lambda: 1),
        policy=replace(QUICK, call_timeout_s=2, write_timeout_s=2, readback_timeout_s=0.4),
        writers=pool_writers(FactoryLogins(), places.mac_of),
        locator=places,
        locks=MinerLocks(),
        trust=TrustFiles(folder / "trust.json", folder / "recorded.json"),
        stop_switch=StopFile(folder / "EMERGENCY-STOP"),
        store=store,
        outbox=ListOutbox(),
        clock=SystemClock(),
        boot_id="boot-1",
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(enforcer.run())
        seen = 0
        while True:
            desired = folder / "desired.json"
            changed_ns = desired.stat().st_mtime_ns
            if changed_ns != seen:
                seen = changed_ns
                document = DesiredState.model_validate_json(desired.read_text())
                enforcer.cloud_time_seen(document.time)
                enforcer.offer(document.orders, document.units, document.settings)
            await asyncio.sleep(LOOK_S)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
