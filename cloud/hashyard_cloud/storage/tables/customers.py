"""Customers."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Table, Text

from hashyard_cloud.storage.metadata import METADATA

CUSTOMERS = Table(
    "customers",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("company", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("billing_email", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("portal_access", Boolean, nullable=False),
    Column("team_name", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Index("ix_customers_organisation_name", "organisation_id", "name"),
    Index("ix_customers_organisation_email", "organisation_id", "email"),
)
