"""API tokens in the relational store."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.services.ports.api_tokens import ApiTokenRow
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.api_tokens import API_TOKENS


class ApiTokensStore:
    """SQL for tokens; implements `services.ports.api_tokens.ApiTokensStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: ApiTokenRow) -> None:
        await self._connection.execute(insert(API_TOKENS).values(values(row)))

    async def by_hash(self, token_hash: str) -> ApiTokenRow | None:
        query = select(API_TOKENS).where(API_TOKENS.c.token_hash == token_hash)
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(ApiTokenRow, record) if record else None

    async def get(self, organisation_id: str, token_id: str) -> ApiTokenRow | None:
        query = select(API_TOKENS).where(
            API_TOKENS.c.organisation_id == organisation_id, API_TOKENS.c.token_id == token_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(ApiTokenRow, record) if record else None

    async def all(self, organisation_id: str) -> list[ApiTokenRow]:
        query = select(API_TOKENS).where(API_TOKENS.c.organisation_id == organisation_id)
        query = query.order_by(API_TOKENS.c.created_us.desc(), API_TOKENS.c.token_id.desc())
        return [loaded(ApiTokenRow, record) for record in (await self._connection.execute(query)).all()]

    async def touch(self, organisation_id: str, token_id: str, at_us: int) -> None:
        query = update(API_TOKENS).where(
            API_TOKENS.c.organisation_id == organisation_id, API_TOKENS.c.token_id == token_id
        )
        await self._connection.execute(query.values(last_used_us=at_us))

    async def revoke(self, organisation_id: str, token_id: str, at_us: int) -> bool:
        query = update(API_TOKENS).where(
            API_TOKENS.c.organisation_id == organisation_id,
            API_TOKENS.c.token_id == token_id,
            API_TOKENS.c.revoked_us.is_(None),
        )
        return (await self._connection.execute(query.values(revoked_us=at_us))).rowcount > 0
