"""What O&M contracts are about: sites and services, dated."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text, text

from hashyard_cloud.storage.metadata import METADATA

CONTRACT_SITES = Table(
    "contract_sites",
    METADATA,
    Column("contract_site_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("contract_id", Text, ForeignKey("contracts.contract_id"), nullable=False),
    Column("site_id", Text, ForeignKey("sites.site_id"), nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger),
    Index(
        "ux_contract_sites_open",
        "contract_id",
        "site_id",
        unique=True,
        sqlite_where=text("to_us IS NULL"),
        postgresql_where=text("to_us IS NULL"),
    ),
    Index("ix_contract_sites_contract", "organisation_id", "contract_id"),
)

CONTRACT_SERVICES = Table(
    "contract_services",
    METADATA,
    Column("service_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("contract_id", Text, ForeignKey("contracts.contract_id"), nullable=False),
    Column("site_id", Text, ForeignKey("sites.site_id")),
    Column("name", Text, nullable=False),
    Column("monthly_micro", BigInteger, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger),
    Index("ix_contract_services_contract", "organisation_id", "contract_id"),
)
