"""The desired state: composed whole for each agent, delivered by long-poll."""

import asyncio
from collections import defaultdict
from typing import Final

from hashyard_cloud.errors import NotFoundError, UnauthenticatedError
from hashyard_cloud.services.agents import refuse_revoked, signed_time
from hashyard_cloud.services.ports.agent_trust import CurrentOrders, Signer
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.equipment import BoundUnit
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.protocol import (
    MAX_WAIT_S,
    TASK_ROTATE_KEY,
    DesiredState,
    SiteSettings,
    Task,
    UnitBinding,
)

WATCH_INTERVAL_S: Final = 0.2
SEEN_INTERVAL_US: Final = 10 * US_PER_S
Site = tuple[str, str]


class Waiters:
    """Who waits for a change of which site. `wake` is called after the commit that bumped its version."""

    def __init__(self) -> None:
        self._waiting: defaultdict[Site, set[asyncio.Future[None]]] = defaultdict(set)

    def wake(self, organisation_id: str, site_id: str) -> None:
        """Let everybody who waits for this site look again."""
        for future in self._waiting.pop((organisation_id, site_id), ()):
            if not future.done():
                future.set_result(None)

    def register(self, site: Site) -> asyncio.Future[None]:
        """Register before reading the version, so that no change falls in between."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[site].add(future)
        return future

    def forget(self, site: Site, future: asyncio.Future[None]) -> None:
        """Stop waiting."""
        self._waiting[site].discard(future)
        if not self._waiting[site]:
            del self._waiting[site]

    def sites(self) -> list[Site]:
        """Sites that somebody waits for."""
        return list(self._waiting)


class Desired:
    """Answers long-polls. `watch` also notices what other processes changed."""

    def __init__(
        self, database: Database, clock: Clock, signer: Signer, orders: CurrentOrders, waiters: Waiters
    ) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer
        self._orders = orders
        self._waiters = waiters

    async def current(
        self, agent: AgentRow, known_etag: str | None, wait_s: float
    ) -> tuple[DesiredState, str] | None:
        """The document and its ETag, or None when nothing differs from `known_etag` for `wait_s`."""
        site = (agent.organisation_id, agent.site_id)
        deadline_s = self._clock.monotonic_s() + min(max(wait_s, 0), MAX_WAIT_S)
        await self._seen(agent)
        while True:
            changed = self._waiters.register(site)
            try:
                async with self._database.reading() as tx:
                    fresh = await tx.agents.get(agent.organisation_id, agent.agent_id) or agent
                    refuse_revoked(fresh)
                    if fresh.fingerprint != agent.fingerprint:
                        # What follows is meant for the new key; whoever waits here was let in by the old one.
                        raise UnauthenticatedError("The agent's key was changed; get a token with the new one.")
                    version = await tx.desired.version(*site)
                    etag = _etag(fresh, version)
                    if etag != known_etag:
                        return await self._compose(tx, fresh, version), etag
                left_s = deadline_s - self._clock.monotonic_s()
                if left_s <= 0:
                    return None
                await asyncio.wait({changed}, timeout=left_s)
            finally:
                self._waiters.forget(site, changed)

    async def watch(self) -> None:
        """Runs until cancelled: wakes those whose site was changed by another process."""
        known: dict[Site, int] = {}
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            sites = self._waiters.sites()
            if not sites:
                continue
            async with self._database.reading() as tx:
                versions = await tx.desired.versions(sites)
            for site, version in versions.items():
                # A site that is new here may have changed before this first look.
                if known.get(site) != version:
                    self._waiters.wake(*site)
            known = versions

    async def _seen(self, agent: AgentRow) -> None:
        now_us = self._clock.now_us()
        if agent.last_seen_us is None or now_us - agent.last_seen_us > SEEN_INTERVAL_US:
            async with self._database.transaction() as tx:
                await tx.agents.seen(agent.organisation_id, agent.agent_id, now_us)

    async def _compose(self, tx: Transaction, agent: AgentRow, version: int) -> DesiredState:
        organisation_id, site_id = agent.organisation_id, agent.site_id
        organisation = await tx.organisations.get(organisation_id)
        site = await tx.sites.get(organisation_id, site_id)
        if organisation is None or site is None:
            raise NotFoundError
        # Two boxes that claim to be one: neither gets orders until a person has looked; telemetry goes on.
        frozen = agent.clone_suspected_at_us is not None
        orders = [] if frozen else await self._orders.current_orders(tx, organisation_id, site_id)
        tasks = [] if frozen else await self._orders.tasks(tx, organisation_id, site_id)
        if agent.key_asked_at_us is not None:
            # Also of a suspected copy: a new key is what tells the two apart.
            tasks = [*tasks, Task(task_id=f"{TASK_ROTATE_KEY}-{agent.key_asked_at_us}", kind=TASK_ROTATE_KEY)]
        bound = await tx.equipment.bound(organisation_id, site_id=site_id)
        return DesiredState(
            version=version,
            site_id=site_id,
            settings=SiteSettings(
                poll_interval_s=site.poll_interval_s,
                discovery_interval_s=site.discovery_interval_s,
                shadow_mode=site.shadow_mode,
                redirect_enabled=organisation.redirect_enabled,
            ),
            units=[binding for one in bound if (binding := _binding(one)) is not None],
            orders=orders,
            tasks=tasks,
            key_rotations=await self._signer.rotations(tx, organisation_id),
            time=await signed_time(tx, self._signer, agent, self._clock.now_us()),
        )


def _etag(agent: AgentRow, version: int) -> str:
    frozen = "-frozen" if agent.clone_suspected_at_us is not None else ""
    return f'"{version}-{agent.epoch}{frozen}"'


def _binding(bound: BoundUnit) -> UnitBinding | None:
    """A unit without a MAC is not bound to a device yet."""
    if bound.unit.mac is None:
        return None
    return UnitBinding(
        unit_id=bound.unit.unit_id,
        label=bound.unit.label,
        mac=bound.unit.mac,
        customer_id=bound.assignment.customer_id if bound.assignment else None,
        customer_name=bound.customer_name,
    )
