"""Agents in the relational store."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.agents import AgentRow, GapRow, NewAgent
from hashyard_cloud.storage.rows import values
from hashyard_cloud.storage.tables.agents import AGENT_CHALLENGES, AGENT_GAPS, AGENT_TOKENS, AGENTS
from hashyard_cloud.storage.upserts import insert_or_ignore
from hashyard_shared.events import Gap


def _row(record: Row[Any]) -> AgentRow:
    return AgentRow(**record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so


class AgentsStore:
    """SQL for agents; implements `services.ports.agents.AgentsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, organisation_id: str, new: NewAgent) -> AgentRow:
        query = insert(AGENTS).values(organisation_id=organisation_id, **values(new)).returning(AGENTS)
        return _row((await self._connection.execute(query)).one())

    async def re_enrol(self, organisation_id: str, new: NewAgent) -> AgentRow:
        fresh = {"revoked_at_us": None, "revoked_reason": None, "clone_suspected_at_us": None}
        nonces = {"sync_nonce": None, "sync_nonce_previous": None}
        keys = {"former_fingerprint": None, "key_changed_at_us": None, "key_asked_at_us": None}
        await self._update(organisation_id, new.agent_id, {**values(new), **fresh, **nonces, **keys})
        await self._forget_logins(new.agent_id)
        query = select(AGENTS).where(AGENTS.c.agent_id == new.agent_id)
        return _row((await self._connection.execute(query)).one())

    async def by_id(self, agent_id: str) -> AgentRow | None:
        record = (
            await self._connection.execute(select(AGENTS).where(AGENTS.c.agent_id == agent_id))
        ).one_or_none()
        return _row(record) if record else None

    async def by_token(self, token_hash: str, now_us: int) -> AgentRow | None:
        query = (
            select(AGENTS)
            .join(AGENT_TOKENS, AGENT_TOKENS.c.agent_id == AGENTS.c.agent_id)
            .where(AGENT_TOKENS.c.token_hash == token_hash, AGENT_TOKENS.c.expires_at_us > now_us)
        )
        record = (await self._connection.execute(query)).one_or_none()
        return _row(record) if record else None

    async def get(self, organisation_id: str, agent_id: str) -> AgentRow | None:
        agent = await self.by_id(agent_id)
        return agent if agent and agent.organisation_id == organisation_id else None

    async def all(self, organisation_id: str, site_id: str | None = None) -> list[AgentRow]:
        query = select(AGENTS).where(AGENTS.c.organisation_id == organisation_id)
        if site_id is not None:
            query = query.where(AGENTS.c.site_id == site_id)
        records = await self._connection.execute(query.order_by(AGENTS.c.agent_no.desc()))
        return [_row(record) for record in records]

    async def seen(
        self,
        organisation_id: str,
        agent_id: str,
        at_us: int,
        *,
        clock_offset_us: int | None = None,
        protocol: int | None = None,
    ) -> None:
        changes: dict[str, Any] = {"last_seen_us": at_us}
        if clock_offset_us is not None:
            changes["clock_offset_us"] = clock_offset_us
        if protocol is not None:
            changes["protocol"] = protocol
        await self._update(organisation_id, agent_id, changes)

    async def next_epoch(self, organisation_id: str, agent_id: str, above: int) -> int:
        agent = await self.get(organisation_id, agent_id)
        epoch = max(above, agent.epoch if agent else 0) + 1
        await self._update(organisation_id, agent_id, {"epoch": epoch})
        return epoch

    async def rotate_nonce(
        self,
        organisation_id: str,
        agent_id: str,
        nonce: str,
        previous: str | None,
        clone_suspected_at_us: int | None,
    ) -> None:
        changes: dict[str, Any] = {"sync_nonce": nonce, "sync_nonce_previous": previous}
        if clone_suspected_at_us is not None:
            changes["clone_suspected_at_us"] = clone_suspected_at_us
        await self._update(organisation_id, agent_id, changes)

    async def clear_clone(self, organisation_id: str, agent_id: str) -> None:
        await self._update(organisation_id, agent_id, {"clone_suspected_at_us": None})

    async def set_key(self, agent: AgentRow, public_key: str, fingerprint: str, at_us: int) -> None:
        changes = {
            "public_key": public_key,
            "fingerprint": fingerprint,
            "former_fingerprint": agent.fingerprint,
            "key_changed_at_us": at_us,
            "key_asked_at_us": None,
        }
        await self._update(agent.organisation_id, agent.agent_id, changes)
        await self._forget_logins(agent.agent_id)

    async def ask_key(self, organisation_id: str, agent_id: str, at_us: int) -> None:
        await self._update(organisation_id, agent_id, {"key_asked_at_us": at_us})

    async def revoke(self, organisation_id: str, agent_id: str, at_us: int, reason: str) -> bool:
        query = update(AGENTS).where(
            AGENTS.c.organisation_id == organisation_id,
            AGENTS.c.agent_id == agent_id,
            AGENTS.c.revoked_at_us.is_(None),
        )
        done = await self._connection.execute(query.values(revoked_at_us=at_us, revoked_reason=reason))
        return done.rowcount == 1

    async def add_challenge(self, agent_id: str, nonce: str, expires_at_us: int, keep: int) -> None:
        table = AGENT_CHALLENGES
        newest = (
            select(table.c.nonce)
            .where(table.c.agent_id == agent_id)
            .order_by(table.c.expires_at_us.desc(), table.c.nonce)
            .limit(keep - 1)
        )
        stale = delete(table).where(table.c.agent_id == agent_id, table.c.nonce.not_in(newest))
        await self._connection.execute(stale)
        await self._connection.execute(
            insert(table).values(nonce=nonce, agent_id=agent_id, expires_at_us=expires_at_us)
        )

    async def take_challenge(self, agent_id: str, nonce: str, now_us: int) -> bool:
        table = AGENT_CHALLENGES
        query = delete(table).where(
            table.c.nonce == nonce, table.c.agent_id == agent_id, table.c.expires_at_us > now_us
        )
        return (await self._connection.execute(query)).rowcount == 1

    async def add_token(self, agent: AgentRow, token_hash: str, expires_at_us: int, now_us: int) -> None:
        stale = delete(AGENT_TOKENS).where(
            AGENT_TOKENS.c.agent_id == agent.agent_id, AGENT_TOKENS.c.expires_at_us <= now_us
        )
        await self._connection.execute(stale)
        fresh = {
            "token_hash": token_hash,
            "organisation_id": agent.organisation_id,
            "agent_id": agent.agent_id,
            "expires_at_us": expires_at_us,
        }
        await self._connection.execute(insert(AGENT_TOKENS).values(fresh))

    async def set_health(self, organisation_id: str, agent_id: str, at_us: int, health: str) -> None:
        query = update(AGENTS).where(
            AGENTS.c.organisation_id == organisation_id,
            AGENTS.c.agent_id == agent_id,
            AGENTS.c.health_at_us.is_(None) | (AGENTS.c.health_at_us < at_us),
        )
        await self._connection.execute(query.values(health=health, health_at_us=at_us))

    async def add_gap(self, agent: AgentRow, epoch: int, seq: int, place: int, gap: Gap) -> None:
        query = insert_or_ignore(self._connection, AGENT_GAPS).values(
            organisation_id=agent.organisation_id,
            agent_id=agent.agent_id,
            epoch=epoch,
            seq=seq,
            place=place,
            **gap.model_dump(exclude={"kind"}),
        )
        await self._connection.execute(query)

    async def gaps(self, organisation_id: str, agent_ids: Sequence[str], from_us: int, to_us: int) -> list[GapRow]:
        table = AGENT_GAPS.c
        query = (
            select(table.agent_id, table.from_us, table.to_us, table.cycles, table.samples, table.reason)
            .where(
                table.organisation_id == organisation_id,
                table.agent_id.in_(agent_ids),
                table.from_us < to_us,
                table.to_us > from_us,
            )
            .order_by(table.from_us, table.gap_no)
        )
        return [GapRow(**record._mapping) for record in await self._connection.execute(query)]  # noqa: SLF001 - as above

    async def _forget_logins(self, agent_id: str) -> None:
        for table in (AGENT_TOKENS, AGENT_CHALLENGES):
            await self._connection.execute(delete(table).where(table.c.agent_id == agent_id))

    async def _update(self, organisation_id: str, agent_id: str, changes: dict[str, Any]) -> None:
        query = update(AGENTS).where(AGENTS.c.organisation_id == organisation_id, AGENTS.c.agent_id == agent_id)
        await self._connection.execute(query.values(**changes))
