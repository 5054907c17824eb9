"""The table of due work."""

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

JOBS = Table(
    "jobs",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("due_us", BigInteger, nullable=False),
    Column("lease_owner", Text, nullable=False),
    Column("lease_until_us", BigInteger, nullable=False),
    Column("last_start_us", BigInteger),
    Column("last_end_us", BigInteger),
    Column("last_error", Text, nullable=False),
    Column("runs", Integer, nullable=False),
)
