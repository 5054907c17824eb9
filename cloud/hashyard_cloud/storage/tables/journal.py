"""The cloud's copy of the agents' journals."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

JOURNAL_HEADS = Table(
    "journal_heads",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("agent_id", Text, primary_key=True),
    Column("lines", Integer, nullable=False),
    Column("hash", Text, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("broken_at", Integer),
    Column("broken_us", BigInteger),
    Column("published_us", BigInteger),
)

JOURNAL_LINES = Table(
    "journal_lines",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("agent_id", Text, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("received_us", BigInteger, nullable=False),
)

JOURNAL_PUBLICATIONS = Table(
    "journal_publications",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), primary_key=True),
    Column("agent_id", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("lines", Integer, nullable=False),
    Column("hash", Text, nullable=False),
    Column("published_us", BigInteger, nullable=False),
    Column("notice_id", Text),
)
