from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hashyard_support.furnished import furnish
from hashyard_support.pages import Pages, running


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Pages]:
    """A service with one host and nothing else."""
    async with running(tmp_path / "data") as made:
        made.organisation_id = await made.host(slug="caprock")
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pages]:
    """A host that looks lived in; tests only read it."""
    async with running(tmp_path_factory.mktemp("furnished") / "data") as made:
        await furnish(made, hours=1)
        yield made
