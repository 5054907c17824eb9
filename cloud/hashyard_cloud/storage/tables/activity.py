"""The activity log."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from hashyard_cloud.storage.metadata import METADATA

ACTIVITY = Table(
    "activity",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("ip", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("customer_id", Text),
    Column("object_kind", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("ix_activity_customer", "organisation_id", "customer_id", "position"),
)
