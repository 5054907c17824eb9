"""Holding pools."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from hashyard_cloud.storage.metadata import METADATA

HOLDING_POOLS = Table(
    "holding_pools",
    METADATA,
    Column("pool_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("reference", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("sealed_password", Text, nullable=False),
    Column("pool_hash", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("retired_us", BigInteger),
    Index("ux_holding_pools_reference", "organisation_id", "reference", unique=True),
)
