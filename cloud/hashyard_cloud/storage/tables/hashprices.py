"""The hashprice series."""

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text

from hashyard_cloud.storage.metadata import METADATA

HASHPRICES = Table(
    "hashprices",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("price_micro", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
)
