"""What an agent says of itself and its devices: health, gaps, details. Other features have sinks of their own."""

from collections.abc import Sequence

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.events import EventSink
from hashyard_shared.events import Event, Gap, Health, MinerDetails


class AgentEvents:
    """The sink for health, gap and miner-details."""

    async def apply(self, tx: Transaction, agent: AgentRow, origin: tuple[int, int, int], event: Event) -> None:
        organisation_id = agent.organisation_id
        if isinstance(event, Health):
            await tx.agents.set_health(organisation_id, agent.agent_id, event.at_us, event.model_dump_json())
        elif isinstance(event, Gap):
            await tx.agents.add_gap(agent, *origin, event)
        elif isinstance(event, MinerDetails):
            details = event.model_dump_json()
            await tx.miners.set_details(organisation_id, event.miner_id, event.at_us, details)


class EventSinks:
    """All sinks, one after the other."""

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self._sinks = sinks

    async def apply(self, tx: Transaction, agent: AgentRow, origin: tuple[int, int, int], event: Event) -> None:
        for sink in self._sinks:
            await sink.apply(tx, agent, origin, event)
