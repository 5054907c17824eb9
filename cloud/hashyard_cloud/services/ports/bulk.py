"""Actions on many rows: what was asked, how far it is, what became of each row, and what was before."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class BulkKind(StrEnum):
    """What is done to each row. Adoption is about found miners, the others about units."""

    ADOPT = "adopt"
    ASSIGN = "assign"
    STATUS = "status"
    MOVE = "move"


class BulkState(StrEnum):
    """An action waits for its confirmation, is worked off, and may be undone for a while."""

    ASKED = "asked"
    RUNNING = "running"
    DONE = "done"
    UNDONE = "undone"


class RowState(StrEnum):
    """What became of a row."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRow:
    """One action. `target` is the contract, status or site it is about, or the prefix of new labels."""

    bulk_id: str
    organisation_id: str
    kind: BulkKind
    state: BulkState
    target: str
    actor_id: str
    actor_name: str
    created_us: int
    worked_us: int | None
    finished_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkItemRow:
    """One row of an action. `before` is what undoing needs, as JSON; `after_us` tells whether it changed since."""

    bulk_id: str
    organisation_id: str
    position: int
    object_id: str
    label: str
    state: RowState
    text: str
    before: str
    after_us: int | None


class BulkStore(Protocol):
    """Actions and their rows."""

    async def add(self, row: BulkRow, items: Sequence[BulkItemRow]) -> None: ...

    async def get(self, organisation_id: str, bulk_id: str) -> BulkRow | None: ...

    async def update(self, row: BulkRow) -> None: ...

    async def items(
        self, organisation_id: str, bulk_id: str, *, state: RowState | None = None, limit: int, offset: int = 0
    ) -> list[BulkItemRow]:
        """In their order; of one state or of all."""
        ...

    async def counts(self, organisation_id: str, bulk_id: str) -> dict[RowState, int]:
        """How many rows are in each state."""
        ...

    async def put_items(self, rows: Sequence[BulkItemRow]) -> None:
        """Rewrite state, text, label, object, before and time of these rows."""
        ...

    async def recent(self, organisation_id: str, limit: int) -> list[BulkRow]:
        """Actions that were begun, newest first."""
        ...

    async def drop_before(self, before_us: int) -> None:
        """Forget actions that were asked for before this."""
        ...
