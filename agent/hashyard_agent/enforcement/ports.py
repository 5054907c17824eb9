"""What enforcement needs from outside besides miners: its durable store, the site's trust, the emergency stop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hashyard_agent.enforcement.model import Change, PairRow, SnapshotRow, UnitRow
from hashyard_agent.trust import RecordedPools, Trust
from hashyard_shared.events import Event
from hashyard_shared.journal import JournalLine


@dataclass(frozen=True, slots=True)
class LocalCommand:
    """Something a technician asked for on site. `arguments` is JSON."""

    command_id: int
    at_us: int
    actor: str
    kind: str
    arguments: dict[str, Any]


class EnforcementStore(Protocol):
    """The durable state. Errors: `StoreError`. Calls block; a `commit` is on disk when it returns."""

    def units(self) -> list[UnitRow]:
        """All units that enforcement ever touched."""
        ...

    def pairs(self) -> list[PairRow]:
        """What is known of each model and firmware."""
        ...

    def facts(self) -> dict[str, str]:
        """Small named values."""
        ...

    def snapshot(self, snapshot_id: str) -> SnapshotRow | None:
        """A snapshot by its id."""
        ...

    def commit(self, changes: Sequence[Change]) -> None:
        """Write these changes, in order, in one transaction; journal lines are chained and become events."""
        ...

    def events(self, limit: int) -> tuple[int, list[Event]]:
        """The oldest events not handed on yet, and the number of the last of them."""
        ...

    def forget_events(self, upto: int) -> None:
        """These and all before them are in the outbox now."""
        ...

    def add_command(self, at_us: int, actor: str, kind: str, arguments: dict[str, Any]) -> int:
        """Leave a command; returns its number."""
        ...

    def commands(self, limit: int, kinds: Sequence[str]) -> list[LocalCommand]:
        """Local commands of these kinds that nobody has taken yet, oldest first."""
        ...

    def finish_command(self, command_id: int, at_us: int, result: str) -> None:
        """The command was taken; `result` is what the technician is told."""
        ...

    def journal(self, start: int, limit: int) -> list[JournalLine]:
        """Lines of the journal from this index on."""
        ...


class TrustSource(Protocol):
    """The trust document, read again when it was changed on site. Errors: `SettingsError`."""

    def trust(self) -> Trust:
        """The document as it is now."""
        ...

    def recorded(self) -> RecordedPools:
        """Customers' recorded pools; empty when none are recorded."""
        ...


class StopSwitch(Protocol):
    """The emergency stop. It works without the cloud and outlives a restart."""

    def is_set(self) -> bool:
        """Whether writes are frozen."""
        ...

    def set(self, reason: str) -> None:
        """Freeze writes."""
        ...

    def clear(self) -> None:
        """Let writes go on."""
        ...
