"""Sites."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

SITES = Table(
    "sites",
    METADATA,
    Column("site_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("capacity_w", BigInteger),
    Column("currency", Text, nullable=False),
    Column("energy_price_micro", BigInteger),
    Column("tax_bp", Integer, nullable=False),
    Column("shadow_mode", Boolean, nullable=False),
    Column("poll_interval_s", Float, nullable=False),
    Column("discovery_interval_s", Float, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Index("ux_sites_organisation_name", "organisation_id", "name", unique=True),
)
