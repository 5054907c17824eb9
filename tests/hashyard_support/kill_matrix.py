"""kill -9 of the enforcing process at each durable step, there and back; the next start must finish the work."""

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_agent.enforcement.model import Step, UnitRow
from hashyard_agent.errors import StoreError
from hashyard_shared.events import UnitPhase
from hashyard_shared.journal import first_break
from hashyard_shared.orders import OrderKind
from hashyard_shared.protocol import CloudTime, DesiredState
from hashyard_shared.signing import DocumentType, sign
from hashyard_support.enforcement import AGENT_ID, SITE_ID, Site, farm_of, identity_of
from hashyard_support.enforcer_process import KILLED_MARK
from hashyard_support.fault_matrix import FaultCase, Outcome, PoolWatch, report

LIMIT_S: Final = 60.0
LOOK_S: Final = 0.05
CONCURRENCY: Final = 3
MAX_LINES: Final = 10_000
STEPS: Final = {
    OrderKind.REDIRECT: (Step.READY, Step.WRITING, Step.READ_BACK, Step.ACTIVATING, Step.PROVING, Step.HELD),
    OrderKind.RESTORE: (Step.READY, Step.WRITING, Step.READ_BACK, Step.ACTIVATING, Step.PROVING, Step.IDLE),
}


@dataclass(frozen=True, slots=True)
class Kill:
    """When the process ends itself: before or after a step becomes durable."""

    goal: OrderKind
    step: Step
    when: str

    @property
    def name(self) -> str:
        return f"kill -9 {self.when} {self.step}"


def kills() -> list[Kill]:
    return [
        Kill(goal, step, when) for goal, steps in STEPS.items() for step in steps for when in ("before", "after")
    ]


async def run_kill(family: str, kill: Kill, address: str) -> Outcome:
    """One miner, there and back, with one kill on the way."""
    outcome = Outcome(family, kill.name, kill.goal.value)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with farm_of({family: 1}, subnet=f"{address}/32") as farm:
            site = Site(farm, folder)
            site.record_all()
            (folder / "process.json").write_text(
                json.dumps(
                    {
                        "agent_key": site.agent_key,
                        "identities": [asdict(identity_of(device)) for device in farm.devices],
                        "kill": {"goal": kill.goal.value, "step": kill.step.value, "when": kill.when},
                    }
                )
            )
            await _Run(site, folder, outcome).go()
    return outcome


class _Run:
    def __init__(self, site: Site, folder: Path, outcome: Outcome) -> None:
        self.site = site
        self.folder = folder
        self.outcome = outcome
        self.pools = PoolWatch(site.farm.devices[0], outcome, FaultCase("kill", ""))

    async def go(self) -> None:
        watch = asyncio.create_task(self.pools.run())
        keeper = asyncio.create_task(self._keep_alive())
        try:
            async with asyncio.timeout(LIMIT_S):
                self._desire(OrderKind.REDIRECT)
                await self._until(lambda row: row.phase is UnitPhase.REDIRECTED and row.step is Step.HELD)
                self._desire(OrderKind.RESTORE)
                await self._until(lambda row: row.goal is OrderKind.RESTORE and row.step is Step.IDLE)
        except TimeoutError:
            row = self._row()
            self.outcome.violations.append(f"did not arrive: {row and (row.goal, row.step, row.code, row.detail)}")
        finally:
            keeper.cancel()
            watch.cancel()
            await asyncio.gather(keeper, watch, return_exceptions=True)
        self._judge()

    def _desire(self, kind: OrderKind) -> None:
        site = self.site
        time = CloudTime(agent_id=AGENT_ID, at_us=site.clock.now_us())
        document = DesiredState(
            version=site.sequence,
            site_id=SITE_ID,
            settings=site.settings,
            units=site.bindings(),
            orders=[site.order("unit-0", kind).signed(site.key)],
            time=sign(site.key, DocumentType.TIME, time.model_dump_json().encode()),
        )
        fresh = self.folder / "desired.new"
        fresh.write_text(document.model_dump_json())
        fresh.replace(self.folder / "desired.json")

    async def _keep_alive(self) -> None:
        """Start the process, and again when it was killed, as the service manager would."""
        while not (self.folder / "desired.json").exists():  # noqa: ASYNC110 - written by the task beside this one
            await asyncio.sleep(LOOK_S)
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hashyard_support.enforcer_process", str(self.folder)
            )
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise
            if code != -signal.SIGKILL:
                self.outcome.violations.append(f"the process ended by itself with {code}")
                return

    async def _until(self, holds: Callable[[UnitRow], bool]) -> None:
        while True:
            row = self._row()
            if row is not None and holds(row):
                return
            await asyncio.sleep(LOOK_S)

    def _row(self) -> UnitRow | None:
        try:
            store = SqliteEnforcementStore(self.folder / "enforcement.db", read_only=True)
        except StoreError:
            return None
        try:
            return next(iter(store.units()), None)
        except StoreError:
            # Between its making and its first table.
            return None
        finally:
            store.close()

    def _judge(self) -> None:
        if not (self.folder / KILLED_MARK).exists():
            self.outcome.violations.append("the kill never came")
        store = SqliteEnforcementStore(self.folder / "enforcement.db", read_only=True)
        try:
            broken = first_break(store.journal(0, MAX_LINES))
        finally:
            store.close()
        if broken is not None:
            self.outcome.violations.append(f"the journal is broken at {broken}")
        row = self._row()
        if self.pools.restored:
            self.outcome.result = f"restored, level {row.level if row else 0}"
        else:
            self.outcome.violations.append("not restored")


async def run_kills(
    families: Sequence[str], chosen: Sequence[Kill], *, third_octet: int, shown: bool = False
) -> list[Outcome]:
    """Run them side by side; addresses are taken from 127.30.`third_octet`.1 on."""
    limit = asyncio.Semaphore(CONCURRENCY)

    async def one(number: int, family: str, kill: Kill) -> Outcome:
        async with limit:
            outcome = await run_kill(family, kill, f"127.30.{third_octet + number // 240}.{1 + number % 240}")
        if shown:
            report(outcome)
        return outcome

    wanted = [(family, kill) for family in families for kill in chosen]
    return list(await asyncio.gather(*(one(number, *case) for number, case in enumerate(wanted))))
