from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Protocol

import pytest

from hashyard_support.postgresql import running_postgresql
from hashyard_support.site import SimulatedSite


class StartSite(Protocol):
    def __call__(self, subnet: str, families: Mapping[str, int], *options: str) -> SimulatedSite: ...


@pytest.fixture
def simulated_site() -> Iterator[StartSite]:
    """Starts simulated sites, each a process; they end with the test. Use a private 127.x.y.0/24 for each."""
    with ExitStack() as stack:

        def start(subnet: str, families: Mapping[str, int], *options: str) -> SimulatedSite:
            return stack.enter_context(SimulatedSite.start(subnet, families, *options))

        yield start


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """A PostgreSQL server of our own; call it for the DSN of an empty database."""
    with running_postgresql() as fresh:
        yield fresh
