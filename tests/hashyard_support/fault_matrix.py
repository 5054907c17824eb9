"""Every family through every fault, on the way there and on the way back, judged by what the simulator saw.

`python -m hashyard_support.matrix_command` runs all of it. What must never happen: a miner with blank pools,
one at a pool nobody ordered, a confirmation of what is not so, a setting other than pools changed, a unit
neither restored nor reported.
"""

import asyncio
import copy
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_agent.enforcement.comparison import bare_url
from hashyard_agent.enforcement.model import Change, EnforcementPolicy, Step, UnitRow
from hashyard_shared.events import UnitPhase
from hashyard_shared.orders import OrderKind
from hashyard_simulator.device import Device
from hashyard_support.enforcement import HOLDING, QUICK, Site, farm_of, true_pools

LASTS_S: Final = 1.2
SETTLE_S: Final = 12.0
PATIENT_S: Final = 40.0
"""How long a unit may take to its goal; patient when sixteen of them run at once on a busy machine."""
LOOK_S: Final = 0.01
CONCURRENCY: Final = 16
CALL_S: Final = 0.8
POLICY: Final = replace(
    QUICK,
    call_timeout_s=CALL_S,
    write_timeout_s=CALL_S,
    readback_timeout_s=0.4,
    activate_timeout_s=2,
    shares_timeout_s=2,
    quarantine_after=100,
    canary_wait_s=0.1,
)
HOLDING_URL: Final = bare_url(HOLDING.url)


@dataclass(frozen=True, slots=True)
class FaultCase:
    """What goes wrong, and when: before the order to redirect, or before the one to restore."""

    name: str
    kind: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def at_once(self) -> bool:
        return self.kind in {"move", "swap_board", "restart", "lose_pools"}


FAULTS: Final = (
    FaultCase("none", ""),
    FaultCase("hang", "hang"),
    FaultCase("hang on write", "hang", {"scope": "write"}),
    FaultCase("slow, in time", "slow", {"seconds": 0.1}),
    FaultCase("slow 15 s", "slow", {"seconds": CALL_S * 1.5}),
    FaultCase("slow write 15 s", "slow", {"seconds": CALL_S * 1.5, "scope": "write"}),
    FaultCase("refuse", "refuse"),
    FaultCase("reset", "reset"),
    FaultCase("reset on write", "reset", {"scope": "write"}),
    FaultCase("half an answer", "half_json"),
    FaultCase("half an answer to a write", "half_json", {"scope": "write"}),
    FaultCase("port closed", "drop"),
    FaultCase("SYN dropped", "blackhole"),
    FaultCase("says OK, changes nothing", "lie"),
    FaultCase("applies after restart", "after_restart_only"),
    FaultCase("blank pools", "blank_pools"),
    FaultCase("empty pool list", "blank_pools", {"mode": "empty"}),
    FaultCase("password changed", "auth"),
    FaultCase("zeros", "zeros"),
    FaultCase("dies", "die"),
    FaultCase("dies in the write, taken", "die_on_write", {"applied": True}),
    FaultCase("dies in the write, lost", "die_on_write", {"applied": False}),
    FaultCase("holding pool dead", "pool_dead"),
    FaultCase("loses its pools", "lose_pools"),
    FaultCase("board swapped", "swap_board"),
    FaultCase("address moved", "move"),
    FaultCase("restarts", "restart"),
    FaultCase("reboots", "restart", {"mode": "reboot"}),
)


@dataclass
class Outcome:
    """How one case ended. `violations` name what must never happen."""

    family: str
    fault: str
    moment: str
    result: str = ""
    violations: list[str] = field(default_factory=list)

    @property
    def not_restorable(self) -> bool:
        return self.result.startswith("reported")


