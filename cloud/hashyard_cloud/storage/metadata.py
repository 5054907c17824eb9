"""The one `MetaData` that all tables register on."""

from typing import Final

from sqlalchemy import BigInteger, Integer, MetaData

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Named constraints, so that a later migration can address each on every engine."""

SERIAL: Final = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit number that the engine hands out; SQLite does that for the type named INTEGER only."""
