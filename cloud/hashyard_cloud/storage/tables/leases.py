"""Who owns what only one process may do."""

from typing import Final

from sqlalchemy import BigInteger, Column, Table, Text

from hashyard_cloud.storage.metadata import METADATA

LEASES: Final = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
)
