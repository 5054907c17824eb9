"""What a profile says of writing and what the writer does must be the same thing."""

import pytest

from hashyard_agent.adapters.writers import pool_writers
from hashyard_profiles import load
from hashyard_support.enforcement import FactoryLogins

WRITERS = pool_writers(FactoryLogins())
PROFILES = load()


def test_families_with_a_writer_are_those_that_are_proven() -> None:
    assert set(WRITERS) == {family for family, profile in PROFILES.items() if profile.write.proven}


@pytest.mark.parametrize("family", sorted(WRITERS))
def test_the_writer_does_what_the_profile_says(family: str) -> None:
    traits, write = WRITERS[family].traits, PROFILES[family].write
    assert write.writer == traits.family == family
    assert traits.max_slots <= write.slots
    assert traits.password_readable == write.passwords_readable
    assert traits.write_restarts_mining == write.restarts_mining
    assert (traits.max_groups > 1) <= write.groups
