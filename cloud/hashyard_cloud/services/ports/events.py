"""Where an agent's events go. Each feature takes the kinds it knows and ignores the rest."""

from typing import Protocol

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_shared.events import Event


class EventSink(Protocol):
    """Applies one event in the transaction that marks its batch as done."""

    async def apply(self, tx: Transaction, agent: AgentRow, origin: tuple[int, int, int], event: Event) -> None:
        """`origin` is (epoch, seq, place in the batch). Must be idempotent: a batch may be applied again."""
        ...
