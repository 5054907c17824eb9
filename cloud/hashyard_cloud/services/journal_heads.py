"""Tells customers daily how far the enforcement journal is, because the host owns both of its ends."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from hashyard_cloud.domain.dunning import NoticeKind
from hashyard_cloud.services import notice_texts, notices
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.journal import JournalHeadRow, PublicationRow
from hashyard_shared.clock import US_PER_S, Clock, utc

RECENT_US: Final = 90 * 86_400 * US_PER_S
"""How long after a case's end its customer is still sent the head; the portal shows it to every customer."""


class JournalHeads:
    """Publishes each agent's head once a UTC day to the customers who have machines at its site."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self) -> int:
        """One round over all organisations; how many customers were told."""
        async with self._database.reading() as tx:
            ids = [row.organisation_id for row in await tx.organisations.all()]
        told = 0
        for organisation_id in ids:
            async with self._database.reading() as tx:
                due = await self._due(tx, organisation_id)
            for customer_id, heads in due.items():
                async with self._database.transaction() as tx:
                    await self._publish(tx, organisation_id, customer_id, heads)
                    told += 1
        return told

    async def _due(self, tx: Transaction, organisation_id: str) -> Mapping[str, Sequence[JournalHeadRow]]:
        heads = [row for row in await tx.journal.heads(organisation_id) if row.lines]
        if not heads:
            return {}
        day = self._day()
        done = {
            (row.customer_id, row.agent_id)
            for row in await tx.journal.publications(organisation_id)
            if row.day == day
        }
        sites = {agent.agent_id: agent.site_id for agent in await tx.agents.all(organisation_id)}
        customers: defaultdict[str, set[str]] = defaultdict(set)
        for bound in await tx.equipment.bound(organisation_id):
            if bound.assignment is not None:
                customers[bound.unit.site_id].add(bound.assignment.customer_id)
        for row in await tx.redirects.units(organisation_id):
            customers[row.site_id].add(row.customer_id)
        due: defaultdict[str, list[JournalHeadRow]] = defaultdict(list)
        for head in heads:
            for customer_id in sorted(customers[sites.get(head.agent_id, "")]):
                if (customer_id, head.agent_id) not in done:
                    due[customer_id].append(head)
        return due

    async def _publish(
        self, tx: Transaction, organisation_id: str, customer_id: str, heads: Sequence[JournalHeadRow]
    ) -> None:
        now_us = self._clock.now_us()
        cases = await tx.defaults.cases(organisation_id, customer_id=customer_id)
        recent = any(case.closed_us is None or case.closed_us > now_us - RECENT_US for case in cases)
        customer = await tx.customers.get(organisation_id, customer_id)
        notice_id = None
        if recent and customer is not None:
            names = {agent.agent_id: agent.name for agent in await tx.agents.all(organisation_id)}
            told = [(names.get(head.agent_id, head.agent_id), head.lines, head.hash) for head in heads]
            words = notice_texts.journal_head(self._day(), told)
            about = notices.About()
            notice = await notices.send(tx, now_us, customer, NoticeKind.JOURNAL_HEAD, about, *words)
            notice_id = notice.notice_id
        for head in heads:
            await tx.journal.add_publication(
                PublicationRow(
                    organisation_id=organisation_id,
                    customer_id=customer_id,
                    agent_id=head.agent_id,
                    day=self._day(),
                    lines=head.lines,
                    hash=head.hash,
                    published_us=now_us,
                    notice_id=notice_id,
                )
            )

    def _day(self) -> str:
        return utc(self._clock.now_us()).strftime("%Y-%m-%d")
