"""What people asked of miners from the cloud: light, restart, and the customer's recorded pools."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class CommandKind(StrEnum):
    """What was asked."""

    LIGHT_ON = "light-on"
    LIGHT_OFF = "light-off"
    REBOOT = "reboot"
    ASSIGN_POOLS = "assign-pools"

    @property
    def label(self) -> str:
        """As people read it."""
        return _LABELS[self]


_LABELS = {
    CommandKind.LIGHT_ON: "Light on",
    CommandKind.LIGHT_OFF: "Light off",
    CommandKind.REBOOT: "Restart",
    CommandKind.ASSIGN_POOLS: "Write the recorded pools",
}


class CommandState(StrEnum):
    """`done` only when the agent saw that it happened; `expired` when nobody answered in time."""

    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """One command to one miner, or to a site for one customer. Kept as `asked` until an agent answers."""

    command_id: str
    organisation_id: str
    site_id: str
    kind: CommandKind
    unit_id: str | None
    label: str
    miner_id: str | None
    customer_id: str | None
    asked_us: int
    asked_by: str
    expires_us: int
    state: CommandState
    code: str | None
    detail: str
    ended_us: int | None

    def state_at(self, now_us: int) -> CommandState:
        """The state now: what nobody answered in time is expired."""
        over = self.state is CommandState.ASKED and self.expires_us <= now_us
        return CommandState.EXPIRED if over else self.state


class CommandsStore(Protocol):
    """Read and write commands."""

    async def add(self, rows: Sequence[CommandRow]) -> None: ...

    async def get(self, organisation_id: str, command_id: str) -> CommandRow | None: ...

    async def update(self, row: CommandRow) -> None: ...

    async def open(self, organisation_id: str, site_id: str, now_us: int) -> list[CommandRow]:
        """Asked of this site, not answered and not expired; oldest first."""
        ...

    async def newest(
        self,
        organisation_id: str,
        limit: int,
        *,
        unit_id: str | None = None,
        customer_id: str | None = None,
        before_id: str | None = None,
    ) -> list[CommandRow]:
        """Newest first; from before `before_id` on."""
        ...
