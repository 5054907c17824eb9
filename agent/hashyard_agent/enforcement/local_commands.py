"""What a technician orders on site. It needs no cloud and no signature: whoever may write the file is on site.

| kind | arguments |
|---|---|
| `redirect` | `mac`, `pool` (a pinned reference), `hours` |
| `restore` | `mac`; redirects of the unit then wait, so that no standing order takes it away again |
| `maintenance` | `mac`, `reason` ("" ends it, and what a local restore holds) |
| `confirm` | `units`: may be redirected over the daily cap |
| `check` | `mac`: look at the unit now |
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from hashyard_agent.enforcement.accepting import fresh, local
from hashyard_agent.enforcement.book import Book
from hashyard_agent.enforcement.intake import CONFIRMED_FACT
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
    ) -> None:
        self._book = book
        self._store = store
        self._source = source
        self._time = time
        self._clock = clock
        self._busy = busy
        self._kinds: dict[str, Callable[[LocalCommand, UnitRow], UnitRow]] = {
            "redirect": self._redirect,
            "restore": self._restore,
            "maintenance": self._maintenance,
            "check": lambda _, row: row,
        }

    async def take_all(self, bindings: dict[str, tuple[str, str, str]]) -> list[str]:
        """Take what waits; returns the units to look at. `bindings`: MAC -> unit id, customer id, label."""
        changed: list[str] = []
        for command in await self._book.call(lambda: self._store.commands(MAX_COMMANDS_AT_ONCE)):
            try:
                taken = await self._take(command, bindings)
            except (RefusedError, SettingsError, MalformedIdError, KeyError, ValueError) as error:
                await self._finish(command, f"refused: {error}")
                continue
            if taken is not None:
                changed.extend(taken)
                await self._finish(command, DONE)
        return changed

    async def _take(self, command: LocalCommand, bindings: dict[str, tuple[str, str, str]]) -> list[str] | None:
        if command.kind == "confirm":
            return await self._confirm(command)
        act = self._kinds.get(command.kind)
        if act is None:
            raise RefusedError(ErrorCode.UNSUPPORTED, f"there is no command {command.kind!r}")
        row = self._unit(normalise_mac(str(command.arguments["mac"])), bindings)
        if self._busy(row.unit_id):
            return None
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
        return [row.unit_id]

    def _unit(self, mac: str, bindings: dict[str, tuple[str, str, str]]) -> UnitRow:
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

    async def _confirm(self, command: LocalCommand) -> list[str]:
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
        return []

    async def _finish(self, command: LocalCommand, result: str) -> None:
        at_us = self._clock.now_us()
        await self._book.call(lambda: self._store.finish_command(command.command_id, at_us, result))
