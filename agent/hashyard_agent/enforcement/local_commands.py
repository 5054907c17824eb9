"""What a technician orders on site. It needs no cloud and no signature: whoever may write the file is on site.

| kind | arguments |
|---|---|
| `redirect` | `mac`, `pool` (a pinned reference), `hours` |
| `restore` | `mac`; redirects of the unit then wait, so that no standing order takes it away again |
| `maintenance` | `mac`, `reason` ("" ends it, and what a local restore holds) |
| `confirm` | `units`: may be redirected over the daily cap |
| `check` | `mac`: look at the unit now |
| `assign` | `customer`, `macs` (all of his units without), `capped`: write his recorded pools, by the daily cap |

`assign` may also come from the cloud: it names a record of this site, and can lead nowhere else.
"""

import json
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hashyard_agent.enforcement.accepting import assigned, fresh, local
from hashyard_agent.enforcement.book import Book
from hashyard_agent.enforcement.daily_cap import CONFIRMED_FACT, DailyCap
from hashyard_agent.enforcement.leases import TrustedTime
from hashyard_agent.enforcement.model import JournalEntry, UnitRow
from hashyard_agent.enforcement.ports import EnforcementStore, LocalCommand, TrustSource
from hashyard_agent.errors import RefusedError, SettingsError
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import SiteControl
from hashyard_shared.ids import MalformedIdError, normalise_mac
from hashyard_shared.orders import OrderKind

MAX_COMMANDS_AT_ONCE: Final = 50
MAX_HOURS: Final = 24 * 31
DONE: Final = "taken"
KINDS: Final = ("redirect", "restore", "maintenance", "confirm", "check", "assign")
"""The kinds of commands that are taken here; others are other people's."""

