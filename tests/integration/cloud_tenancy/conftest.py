from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hashyard_support.furnished import furnish
from hashyard_support.pages import Pages, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pages]:
    """A host that looks lived in; the walk changes nothing of it."""
    data_dir = tmp_path_factory.mktemp("tenancy") / "data"
    async with running(data_dir, api_requests_per_minute=1_000_000) as made:
        await furnish(made, hours=1)
        yield made