class WatchedStore(SqliteEnforcementStore):
    """A store that asks the simulator at the very moment when a confirmation becomes durable."""

    def __init__(self, path: Path, device: Device, outcome: Outcome) -> None:
        super().__init__(path)
        self._device = device
        self._outcome = outcome
        self._levels: dict[str, int] = {}

    def commit(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.unit is not None and change.unit.target:
                self._judge(change.unit)
        super().commit(changes)

    def _judge(self, row: UnitRow) -> None:
        before = self._levels.get(row.unit_id, 0)
        self._levels[row.unit_id] = row.level
        if row.level <= max(before, 1):
            return
        wanted = [bare_url(pool.url) for group in row.target for pool in group.pools if pool.url]
        found = [bare_url(url) for url, _, _ in true_pools(self._device)]
        if found != wanted:
            self._outcome.violations.append(f"level {row.level} confirmed with pools {found}")
        active = self._device.active_pool()
        if row.level >= 3 and (active is None or bare_url(active.url) not in wanted):
            self._outcome.violations.append(f"level {row.level} confirmed, mining at {active and active.url}")


class CaseSite(Site):
    """A site whose store is watched."""

    outcome: Outcome

    def open_store(self) -> SqliteEnforcementStore:
        return WatchedStore(self.folder / "enforcement.db", self.farm.devices[0], self.outcome)


async def run_case(
    family: str,
    fault: FaultCase,
    moment: str,
    address: str,
    policy: EnforcementPolicy = POLICY,
    *,
    settle_s: float = SETTLE_S,
) -> Outcome:
    """Redirect and restore one miner with this fault at this moment; `address` and the one after it are free."""
    outcome = Outcome(family, fault.name, moment)
    with tempfile.TemporaryDirectory() as folder:
        async with farm_of({family: 1}, subnet=f"{address}/32") as farm:
            site = CaseSite(farm, Path(folder), policy)
            site.outcome = outcome
            site.record_all()
            await _Case(site, farm.devices[0], fault, outcome, settle_s).run(moment)
    return outcome


class PoolWatch:
    """Looks at the true state of a miner again and again, whatever the agent says."""

    def __init__(self, device: Device, outcome: Outcome, fault: FaultCase) -> None:
        self._device = device
        self._outcome = outcome
        self._loses_pools = fault.kind == "lose_pools"
        self._pools = true_pools(device)
        self._settings = copy.deepcopy(device.settings)
        self._allowed = {bare_url(url) for url, _, _ in self._pools} | {HOLDING_URL}

    @property
    def restored(self) -> bool:
        """Whether pools and all other settings are what they were."""
        return true_pools(self._device) == self._pools and self._device.settings == self._settings

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Note what must never be."""
        found = {bare_url(url) for url, _, _ in true_pools(self._device)}
        problems = []
        if not found and not self._loses_pools:
            problems.append("blank pools")
        if found - self._allowed:
            problems.append(f"at a pool nobody ordered: {sorted(found - self._allowed)}")
        if _bare(self._device.settings) != _bare(self._settings):
            problems.append("a setting other than pools was changed")
        for problem in problems:
            if problem not in self._outcome.violations:
                self._outcome.violations.append(problem)


class _Case:
    def __init__(
        self, site: CaseSite, device: Device, fault: FaultCase, outcome: Outcome, settle_s: float
    ) -> None:
        self.settle_s = settle_s
        self.site = site
        self.device = device
        self.fault = fault
        self.outcome = outcome
        self.watch = PoolWatch(device, outcome, fault)

    async def run(self, moment: str) -> None:
        async with self.site.running():
            watch = asyncio.create_task(self.watch.run())
            try:
                await self._go(moment)
                await self._come_back(moment)
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
        self._judge_end()

    async def _go(self, moment: str) -> None:
        if moment == "redirect":
            await self._break()
        self.site.command(OrderKind.REDIRECT)
        if moment == "redirect" and self.fault.kind:
            await asyncio.sleep(LASTS_S)
            await self._heal()
        await self._settled(self.settle_s / 2, OrderKind.REDIRECT)

    async def _come_back(self, moment: str) -> None:
        if moment == "restore":
            await self._break()
        self.site.command(OrderKind.RESTORE)
        if moment == "restore" and self.fault.kind:
            await asyncio.sleep(LASTS_S)
            await self._heal()
        await self._settled(self.settle_s, OrderKind.RESTORE)
        if self.fault.kind == "after_restart_only":
            # What the firmware kept for its next restart comes out now; nobody may stay where nobody sent him.
            self.device.restart()
            await self._seen_and_mended(self.settle_s)

    async def _settled(self, limit_s: float, goal: OrderKind) -> None:
        """Until the unit rests at its goal, or for so long as it may take."""
        try:
            async with asyncio.timeout(limit_s):
                await self.site.until(lambda row: row.goal is goal and _rests(row))
        except TimeoutError:
            return

    async def _seen_and_mended(self, limit_s: float) -> None:
        """Until the watch has looked at what came out late and undone it; not sooner, on a busy machine either."""
        await asyncio.sleep(3 * self.site.policy.drift_check_interval_s)
        try:
            async with asyncio.timeout(limit_s):
                while not self.watch.restored:  # noqa: ASYNC110 - the simulator's truth, which tells nobody
                    await asyncio.sleep(LOOK_S)
                await self.site.until(lambda row: row.goal is OrderKind.RESTORE and _rests(row))
        except TimeoutError:
            return

    async def _break(self) -> None:
        fault = self.fault
        if fault.kind == "pool_dead":
            self.site.farm.world.set_alive(HOLDING.url, alive=False)
        elif fault.kind == "move":
            head, _, last = self.device.identity.ip.rpartition(".")
            await self.site.inject(0, "move", to=f"{head}.{int(last) + 1}")
        elif fault.kind:
            await self.site.inject(0, fault.kind, **fault.params)

    async def _heal(self) -> None:
        if self.fault.kind == "pool_dead":
            self.site.farm.world.set_alive(HOLDING.url, alive=True)
        elif not self.fault.at_once:
            await self.site.heal(0)

    def _judge_end(self) -> None:
        self.watch.look()
        row = self.site.row("unit-0")
        assert row is not None
        restored = self.watch.restored
        said = row.phase is UnitPhase.RESTORED and row.step is Step.IDLE
        if restored and said:
            self.outcome.result = f"restored, level {row.level}"
        elif said:
            self.outcome.violations.append(f"told as restored with {true_pools(self.device)}")
        elif row.code is not None:
            self.outcome.result = f"reported: {row.code}" + (", untouched" if restored else "")
        else:
            self.outcome.violations.append(f"neither restored nor reported: {row.phase} {row.step} {row.detail}")


def _bare(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without the pool groups, which some firmwares count among them."""
    return {name: value for name, value in settings.items() if name != "groups"}


def _rests(row: UnitRow) -> bool:
    if row.goal is OrderKind.RESTORE:
        return row.step is Step.IDLE
    return row.phase is UnitPhase.REDIRECTED and row.level >= 3


def cases(families: Sequence[str], faults: Sequence[FaultCase] = FAULTS) -> list[tuple[str, FaultCase, str]]:
    """Family, fault, moment; "none" once."""
    return [
        (family, fault, moment)
        for family in families
        for fault in faults
        for moment in (("redirect", "restore") if fault.kind else ("redirect",))
    ]


async def run_all(chosen: Sequence[tuple[str, FaultCase, str]], *, third_octet: int, shown: bool) -> list[Outcome]:
    """Run the cases side by side. Addresses are taken from 127.30.`third_octet`.1 on, two for each case."""
    limit = asyncio.Semaphore(CONCURRENCY)

    async def one(number: int, family: str, fault: FaultCase, moment: str) -> Outcome:
        address = f"127.30.{third_octet + number // 120}.{1 + 2 * (number % 120)}"
        async with limit:
            outcome = await run_case(family, fault, moment, address, settle_s=PATIENT_S)
        if shown:
            report(outcome)
        return outcome

    return list(await asyncio.gather(*(one(number, *case) for number, case in enumerate(chosen))))


def report(outcome: Outcome) -> None:
    """One line on standard error, while the others go on."""
    mark = "VIOLATION " + "; ".join(outcome.violations) if outcome.violations else outcome.result
    sys.stderr.write(f"{outcome.family:14} {outcome.fault:28} {outcome.moment:9} {mark}\n")


def table(outcomes: Sequence[Outcome]) -> str:
    """Family by fault: how it ended, there and back."""
    families = list(dict.fromkeys(outcome.family for outcome in outcomes))
    lines = ["| fault | " + " | ".join(families) + " |", "|---" * (len(families) + 1) + "|"]
    for fault in dict.fromkeys(outcome.fault for outcome in outcomes):
        cells = []
        for family in families:
            found = [o for o in outcomes if (o.family, o.fault) == (family, fault)]
            cells.append(" / ".join("VIOLATION" if o.violations else o.result for o in found))
        lines.append(f"| {fault} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