Bindings = dict[str, tuple[str, str, str]]
"""MAC -> unit id, customer id ("" for none) and label."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command: `code` when it was refused; `text` is for a person."""

    text: str
    code: ErrorCode | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The units to look at now; `text` None while some of the command waits for a unit that is being visited."""

    units: list[str]
    text: str | None = DONE


class LocalCommands:
    """Takes the commands that wait in the store. A unit being visited is tried again at the next turn."""

    def __init__(
        self,
        *,
        book: Book,
        store: EnforcementStore,
        source: TrustSource,
        time: TrustedTime,
        clock: Clock,
        busy: Callable[[str], bool],
        cap: DailyCap,
    ) -> None:
        self._book = book
        self._store = store
        self._source = source
        self._time = time
        self._clock = clock
        self._busy = busy
        self._cap = cap
        self._asked: dict[int, Future[Answer]] = {}
        self._kinds: dict[str, Callable[[LocalCommand, UnitRow], UnitRow]] = {
            "redirect": self._redirect,
            "restore": self._restore,
            "maintenance": self._maintenance,
            "check": lambda _, row: row,
        }

    async def ask(self, actor: str, kind: str, arguments: dict[str, Any], wake: Callable[[], None]) -> Answer:
        """Leave a command from within the agent, and wait until it was taken. Errors: `StoreError`."""
        at_us = self._clock.now_us()
        number: int = await self._book.call(lambda: self._store.add_command(at_us, actor, kind, arguments))
        answer = self._asked[number] = Future()
        wake()
        try:
            return await answer
        finally:
            del self._asked[number]

    async def take_all(self, bindings: Bindings) -> list[str]:
        """Take what waits; returns the units to look at."""
        changed: list[str] = []
        for command in await self._book.call(lambda: self._store.commands(MAX_COMMANDS_AT_ONCE, KINDS)):
            try:
                taken = await self._take(command, bindings)
            except (RefusedError, SettingsError) as error:
                await self._finish(command, Answer(f"refused: {error}", error.code))
                continue
            except (MalformedIdError, KeyError, ValueError) as error:
                await self._finish(command, Answer(f"refused: {error}", ErrorCode.MALFORMED))
                continue
            changed.extend(taken.units)
            if taken.text is not None:
                await self._finish(command, Answer(taken.text))
        return changed

    async def _take(self, command: LocalCommand, bindings: Bindings) -> Taken:
        if command.kind == "confirm":
            return await self._confirm(command)
        if command.kind == "assign":
            return await self._assign(command, bindings)
        act = self._kinds[command.kind]
        mac = normalise_mac(str(command.arguments["mac"]))
        row = self._unit(mac, bindings)
        if self._busy(row.unit_id):
            return Taken([], None)
        owner = bindings[mac][1] if mac in bindings else ""
        if command.kind == "restore" and row.episode and owner not in {"", row.customer_id}:
            raise RefusedError(
                ErrorCode.REASSIGNED,
                f"{row.label or row.unit_id} belongs to another customer since it was redirected; send it to that "
                f"one's recorded pools: hashyard-agent pools assign {owner} --unit {mac}",
            )
        entry = JournalEntry(
            "local-command",
            {
                "unit_id": row.unit_id,
                "mac": row.mac,
                "actor": command.actor,
                "command": command.kind,
                "arguments": command.arguments,
            },
        )
        event = SiteControl(
            at_us=self._clock.now_us(), control=command.kind, value=row.unit_id, actor=command.actor[:128]
        )
        await self._book.save(act(command, row), entry, events=(event,))
        return Taken([row.unit_id])

    async def _assign(self, command: LocalCommand, bindings: Bindings) -> Taken:
        customer = str(command.arguments["customer"])
        if self._source.recorded().customer(customer) is None:
            raise RefusedError(
                ErrorCode.POOLS_NOT_RECORDED, f"no pools are recorded on this site for customer {customer}"
            )
        named = {normalise_mac(str(mac)) for mac in command.arguments.get("macs", ())}
        rows = self._units_of(customer, named, bindings)
        new = [row for row in rows if row.assigned_us < command.at_us]
        if command.arguments.get("capped") and len(new) == len(rows):
            await self._count(command, customer, [row.mac for row in new if row.goal is not OrderKind.REDIRECT])
        free = [row for row in new if not self._busy(row.unit_id)]
        for row in free:
            data = {"unit_id": row.unit_id, "mac": row.mac, "customer_id": customer, "actor": command.actor}
            await self._book.save(assigned(row, customer, command.at_us), JournalEntry("pools-assigned", data))
        units = [row.unit_id for row in free]
        if len(free) < len(new):
            return Taken(units, None)
        kept = sum(1 for row in rows if self._book.units[row.unit_id].goal is OrderKind.REDIRECT)
        later = f"; {kept} are redirected and come back to them" if kept else ""
        return Taken(units, f"{DONE}: {len(rows) - kept} units get the recorded pools now{later}")

    async def _count(self, command: LocalCommand, customer: str, macs: Sequence[str]) -> None:
        """Asked for from the cloud: by the daily cap, and told as what was done on site is told."""
        refusal = self._cap.room(macs)
        if refusal is not None:
            raise RefusedError(ErrorCode.ORDER_OVER_DAILY_CAP, refusal)
        await self._cap.note(macs)
        told = SiteControl(
            at_us=self._clock.now_us(), control="pools-assigned", value=customer, actor=command.actor[:128]
        )
        await self._book.note(events=(told,))

    def _units_of(self, customer: str, named: set[str], bindings: Bindings) -> list[UnitRow]:
        """The customer's units here. One that is redirected for a former owner moves only when it is named."""
        strangers = [mac for mac in named if bindings.get(mac, ("", "", ""))[1] != customer]
        if strangers:
            raise RefusedError(ErrorCode.REASSIGNED, f"{strangers[0]} is no unit of customer {customer}")
        own = [self._unit(mac, bindings) for mac, bound in bindings.items() if bound[1] == customer]
        if named:
            rows = [row for row in own if row.mac in named]
        else:
            rows = [row for row in own if not row.episode or row.customer_id == customer]
        if not rows:
            raise RefusedError(ErrorCode.NOT_FOUND, f"no unit of customer {customer} waits for its pools here")
        return rows

    def _unit(self, mac: str, bindings: Bindings) -> UnitRow:
        rows = [row for row in self._book.units.values() if row.mac == mac]
        # A row that is left behind by a swapped board is not the unit's own.
        own = next((row for row in rows if "@" not in row.unit_id), None) or next(iter(rows), None)
        if own is not None:
            return own
        unit_id, customer_id, label = bindings.get(mac, (f"local:{mac}", "", mac.replace(":", "")))
        return fresh(unit_id, mac, customer_id, label)

    def _redirect(self, command: LocalCommand, row: UnitRow) -> UnitRow:
        reference = str(command.arguments["pool"])
        if self._source.trust().pool(reference) is None:
            raise RefusedError(ErrorCode.ORDER_POOL_NOT_PINNED, f"no holding pool {reference!r} is pinned here")
        hours = float(command.arguments.get("hours", 72))
        if not 0 < hours <= MAX_HOURS:
            raise RefusedError(ErrorCode.MALFORMED, f"hours must be above 0 and at most {MAX_HOURS}")
        # Counted from the same lower bound that the lease runs on, so the machine's own clock plays no part.
        expires_at_us = self._time.at_least_us() + int(hours * 3600 * US_PER_S)
        row = replace(
            row, maintenance="", kept_local="", redirected_at_us=row.redirected_at_us or self._clock.now_us()
        )
        return local(row, OrderKind.REDIRECT, holding_pool=reference, expires_at_us=expires_at_us)

    def _restore(self, command: LocalCommand, row: UnitRow) -> UnitRow:
        row = replace(row, kept_local=f"restored on site by {command.actor}"[:200])
        return local(row, OrderKind.RESTORE, holding_pool=None, expires_at_us=None)

    def _maintenance(self, command: LocalCommand, row: UnitRow) -> UnitRow:
        reason = str(command.arguments.get("reason", ""))[:200]
        return replace(row, maintenance=reason, kept_local="" if not reason else row.kept_local)

    async def _confirm(self, command: LocalCommand) -> Taken:
        units = [str(unit) for unit in command.arguments["units"]]
        known: list[Any] = json.loads(self._book.facts.get(CONFIRMED_FACT, "[]"))
        value = json.dumps(sorted({*known, *units}))
        entry = JournalEntry("local-command", {"actor": command.actor, "command": "confirm", "units": units})
        event = SiteControl(
            at_us=self._clock.now_us(),
            control="daily-cap-confirmed",
            value=f"{len(units)} units",
            actor=command.actor[:128],
        )
        await self._book.note(entry, events=(event,), facts={CONFIRMED_FACT: value})
        return Taken([])

    async def _finish(self, command: LocalCommand, answer: Answer) -> None:
        at_us = self._clock.now_us()
        await self._book.call(lambda: self._store.finish_command(command.command_id, at_us, answer.text))
        waiting = self._asked.get(command.command_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
