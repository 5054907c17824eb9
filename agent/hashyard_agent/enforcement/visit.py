"""One visit to one miner: look, and do the next thing its unit needs.

Each act is bracketed by durable states, so that a process killed at any point is resumed by looking first. No
return value of a write counts; only what the miner shows afterwards does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from hashyard_agent.enforcement.book import Book
from hashyard_agent.enforcement.comparison import came_out_late, differing, same_groups, seen_in, shown
from hashyard_agent.enforcement.model import EnforcementPolicy, JournalEntry, SnapshotRow, Step, UnitRow
from hashyard_agent.enforcement.pairs import failed, proven
from hashyard_agent.enforcement.planning import Plan, Planner
from hashyard_agent.enforcement.targets import Blocked, Groups, shows_holding
from hashyard_agent.enforcement.timers import Timers
from hashyard_agent.errors import MinerError, MinerTimeoutError
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import Identity, MinerConfig, MinerLocator, PoolStatus, PoolWriter
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import ConfirmationLevel, PoolSeen, UnitPhase
from hashyard_shared.orders import OrderKind

LOG = logging.getLogger(__name__)
AWAY: Final = frozenset({ErrorCode.MINER_UNREACHABLE, ErrorCode.MINER_TIMEOUT, ErrorCode.IDENTITY_CHANGED})
"""Codes that say the miner could not be seen, rather than that something is wrong with it."""
PASSING: Final = AWAY | {
    ErrorCode.MINER_AUTH,
    ErrorCode.MINER_MALFORMED,
    ErrorCode.MINER_REFUSED,
    ErrorCode.POOLS_BLANK,
    ErrorCode.UNAVAILABLE,
    ErrorCode.DUPLICATE_MAC,
}
"""Codes of a visit, which the next good visit takes back."""

T = TypeVar("T")


class IdentityChangedError(MinerError):
    """Another miner answers at this address."""

    miner_code = ErrorCode.IDENTITY_CHANGED


@dataclass(frozen=True, slots=True)
class AtMiner:
    """The miner of a visit. `identity` is as discovery knows it; it was checked under the lock."""

    identity: Identity
    writer: PoolWriter


class Visitor:
    """Carries units on, one visit at a time. `visit` returns the seconds until the next, or None for never."""

    def __init__(
        self,
        *,
        book: Book,
        policy: EnforcementPolicy,
        writers: Mapping[str, PoolWriter],
        locator: MinerLocator,
        locks: MinerLocks,
        planner: Planner,
        clock: Clock,
        held: Callable[[UnitRow], ErrorCode | None],
    ) -> None:
        self._book = book
        self._policy = policy
        self._writers = writers
        self._locator = locator
        self._locks = locks
        self._planner = planner
        self._clock = clock
        self._held = held
        self._timers = Timers(clock, policy)
        self._acts: dict[Step, Callable[[UnitRow, AtMiner], Awaitable[float | None]]] = {
            Step.READY: self._begin,
            Step.WRITING: self._look,
            Step.READ_BACK: self._look,
            Step.ACTIVATING: self._activate,
            Step.PROVING: self._prove,
            Step.HELD: self._watch_held,
            Step.STUCK: self._watch_stuck,
            Step.IDLE: self._watch_idle,
        }

    async def visit(self, row: UnitRow) -> float | None:
        """Do the next thing. Errors: `StoreError`, `SettingsError`; a miner's troubles end in the unit's state."""
        if row.goal is None:
            # Reassigned, or left behind by a board swap: a person decides, and what was told stays.
            return None
        identity = self._locator.locate(row.mac)
        if identity is None:
            if self._locator.duplicated(row.mac):
                return await self._away(row, ErrorCode.DUPLICATE_MAC, f"several devices claim {row.mac}")
            return await self._away(row, ErrorCode.MINER_UNREACHABLE, "not seen on the site's networks")
        writer = self._writers.get(identity.family)
        if writer is None:
            family = identity.family or "unknown"
            return await self._block(row, Blocked(ErrorCode.FAMILY_READ_ONLY, f"family {family} is read-only"))
        try:
            async with self._locks.hold(identity.ip, self._policy.call_timeout_s):
                await self._same_device(row, identity, writer)
                return await self._acts[row.step](row, AtMiner(identity, writer))
        except MinerError as error:
            return await self._trouble(self._book.units[row.unit_id], error)

    # -- talking to the miner --------------------------------------------------------------------

    async def _in_time(self, ip: str, call: Awaitable[T], timeout_s: float) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                return await call
        except TimeoutError as error:
            raise MinerTimeoutError(ip, f"no answer within {timeout_s:g} s") from error

    async def _same_device(self, row: UnitRow, identity: Identity, writer: PoolWriter) -> None:
        seen = await self._in_time(identity.ip, writer.identify(identity), self._policy.call_timeout_s)
        if seen.mac != row.mac:
            raise IdentityChangedError(identity.ip, f"{seen.mac} answers, not {row.mac}")

    async def _read(self, at: AtMiner) -> MinerConfig:
        ip = at.identity.ip
        return await self._in_time(ip, at.writer.read(at.identity), self._policy.call_timeout_s)

    async def _status(self, at: AtMiner) -> PoolStatus:
        ip = at.identity.ip
        return await self._in_time(ip, at.writer.status(at.identity), self._policy.call_timeout_s)

    # -- writing ---------------------------------------------------------------------------------

    async def _begin(self, row: UnitRow, at: AtMiner) -> float | None:
        current = await self._read(at)
        plan = await self._planner.plan(row, current, at.identity, at.writer)
        if isinstance(plan, Blocked):
            return await self._block(row, plan)
        if plan.target is None:
            row = replace(row, level=ConfirmationLevel.READ_BACK, code=None, detail="")
            return await self._restored(row, "nothing of the host's in this miner")
        waiting, row = row, replace(plan.row, target=plan.target)
        # Firmwares may keep a write for their next restart: only another write takes its place.
        overwrite = row.unproven > 0 and (row.goal is OrderKind.RESTORE or at.writer.traits.applies_on_restart)
        if same_groups(plan.target, current.groups) and not overwrite:
            return await self._found_right(row, at, current, plan)
        held = self._held(row)
        if held is not None:
            return await self._hold(waiting, held, current.groups, plan.target)
        return await self._write(row, at, current, plan)

    async def _found_right(self, row: UnitRow, at: AtMiner, current: MinerConfig, plan: Plan) -> float:
        """The miner is already where it should be: proven as if it had been written."""
        row = replace(row, episode=True, step=Step.READ_BACK, offline=False)
        row = await self._book.save(row, *plan.entries, snapshot=plan.snapshot, events=plan.events)
        return await self._taken(row, at, current)

    async def _write(self, row: UnitRow, at: AtMiner, current: MinerConfig, plan: Plan) -> float:
        assert plan.target is not None  # noqa: S101 - the caller looked
        intent = JournalEntry(
            "write-intent",
            self._about(row, at) | {"before": shown(current.groups), "target": shown(plan.target)},
        )
        row = await self._book.save(
            replace(
                row,
                step=Step.WRITING,
                phase=_on_the_way(row),
                level=ConfirmationLevel.NONE,
                code=None,
                detail="",
                episode=True,
                writes=row.writes + 1,
                unproven=row.unproven + 1,
                untaken=0 if plan.snapshot is not None else row.untaken,
                offline=False,
                written_at_us=self._clock.now_us(),
            ),
            *plan.entries,
            intent,
            snapshot=plan.snapshot,
            events=plan.events,
        )
        code, answer = await self._send(at, current, plan.target)
        level = ConfirmationLevel.SENT if code is None else ConfirmationLevel.NONE
        row = replace(row, step=Step.READ_BACK, level=level, code=code, detail=answer if code else "")
        await self._book.save(row, JournalEntry("write-sent", self._about(row, at) | {"answer": answer}))
        return at.writer.traits.readback_after_s

    async def _send(self, at: AtMiner, current: MinerConfig, target: Groups) -> tuple[ErrorCode | None, str]:
        """The write's outcome as told, which is noted and not believed."""
        ip = at.identity.ip
        try:
            await self._in_time(ip, at.writer.write(at.identity, current, target), self._policy.write_timeout_s)
        except MinerError as error:
            return error.code, str(error)
        return None, "accepted"

    # -- looking afterwards ----------------------------------------------------------------------

    async def _look(self, row: UnitRow, at: AtMiner) -> float | None:
        current = await self._read(at)
        if same_groups(row.target, current.groups):
            return await self._taken(row, at, current)
        refused = row.code in {ErrorCode.MINER_REFUSED, ErrorCode.MINER_AUTH}
        if not refused and self._timers.age_s(row) < self._policy.readback_timeout_s:
            return min(self._policy.confirm_interval_s, self._policy.readback_timeout_s)
        return await self._not_taken(row, at, current)

    async def _taken(self, row: UnitRow, at: AtMiner, current: MinerConfig) -> float:
        """Level 2: the pools read back as ordered."""
        changed = await self._changed_settings(row, at, current)
        code = ErrorCode.SETTINGS_CHANGED if changed else None
        detail = f"settings other than pools differ from before: {', '.join(changed)}" if changed else ""
        row = replace(
            row,
            step=Step.ACTIVATING,
            level=ConfirmationLevel.READ_BACK,
            phase=_on_the_way(row),
            unproven=row.unproven if at.writer.traits.applies_on_restart else 0,
            code=code,
            detail=detail,
            offline=False,
        )
        data = self._about(row, at) | {"pools": shown(current.groups), "settings_changed": changed}
        await self._book.save(row, JournalEntry("read-back", data))
        self._timers.forget_failures(row)
        return 0.0

    async def _changed_settings(self, row: UnitRow, at: AtMiner, current: MinerConfig) -> list[str]:
        before = await self._snapshot(row)
        if before is None or (before.family, before.firmware) != (at.identity.family, at.identity.firmware):
            return []
        return differing(before.settings, current.settings)

    async def _snapshot(self, row: UnitRow) -> SnapshotRow | None:
        return await self._book.snapshot(row.snapshot_id) if row.snapshot_id else None

    async def _not_taken(self, row: UnitRow, at: AtMiner, current: MinerConfig) -> float:
        found = shown(current.groups)
        entry = JournalEntry("not-taken", self._about(row, at) | {"found": found, "wanted": shown(row.target)})
        # A refusal is an answer; only an accepted write without effect says something of the firmware.
        pair = failed(self._book.pairs, at.identity, row.unit_id, self._clock.now_us(), self._policy)
        lied = row.code is None
        row = replace(
            row,
            level=ConfirmationLevel.NONE,
            untaken=row.untaken + 1,
            code=row.code or ErrorCode.WRITE_NOT_TAKEN,
            detail=row.detail or "the miner accepted the pools and does not show them",
        )
        stuck = row.writes >= self._policy.write_attempts_max
        row = replace(row, step=Step.STUCK, phase=UnitPhase.FAILED) if stuck else replace(row, step=Step.READY)
        await self._book.save(row, entry, pair=pair if lied else None)
        return self._policy.retry_max_s if stuck else self._timers.backoff_s(row)

    async def _activate(self, row: UnitRow, at: AtMiner) -> float | None:
        status = await self._status(at)
        active = status.active
        if active is not None and self._is_active(row, at, status, active):
            row = self._at_level_3(row, active)
            data = self._about(row, at) | {"pool": active.url, "worker": active.worker}
            pair = proven(self._book.pairs, at.identity, self._clock.now_us())
            await self._book.save(row, JournalEntry("pool-active", data), pair=pair)
            return min(self._policy.confirm_interval_s, 1.0)
        if self._timers.age_s(row) < self._policy.activate_timeout_s:
            return self._policy.confirm_interval_s
        return await self._settle(
            row, ErrorCode.POOL_DEAD, f"the active pool is {active.url if active else 'none'}"
        )

    def _at_level_3(self, row: UnitRow, active: PoolSeen) -> UnitRow:
        code = row.code if row.code is ErrorCode.SETTINGS_CHANGED else None
        return replace(
            row,
            step=Step.PROVING,
            level=ConfirmationLevel.POOL_ACTIVE,
            phase=UnitPhase.REDIRECTED if row.goal is OrderKind.REDIRECT else UnitPhase.RESTORED,
            unproven=0,
            accepted_at_level_3=active.accepted,
            active_pool=active.url,
            active_worker=active.worker,
            code=code,
            detail=row.detail if code else "",
            offline=False,
        )

    def _is_active(self, row: UnitRow, at: AtMiner, status: PoolStatus, active: PoolSeen) -> bool:
        if active.alive is False or not seen_in(active, row.target):
            return False
        if not at.writer.traits.applies_on_restart or row.written_at_us is None:
            return True
        since_write_s = (self._clock.now_us() - row.written_at_us) / US_PER_S
        # Told in whole seconds, so one more may have passed: only then it surely started after the write.
        return status.uptime_s is not None and status.uptime_s + 1 <= since_write_s

    async def _prove(self, row: UnitRow, at: AtMiner) -> float | None:
        status = await self._status(at)
        active = status.active
        if active is None or not self._is_active(row, at, status, active):
            lost = replace(row, step=Step.ACTIVATING, level=ConfirmationLevel.READ_BACK, phase=_on_the_way(row))
            await self._book.save(lost, JournalEntry("pool-lost", self._about(row, at)))
            return self._policy.confirm_interval_s
        before = row.accepted_at_level_3
        if active.accepted is not None and before is not None and active.accepted > before:
            row = replace(row, level=ConfirmationLevel.SHARES_ADVANCE)
            entry = JournalEntry(
                "shares-advance",
                self._about(row, at) | {"pool": active.url, "from": before, "to": active.accepted},
            )
            return await self._finish(row, entry)
        if active.accepted is not None and (before is None or active.accepted < before):
            # The count began anew with a restart of mining.
            await self._book.save(replace(row, accepted_at_level_3=active.accepted))
        if self._timers.age_s(row) < self._policy.shares_timeout_s:
            return self._policy.confirm_interval_s
        return await self._settle(row, ErrorCode.NO_SHARES, "no accepted share was counted yet")

    async def _settle(self, row: UnitRow, code: ErrorCode, detail: str) -> float:
        """The confirmation stops short: kept at the level reached, and looked at again by the watch."""
        row = replace(row, code=row.code or code, detail=row.detail or detail)
        entry = JournalEntry("settled", {"unit_id": row.unit_id, "level": row.level, "code": code.value})
        return await self._finish(row, entry)

    async def _finish(self, row: UnitRow, entry: JournalEntry) -> float:
        if row.goal is OrderKind.RESTORE:
            return await self._restored(row, "proven", entry)
        await self._book.save(replace(row, step=Step.HELD, writes=0), entry)
        return self._policy.drift_check_interval_s

    async def _restored(self, row: UnitRow, how: str, *entries: JournalEntry) -> float:
        row = replace(
            row,
            step=Step.IDLE,
            phase=UnitPhase.RESTORED,
            episode=False,
            writes=0,
            drifts=0,
            target=row.target if row.untaken else (),
            to_recorded=False,
            offline=False,
        )
        data = {"unit_id": row.unit_id, "mac": row.mac, "level": row.level, "how": how}
        await self._book.save(row, *entries, JournalEntry("restored", data))
        return self._policy.drift_check_interval_s

    # -- watching --------------------------------------------------------------------------------

    async def _watch_held(self, row: UnitRow, at: AtMiner) -> float:
        current = await self._read(at)
        if not same_groups(row.target, current.groups):
            return await self._drifted(row, at, current)
        status = await self._status(at)
        active = status.active
        mining_there = active is not None and self._is_active(row, at, status, active)
        if active is not None and mining_there and row.level < ConfirmationLevel.SHARES_ADVANCE:
            await self._book.save(self._at_level_3(row, active), JournalEntry("pool-active", self._about(row, at)))
            return self._policy.confirm_interval_s
        if not mining_there and row.level >= ConfirmationLevel.POOL_ACTIVE:
            lost = replace(row, level=ConfirmationLevel.READ_BACK, phase=UnitPhase.REDIRECTING)
            lost = replace(lost, code=ErrorCode.POOL_DEAD, detail="the holding pool is not the active pool")
            await self._book.save(lost, JournalEntry("pool-lost", self._about(row, at)))
        elif mining_there:
            await self._take_back_code(row)
        return self._policy.drift_check_interval_s

    async def _drifted(self, row: UnitRow, at: AtMiner, current: MinerConfig) -> float:
        """Somebody pointed it elsewhere. Who did cannot be observed: no order and no local command did."""
        drifts = row.drifts + 1
        given_up = drifts > self._policy.drift_reapply_max
        found = shown(current.groups)
        data = {"found": found, "count": drifts, "attributed": "unattributed", "reapplied": not given_up}
        row = replace(
            row,
            step=Step.STUCK if given_up else Step.READY,
            phase=UnitPhase.FAILED if given_up else UnitPhase.REDIRECTING,
            level=ConfirmationLevel.NONE,
            code=ErrorCode.DRIFTED,
            detail=f"pools were changed by somebody else, {drifts} times",
            drifts=drifts,
            writes=0,
            active_pool=found[0][0] if found else None,
            active_worker=found[0][1] if found else None,
        )
        await self._book.save(row, JournalEntry("drift", self._about(row, at) | data))
        return self._policy.retry_max_s if given_up else 0.0

    async def _watch_stuck(self, row: UnitRow, at: AtMiner) -> float:
        """A redirect is only looked at, until a new order; a customer's way back is tried for ever, slowly."""
        current = await self._read(at)
        shows = bool(row.target) and same_groups(row.target, current.groups)
        if shows and not (row.unproven and at.writer.traits.applies_on_restart):
            return await self._taken(row, at, current)
        if row.goal is OrderKind.RESTORE:
            await self._book.save(replace(row, step=Step.READY, writes=0))
            return 0.0
        return self._policy.retry_max_s

    async def _watch_idle(self, row: UnitRow, at: AtMiner) -> float:
        """A late write, or somebody, may put a restored unit back to the holding pool: nobody ordered that."""
        current = await self._read(at)
        unordered = shows_holding(current.groups, self._planner.trust())
        late = bool(row.untaken) and came_out_late(row.target, current.groups)
        if unordered or late:
            detail = "found at a holding pool without an order" if unordered else "an earlier write came out late"
            row = replace(
                row,
                goal=OrderKind.RESTORE,
                step=Step.READY,
                phase=UnitPhase.RESTORING,
                level=ConfirmationLevel.NONE,
                episode=True,
                unproven=row.unproven + 1,
                code=ErrorCode.DRIFTED,
                detail=detail,
            )
            entry = JournalEntry("unordered", self._about(row, at) | {"found": shown(current.groups)})
            await self._book.save(row, entry)
            return 0.0
        await self._take_back_code(row)
        return self._policy.drift_check_interval_s

    async def _take_back_code(self, row: UnitRow) -> None:
        if row.offline or row.code in PASSING:
            await self._book.save(replace(row, offline=False, code=None, detail=""))

    # -- what stops a visit ----------------------------------------------------------------------

    async def _trouble(self, row: UnitRow, error: MinerError) -> float:
        timeout_s = self._timers.patience_s(row.step)
        if timeout_s is not None and self._timers.age_s(row) < timeout_s and error.code in PASSING:
            # Mining restarts after a write, and the device with it: that is not trouble yet.
            LOG.debug("unit %s: %s", row.unit_id, error)
            return self._policy.confirm_interval_s
        if error.code in AWAY:
            return await self._away(row, error.code, str(error))
        phase = UnitPhase.WAITING if row.step is Step.READY else row.phase
        changed = () if row.code is error.code else (_entry("trouble", row, error.code, str(error)),)
        await self._book.save(replace(row, phase=phase, code=error.code, detail=str(error)), *changed)
        return self._timers.backoff_s(row)

    async def _away(self, row: UnitRow, code: ErrorCode, detail: str) -> float:
        phase = UnitPhase.WAITING if row.step is Step.READY else row.phase
        changed = () if row.offline else (_entry("away", row, code, detail),)
        await self._book.save(replace(row, phase=phase, code=code, detail=detail, offline=True), *changed)
        return self._policy.offline_retry_s

    async def _block(self, row: UnitRow, blocked: Blocked) -> float:
        untouched = not row.episode and (row.goal is OrderKind.REDIRECT or row.to_recorded)
        phase = UnitPhase.REFUSED if untouched else UnitPhase.FAILED
        changed = () if row.code is blocked.code else (_entry("refused", row, blocked.code, blocked.detail),)
        await self._book.save(replace(row, phase=phase, code=blocked.code, detail=blocked.detail), *changed)
        return self._policy.retry_max_s

    async def _hold(self, row: UnitRow, code: ErrorCode, before: Groups, target: Groups) -> float:
        """Nothing was begun: neither target nor snapshot are kept, the next visit plans anew."""
        shadow = code is ErrorCode.SHADOW_MODE
        detail = f"would write {', '.join(url for url, _ in shown(target))}" if shadow else ""
        entries = []
        if row.code is not code:
            data = {"before": shown(before), "target": shown(target), "code": code.value}
            entries = [JournalEntry("held-back", {"unit_id": row.unit_id, "mac": row.mac} | data)]
        phase = UnitPhase.SHADOW if shadow else UnitPhase.WAITING
        await self._book.save(replace(row, phase=phase, code=code, detail=detail, offline=False), *entries)
        return self._policy.confirm_interval_s

    def _about(self, row: UnitRow, at: AtMiner) -> dict[str, object]:
        return {
            "unit_id": row.unit_id,
            "mac": row.mac,
            "ip": at.identity.ip,
            "firmware": f"{at.identity.family} {at.identity.model} {at.identity.firmware}",
            "order_id": row.order.order_id if row.order else None,
            "origin": row.origin,
            "kind": row.goal.value if row.goal else None,
            "level": row.level,
        }


def _on_the_way(row: UnitRow) -> UnitPhase:
    return UnitPhase.REDIRECTING if row.goal is OrderKind.REDIRECT else UnitPhase.RESTORING


def _entry(kind: str, row: UnitRow, code: ErrorCode, detail: str) -> JournalEntry:
    return JournalEntry(kind, {"unit_id": row.unit_id, "mac": row.mac, "code": code.value, "detail": detail})
