"""Agreements, their versions, and who accepted them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

AGREEMENTS = Table(
    "agreements",
    METADATA,
    Column("agreement_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("title", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("retired_us", BigInteger),
    Index("ix_agreements_organisation", "organisation_id"),
)

AGREEMENT_VERSIONS = Table(
    "agreement_versions",
    METADATA,
    Column("version_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("agreement_id", Text, ForeignKey("agreements.agreement_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Index("ux_agreement_versions_number", "agreement_id", "version", unique=True),
    Index("ix_agreement_versions_organisation", "organisation_id"),
)

ACCEPTANCES = Table(
    "agreement_acceptances",
    METADATA,
    Column("acceptance_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), nullable=False),
    Column("version_id", Text, ForeignKey("agreement_versions.version_id"), nullable=False),
    Column("sha256", Text, nullable=False),
    Column("user_id", Text, ForeignKey("users.user_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("remote", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("ux_agreement_acceptances_once", "customer_id", "version_id", unique=True),
    Index("ix_agreement_acceptances_organisation", "organisation_id", "customer_id"),
)
