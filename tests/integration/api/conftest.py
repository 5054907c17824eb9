"""The service with two hosts, and programs that call it with a token."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from hashyard_cloud.services import api_tokens
from hashyard_cloud.services.api_tokens import SCOPES
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.users import Role
from hashyard_cloud.web import keys
from hashyard_support.furnished import furnish
from hashyard_support.pages import Pages, running

Answered = tuple[int, Any, Any]


@dataclass
class Program:
    """A program with one token."""

    http: aiohttp.ClientSession
    url: str

    async def call(self, method: str, path: str, **more: Any) -> Answered:
        """Status, parsed body and headers."""
        async with self.http.request(method, f"{self.url}/api/v1{path}", **more) as response:
            return response.status, await response.json(content_type=None), response.headers.copy()


async def token(pages: Pages, email: str, role: Role, scopes: Sequence[str] = SCOPES) -> str:
    """A token for this member of any organisation."""
    async with pages.database.reading() as tx:
        user = await tx.users.by_email(email)
        assert user is not None
        membership = (await tx.users.memberships(user.user_id))[0]
    minted = await api_tokens.mint(
        pages.database,
        pages.app[keys.CLOCK],
        membership,
        Actor(user.user_id, user.name),
        name="test",
        scopes=scopes,
        role=role,
    )
    return minted.secret


@asynccontextmanager
async def program(pages: Pages, secret: str) -> AsyncIterator[Program]:
    headers = {"Authorization": f"Bearer {secret}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        yield Program(http, str(pages.url))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pages]:
    """A host that looks lived in."""
    data_dir = tmp_path_factory.mktemp("api") / "data"
    async with running(data_dir, api_requests_per_minute=1_000_000, api_guesses_per_minute=1_000_000) as made:
        await furnish(made, hours=2)
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owner(furnished: Pages) -> AsyncIterator[Program]:
    """The owner's program, with every scope."""
    async with program(furnished, await token(furnished, "dana@caprock.example", Role.OWNER)) as made:
        yield made


@pytest.fixture
def new_token() -> Any:
    return token


@pytest.fixture
def as_program() -> Any:
    return program
