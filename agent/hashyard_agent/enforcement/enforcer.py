"""The enforcer: takes orders in, keeps units where accepted orders put them, and reports each step."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from hashyard_agent.cloud_time import clock_note, signed_time_us, usable_keys
from hashyard_agent.enforcement.accepting import lapsed
from hashyard_agent.enforcement.admission import Admission
from hashyard_agent.enforcement.book import Book
from hashyard_agent.enforcement.daily_cap import DailyCap
from hashyard_agent.enforcement.intake import JUDGE_EVERY_S, Intake, Offer
from hashyard_agent.enforcement.leases import TimeMark, TrustedTime
from hashyard_agent.enforcement.local_commands import Answer, LocalCommands
from hashyard_agent.enforcement.model import (
    BUSY_STEPS,
    AgentFacts,
    EnforcementPolicy,
    JournalEntry,
    Step,
    UnitRow,
)
from hashyard_agent.enforcement.orders import Holds, held_back
from hashyard_agent.enforcement.pairs import is_quarantined
from hashyard_agent.enforcement.planning import Planner
from hashyard_agent.enforcement.ports import EnforcementStore, StopSwitch, TrustSource
from hashyard_agent.enforcement.visit import Visitor
from hashyard_agent.errors import SettingsError, StoreError
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import MinerLocator, Outbox, PoolWriter
from hashyard_shared.clock import Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import SiteControl
from hashyard_shared.orders import OrderKind
from hashyard_shared.protocol import SiteSettings, UnitBinding
from hashyard_shared.signing import Envelope, SignatureError

LOG = logging.getLogger(__name__)
TICK_S: Final = 1.0
FAULT_RETRY_S: Final = 60.0
MAX_EVENTS_AT_ONCE: Final = 200
MAX_EVENT_BATCHES: Final = 20
AWAY_SHARE: Final = 4
"""One slot in so many may look for units that were not seen."""
TIME_FACT: Final = "trusted-time"
SETTINGS_FACT: Final = "cloud-settings"
STOP_FACT: Final = "emergency-stop"


class Enforcer:
    """One for each agent. `run` owns all work; the other methods only tell it something and return at once."""

    def __init__(
        self,
        *,
        agent: AgentFacts,
        policy: EnforcementPolicy,
        writers: Mapping[str, PoolWriter],
        locator: MinerLocator,
        locks: MinerLocks,
        trust: TrustSource,
        stop_switch: StopSwitch,
        store: EnforcementStore,
        outbox: Outbox,
        clock: Clock,
        boot_id: str,
    ) -> None:
        """Read the durable state. Errors: `StoreError`."""
        self._agent = agent
        self._policy = policy
        self._locator = locator
        self._trust = trust
        self._stop = stop_switch
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._book = Book(store, clock)
        self._time = TrustedTime(clock, boot_id, _kept_mark(self._book.facts.get(TIME_FACT)))
        self._settings = _kept_settings(self._book.facts.get(SETTINGS_FACT))
        self._offer: Offer | None = None
        self._wake = asyncio.Event()
        self._flight: dict[str, asyncio.Task[None]] = {}
        self._due_s: dict[str, float] = {}
        self._back: set[str] = set()
        self._signer: str | None = None
        self._judge_at_s = 0.0
        self._visitor = Visitor(
            book=self._book,
            policy=policy,
            writers=writers,
            locator=locator,
            locks=locks,
            planner=Planner(self._book, trust, clock),
            clock=clock,
            held=self._held,
        )
        self._admission = Admission(
            book=self._book, policy=policy, writers=writers, locator=locator, clock=clock, held=self._held
        )
        self.cap = DailyCap(self._book, policy, clock, self._unit_ids)
        self._intake = Intake(
            agent=agent,
            cap=self.cap,
            book=self._book,
            source=trust,
            locator=locator,
            time=self._time,
            clock=clock,
            busy=self._flight.__contains__,
        )
        self._commands = LocalCommands(
            book=self._book,
            store=store,
            source=trust,
            time=self._time,
            clock=clock,
            busy=self._flight.__contains__,
            cap=self.cap,
        )

    # -- what others tell it ---------------------------------------------------------------------

    def offer(self, orders: Sequence[Envelope], units: Sequence[UnitBinding], settings: SiteSettings) -> None:
        """A new desired state came: its orders, the site's units, the cloud's settings. Never raises."""
        self._offer = Offer.of(orders, units, settings)
        self._settings = settings
        self._judge_at_s = 0.0
        self._wake.set()

    def cloud_time_seen(self, envelope: Envelope) -> bool:
        """A signed cloud time came; returns whether a pinned key signed it for this agent."""
        try:
            at_us = signed_time_us(envelope, usable_keys(self._trust.trust()), self._agent.agent_id)
        except (SignatureError, SettingsError) as error:
            LOG.warning("a signed time was not accepted: %s", error)
            return False
        self._signer = envelope.key
        if self._time.heard(at_us):
            self._judge_at_s = 0.0
            self._wake.set()
        return True

    def clock_note(self) -> str | None:
        """What a person should know of this machine's clock and the cloud's keys. Errors: `SettingsError`."""
        keys = usable_keys(self._trust.trust())
        return clock_note(self._time.now_us(), self._clock.now_us(), self._signer, keys)

    def miner_seen(self, mac: str) -> None:
        """Discovery or polling saw this miner again: whatever waits for it is tried at once."""
        for row in self._book.units.values():
            if row.mac == mac and row.offline and row.unit_id in self._due_s:
                self._back.add(row.unit_id)
                self._due_s[row.unit_id] = 0.0
                self._wake.set()

    async def assign_pools(self, customer_id: str, actor: str) -> Answer:
        """Write a customer's recorded pools to his units here, as the cloud asks; answers once that is taken.

        Errors: `StoreError`.
        """
        return await self._commands.ask(
            actor, "assign", {"customer": customer_id, "capped": True}, wake=self._wake.set
        )

    def emergency_stop(self, reason: str) -> None:
        """Freeze all writes, now and over restarts, until `emergency_resume`."""
        self._stop.set(reason)
        self._wake.set()

    def emergency_resume(self) -> None:
        """Let writes go on."""
        self._stop.clear()
        self._wake.set()

    def time_at_least_us(self) -> int:
        """The real time is this or later, by what the cloud signed."""
        return self._time.at_least_us()

    @property
    def emergency_stopped(self) -> bool:
        """Whether writes are frozen on site."""
        return self._stop.is_set()

    @property
    def shadow_mode(self) -> bool:
        """Whether nothing is written, by the site's or the cloud's choice."""
        return self._policy.shadow_mode or self._settings.shadow_mode

    def units(self) -> list[UnitRow]:
        """The state of every unit that enforcement touched."""
        return list(self._book.units.values())

    # -- work ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled. Errors: `StoreError` when the durable state cannot be kept."""
        self._due_s = {unit_id: 0.0 for unit_id, row in self._book.units.items() if self._is_watched(row)}
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    # Cleared before looking: what comes in meanwhile wakes the next turn.
                    self._wake.clear()
                    await self.turn(group)
                    await self._rest()
        except ExceptionGroup as stopped:
            store_errors, others = stopped.split(StoreError)
            if store_errors is None or others is not None:
                raise
            # One of them says it; the others are the same disk.
            raise _first(store_errors) from stopped
        finally:
            await self._book.close()

    async def turn(self, group: asyncio.TaskGroup) -> None:
        """Everything that is due now."""
        await self._keep_facts()
        await self._watch_stop()
        self._due_now(await self._commands.take_all(self._offer.by_mac() if self._offer else {}))
        await self._judge()
        await self._lapse()
        self._start_due(group)
        await self._hand_on_events()

    async def _rest(self) -> None:
        now_s = self._clock.monotonic_s()
        waiting = [due_s for unit_id, due_s in self._due_s.items() if unit_id not in self._flight]
        full = len(self._flight) >= self._policy.max_concurrency
        next_s = TICK_S if full or not waiting else min(TICK_S, max(0.0, min(waiting) - now_s))
        if self._offer is not None:
            next_s = min(next_s, max(0.0, self._judge_at_s - now_s))
        try:
            async with asyncio.timeout(next_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _keep_facts(self) -> None:
        mark = self._time.due_mark()
        text = self._settings.model_dump_json()
        facts = {TIME_FACT: mark.text()} if mark else {}
        if self._book.facts.get(SETTINGS_FACT) != text:
            facts[SETTINGS_FACT] = text
        if facts:
            await self._book.note(facts=facts)

    async def _watch_stop(self) -> None:
        state = "on" if self._stop.is_set() else "off"
        if self._book.facts.get(STOP_FACT, "off") == state:
            return
        event = SiteControl(at_us=self._clock.now_us(), control="emergency-stop", value=state, actor="site")
        await self._book.note(
            JournalEntry("emergency-stop", {"state": state}), events=(event,), facts={STOP_FACT: state}
        )
        self._due_now([row.unit_id for row in self._book.units.values() if row.step is Step.READY])

    async def _judge(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._offer is None or now_s < self._judge_at_s:
            return
        try:
            changed, again_s = await self._intake.judge_some(self._offer)
        except SettingsError as error:
            LOG.error("no order can be judged: %s", error)  # noqa: TRY400 - a file to correct, not a fault to trace
            self._judge_at_s = now_s + JUDGE_EVERY_S
            return
        self._due_now(changed)
        self._judge_at_s = now_s + again_s

    async def _lapse(self) -> None:
        """Leases that ran out by the time that is known at least."""
        if self._policy.lapse_policy != "restore":
            return
        bound_us = self._time.at_least_us()
        for row in list(self._book.units.values()):
            over = (
                row.goal is OrderKind.REDIRECT and row.expires_at_us is not None and row.expires_at_us <= bound_us
            )
            if not over or row.unit_id in self._flight:
                continue
            binding = self._offer.bindings.get(row.unit_id) if self._offer else None
            owner = binding.customer_id if binding else None
            data = {"unit_id": row.unit_id, "mac": row.mac, "expired_at_us": row.expires_at_us}
            await self._book.save(lapsed(row, owner), JournalEntry("lease-lapsed", data))
            self._due_now([row.unit_id])

    def _due_now(self, unit_ids: Sequence[str]) -> None:
        for unit_id in unit_ids:
            self._due_s[unit_id] = 0.0

    def _start_due(self, group: asyncio.TaskGroup) -> None:
        now_s = self._clock.monotonic_s()
        due = [u for u, due_s in self._due_s.items() if due_s <= now_s and u not in self._flight]
        away = sum(1 for unit_id in self._flight if self._is_away(self._book.units[unit_id]))
        for unit_id in sorted(due, key=lambda u: _urgency(self._book.units[u], back=u in self._back)):
            if len(self._flight) >= self._policy.max_concurrency:
                return
            row = self._book.units[unit_id]
            if self._is_away(row):
                # Each may take as long as a call may: they must not keep those from their turn that answer.
                away += 1
                if away > max(1, self._policy.max_concurrency // AWAY_SHARE):
                    self._due_s[unit_id] = now_s + TICK_S
                    continue
            wait_s = self._admission.wait_s(row)
            if wait_s > 0:
                self._due_s[unit_id] = now_s + wait_s
                continue
            self._flight[unit_id] = group.create_task(self._visit(row))

    async def _visit(self, row: UnitRow) -> None:
        unit_id = row.unit_id
        try:
            next_s: float | None = await self._visitor.visit(row)
        except SettingsError as error:
            LOG.error("unit %s waits: %s", unit_id, error)  # noqa: TRY400 - a setting to correct, not a fault to trace
            next_s = FAULT_RETRY_S
        except StoreError:
            raise
        except Exception:  # a fault with one unit must not keep the others from their way back
            LOG.exception("unit %s: unexpected fault in step %s", unit_id, row.step)
            next_s = FAULT_RETRY_S
        finally:
            del self._flight[unit_id]
            self._back.discard(unit_id)
            after = self._book.units[unit_id]
            self._admission.done(row, after)
        if next_s is None or not self._is_watched(after):
            self._due_s.pop(unit_id, None)
        else:
            self._due_s[unit_id] = self._clock.monotonic_s() + next_s
        self._wake.set()

    def _unit_ids(self) -> dict[str, str]:
        return {mac: bound[0] for mac, bound in self._offer.by_mac().items()} if self._offer else {}

    def _is_away(self, row: UnitRow) -> bool:
        return row.offline and row.unit_id not in self._back

    def _is_watched(self, row: UnitRow) -> bool:
        return row.goal is not None

    def _held(self, row: UnitRow) -> ErrorCode | None:
        if row.goal is None:
            return None
        identity = self._locator.locate(row.mac)
        offer = self._offer
        holds = Holds(
            emergency_stop=self._stop.is_set(),
            shadow_mode=self.shadow_mode,
            maintenance=bool(row.maintenance) or (bool(row.kept_local) and row.goal is OrderKind.REDIRECT),
            quarantined=identity is not None and is_quarantined(self._book.pairs, identity),
            assigned=row.to_recorded and not row.episode,
            redirect_enabled=self._settings.redirect_enabled or row.origin == "local",
            shared_mac=self._locator.duplicated(row.mac) or (offer is not None and row.mac in offer.shared_macs),
        )
        return held_back(row.goal, holds)

    async def _hand_on_events(self) -> None:
        """Events go to the outbox in order; a crash delivers some twice, which the cloud tells apart."""
        for _ in range(MAX_EVENT_BATCHES):
            last, events = await self._book.call(lambda: self._store.events(MAX_EVENTS_AT_ONCE))
            if not events:
                return
            self._outbox.put_events(events)
            await self._book.call(partial(self._store.forget_events, last))


def _urgency(row: UnitRow, *, back: bool) -> tuple[int, int]:
    """Who comes first: who was away and is `back`, then the way back to the customer before the way there.

    Within either, a write that was sent is read back before the next is begun, and both come before the later
    confirmations, of which there are many.
    """
    restore = row.goal is OrderKind.RESTORE
    if back:
        return (0 if restore else 1, row.step_at_us)
    if row.step in {Step.WRITING, Step.READ_BACK}:
        return (2 if restore else 5, row.step_at_us)
    if row.step is Step.READY:
        return ((3 if row.offline else 4) if restore else 6, row.sequence)
    return (7 if row.step in BUSY_STEPS else 8, row.step_at_us)


def _first(group: BaseExceptionGroup[StoreError]) -> StoreError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, StoreError) else StoreError(str(error))


def _kept_mark(text: str | None) -> TimeMark | None:
    if text is None:
        return None
    try:
        return TimeMark.parse(text)
    except ValueError as error:
        LOG.warning("the kept time cannot be read, no new redirect begins before the cloud is heard: %s", error)
        return None


def _kept_settings(text: str | None) -> SiteSettings:
    try:
        return SiteSettings.model_validate(json.loads(text)) if text else SiteSettings()
    except ValueError as error:
        LOG.warning("the kept settings of the cloud cannot be read and are the defaults now: %s", error)
        return SiteSettings()
