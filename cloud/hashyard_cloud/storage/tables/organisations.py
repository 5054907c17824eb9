"""Organisations, the slugs they gave up, and their logos."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, Table, Text

from hashyard_cloud.storage.metadata import METADATA

ORGANISATIONS = Table(
    "organisations",
    METADATA,
    Column("organisation_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("slug", Text, unique=True),
    Column("currency", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("redirect_enabled", Boolean, nullable=False),
    Column("approvals_required", Integer, nullable=False),
    Column("slogan", Text, nullable=False),
    Column("colour_primary", Text, nullable=False),
    Column("colour_accent", Text, nullable=False),
    Column("contact_email", Text, nullable=False),
    Column("contact_phone", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

OLD_SLUGS = Table(
    "organisation_old_slugs",
    METADATA,
    Column("slug", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
)

LOGOS = Table(
    "organisation_logos",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
