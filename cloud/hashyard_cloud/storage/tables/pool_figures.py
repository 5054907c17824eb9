"""The holding pools' own figures."""

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text

from hashyard_cloud.storage.metadata import METADATA

POOL_FIGURES = Table(
    "pool_figures",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("pool", Text, primary_key=True),
    Column("worker", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("hashrate_cths", BigInteger, nullable=False),
    Column("shares_accepted", BigInteger),
    Column("source", Text, nullable=False),
    Column("source_sha256", Text, nullable=False),
    Column("imported_us", BigInteger, nullable=False),
)
