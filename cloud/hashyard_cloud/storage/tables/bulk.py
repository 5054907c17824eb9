"""Actions on many rows, and what became of each row."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

BULK_ACTIONS: Final = Table(
    "bulk_actions",
    METADATA,
    Column("bulk_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("worked_us", BigInteger),
    Column("finished_us", BigInteger),
    Index("ix_bulk_actions_created", "organisation_id", "created_us"),
)

BULK_ITEMS: Final = Table(
    "bulk_items",
    METADATA,
    Column("bulk_id", Text, ForeignKey("bulk_actions.bulk_id"), primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("object_id", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after_us", BigInteger),
    Index("ix_bulk_items_state", "bulk_id", "state", "position"),
)
