"""Devices and their newest readings in the relational store."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.miners import LatestRow, LatestValues, MinerRow, SeenMiner
from hashyard_cloud.storage.tables.miners import LATEST, MINERS, POOLS_SEEN
from hashyard_cloud.storage.upserts import execute_tuples, insert_or_ignore, pieces, upsert
from hashyard_shared.telemetry import COLUMN_SCALES, MinerState, RosterEntry

_IDENTITY: Final = tuple(name for name in RosterEntry.model_fields if name != "miner_id")
_CHANGING: Final = (*_IDENTITY, "agent_id", "site_id")
_NEW_NAMES: Final = ("organisation_id", "miner_id", *_CHANGING, "first_seen_us", "changed_at_us")
_LATEST_NAMES: Final = [column.name for column in LATEST.columns]
_MINER_COLUMNS: Final = list(MINERS.columns)
_LATEST_COLUMNS: Final = [column.label(f"latest_{column.name}") for column in LATEST.columns]
_HASHRATE_SCALE: Final = COLUMN_SCALES["hashrate_ths"]


class MinersStore:
    """SQL for devices; implements `services.ports.miners.MinersStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def upsert(self, agent: AgentRow, entries: Sequence[RosterEntry], at_us: int) -> list[int]:
        organisation_id = agent.organisation_id
        ids = [entry.miner_id for entry in entries]
        known = await self._stored(organisation_id, ids)
        fresh: dict[str, tuple[Any, ...]] = {}
        for entry in entries:
            values = (*(getattr(entry, name) for name in _IDENTITY), agent.agent_id, agent.site_id)
            stored = known.get(entry.miner_id)
            if stored is None:
                fresh[entry.miner_id] = (organisation_id, entry.miner_id, *values, at_us, at_us)
            elif stored.changed_at_us <= at_us and values != tuple(getattr(stored, name) for name in _CHANGING):
                query = update(MINERS).where(MINERS.c.miner_no == stored.miner_no)
                changes = dict(zip(_CHANGING, values, strict=True))
                await self._connection.execute(query.values(**changes, changed_at_us=at_us))
        statement = insert_or_ignore(self._connection, MINERS)
        await execute_tuples(self._connection, statement, _NEW_NAMES, list(fresh.values()))
        numbers = await self.numbers(organisation_id, ids)
        return [numbers[miner_id] for miner_id in ids]

    async def seen(
        self,
        organisation_id: str,
        *,
        site_id: str | None = None,
        miner_ids: Sequence[str] | None = None,
        macs: Sequence[str] | None = None,
    ) -> list[SeenMiner]:
        query = _seen_query().where(MINERS.c.organisation_id == organisation_id)
        if site_id is not None:
            query = query.where(MINERS.c.site_id == site_id)
        found: list[SeenMiner] = []
        if miner_ids is not None:
            for piece in pieces(miner_ids):
                found += await self._seen(query.where(MINERS.c.miner_id.in_(piece)))
        elif macs is not None:
            for piece in pieces(macs):
                found += await self._seen(query.where(MINERS.c.mac.in_(piece)))
        else:
            found = await self._seen(query)
        return sorted(found, key=lambda one: one.miner.miner_id)

    async def get(self, organisation_id: str, miner_id: str) -> SeenMiner | None:
        found = await self.seen(organisation_id, miner_ids=[miner_id])
        return found[0] if found else None

    async def numbers(self, organisation_id: str, miner_ids: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for piece in pieces(miner_ids):
            query = select(MINERS.c.miner_id, MINERS.c.miner_no).where(
                MINERS.c.organisation_id == organisation_id, MINERS.c.miner_id.in_(piece)
            )
            found |= {key: value for key, value in await self._connection.execute(query)}  # noqa: C416 - rows are no pairs to mypy
        return found

    async def set_details(self, organisation_id: str, miner_id: str, at_us: int, details: str) -> None:
        query = update(MINERS).where(
            MINERS.c.organisation_id == organisation_id,
            MINERS.c.miner_id == miner_id,
            MINERS.c.details_at_us.is_(None) | (MINERS.c.details_at_us < at_us),
        )
        await self._connection.execute(query.values(details=details, details_at_us=at_us))

    async def pool_numbers(self, pools: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], int]:
        table = POOLS_SEEN.c
        found: dict[tuple[str, str, str], int] = {}
        for piece in pieces(pools, 200):
            rows = [{"organisation_id": one, "url": url, "worker": worker} for one, url, worker in piece]
            await self._connection.execute(insert_or_ignore(self._connection, POOLS_SEEN).values(rows))
            query = select(table.organisation_id, table.url, table.worker, table.pool_no).where(
                tuple_(table.organisation_id, table.url, table.worker).in_(piece)
            )
            found |= {(one, url, worker): no for one, url, worker, no in await self._connection.execute(query)}
        return found

    async def known_pools(self, organisation_id: str) -> Mapping[int, tuple[str, str]]:
        table = POOLS_SEEN.c
        query = select(table.pool_no, table.url, table.worker).where(table.organisation_id == organisation_id)
        return {number: (url, worker) for number, url, worker in await self._connection.execute(query)}

    async def put_latest(self, rows: Sequence[LatestValues]) -> None:
        statement = upsert(self._connection, LATEST, _LATEST_NAMES[1:], newer="at_us")
        await execute_tuples(self._connection, statement, _LATEST_NAMES, rows)

    async def _stored(self, organisation_id: str, miner_ids: Sequence[str]) -> dict[str, MinerRow]:
        found: dict[str, MinerRow] = {}
        for piece in pieces(miner_ids):
            query = select(MINERS).where(MINERS.c.organisation_id == organisation_id, MINERS.c.miner_id.in_(piece))
            for record in await self._connection.execute(query):
                found[record.miner_id] = MinerRow(**record._mapping)  # noqa: SLF001 - SQLAlchemy's public mapping
        return found

    async def _seen(self, query: Select[Any]) -> list[SeenMiner]:
        return [_seen_miner(record) for record in await self._connection.execute(query)]


def _seen_query() -> Select[Any]:
    return (
        select(
            *_MINER_COLUMNS,
            *_LATEST_COLUMNS,
            POOLS_SEEN.c.url.label("pool_url"),
            POOLS_SEEN.c.worker.label("pool_worker"),
        )
        .outerjoin(LATEST, LATEST.c.miner_no == MINERS.c.miner_no)
        .outerjoin(POOLS_SEEN, POOLS_SEEN.c.pool_no == LATEST.c.pool_no)
    )


def _seen_miner(record: Row[Any]) -> SeenMiner:
    found = record._mapping  # noqa: SLF001 - SQLAlchemy's public mapping access is spelled so
    miner = MinerRow(**{column.name: found[column.name] for column in _MINER_COLUMNS})
    if found["latest_at_us"] is None:
        return SeenMiner(miner=miner, latest=None)
    plain = {name: found[f"latest_{name}"] for name in _LATEST_NAMES}
    hashrate = plain.pop("hashrate_cths")
    del plain["miner_no"], plain["pool_no"]
    latest = LatestRow(
        **{**plain, "state": MinerState(plain["state"])},
        hashrate_ths=None if hashrate is None else hashrate / _HASHRATE_SCALE,
        pool_url=found["pool_url"],
        pool_worker=found["pool_worker"],
    )
    return SeenMiner(miner=miner, latest=latest)
