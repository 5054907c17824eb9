"""The cloud's copy of the agents' journals: each line is checked against the chain when it comes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import SYSTEM
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.journal import JournalHeadRow
from hashyard_shared.clock import Clock
from hashyard_shared.journal import GENESIS, JournalLine, first_break

VERIFY_STEP: Final = 1_000


class Journals:
    """Appends lines that follow; a line that does not is a break, kept in view and never papered over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def append(self, tx: Transaction, agent: AgentRow, lines: Sequence[JournalLine]) -> None:
        """Take lines in. Those that are here already are compared; after a break nothing is appended."""
        head = await tx.journal.head(agent.organisation_id, agent.agent_id) or self._empty(agent)
        if head.broken_at is not None:
            return
        known = [line for line in lines if line.index < head.lines]
        for line in known:
            stored = await tx.journal.line(agent.organisation_id, agent.agent_id, line.index)
            if stored is None or stored.hash != line.hash:
                await self._broken(tx, agent, head, line.index)
                return
        fresh = [line for line in lines if line.index >= head.lines]
        broken_at = first_break(fresh, head.hash, head.lines)
        whole = fresh if broken_at is None else fresh[: broken_at - head.lines]
        now_us = self._clock.now_us()
        await tx.journal.append(agent.organisation_id, agent.agent_id, whole, now_us)
        if whole:
            head = replace(head, lines=whole[-1].index + 1, hash=whole[-1].hash, updated_us=now_us)
            await tx.journal.put_head(head)
        if broken_at is not None:
            await self._broken(tx, agent, head, broken_at)

    def _empty(self, agent: AgentRow) -> JournalHeadRow:
        return JournalHeadRow(
            organisation_id=agent.organisation_id,
            agent_id=agent.agent_id,
            lines=0,
            hash=GENESIS,
            updated_us=self._clock.now_us(),
            broken_at=None,
            broken_us=None,
            published_us=None,
        )

    async def _broken(self, tx: Transaction, agent: AgentRow, head: JournalHeadRow, index: int) -> None:
        now_us = self._clock.now_us()
        await tx.journal.put_head(replace(head, broken_at=index, broken_us=now_us))
        text = f"The journal of agent {agent.name} does not follow at line {index}: changed, or a line is missing"
        await activity.record(
            tx,
            now_us,
            agent.organisation_id,
            SYSTEM,
            "journal.broken",
            text,
            object_kind="agent",
            object_id=agent.agent_id,
        )


async def verify(tx: Transaction, organisation_id: str, agent_id: str) -> int | None:
    """Check the stored copy anew; the index of the first line that does not follow, or None."""
    start, previous = 0, GENESIS
    while lines := await tx.journal.lines(organisation_id, agent_id, start, VERIFY_STEP):
        broken = first_break(lines, previous, start)
        if broken is not None:
            return broken
        start, previous = lines[-1].index + 1, lines[-1].hash
    return None
