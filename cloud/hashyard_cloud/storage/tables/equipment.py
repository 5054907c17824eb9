"""Units, and who had each of them from when to when."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Table, Text, text

from hashyard_cloud.storage.metadata import METADATA

UNITS = Table(
    "units",
    METADATA,
    Column("unit_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("site_id", Text, ForeignKey("sites.site_id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("position", Text, nullable=False),
    Column("serial", Text, nullable=False),
    Column("mac", Text),
    Column("model", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("expected_hashrate_ths", Float),
    Column("nameplate_w", BigInteger),
    Column("host_owned", Boolean, nullable=False),
    Column("state_since_us", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Index("ux_units_mac", "organisation_id", "mac", unique=True),
    Index("ux_units_label", "organisation_id", "label", unique=True),
    Index("ix_units_serial", "organisation_id", "serial"),
    Index("ix_units_site", "organisation_id", "site_id"),
)

UNIT_ASSIGNMENTS = Table(
    "unit_assignments",
    METADATA,
    Column("assignment_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("unit_id", Text, ForeignKey("units.unit_id"), nullable=False),
    Column("contract_id", Text, ForeignKey("contracts.contract_id"), nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger),
    Column("ended_by", Text, nullable=False),
    # What makes two owners at once impossible, whatever a program does.
    Index(
        "ux_unit_assignments_open",
        "unit_id",
        unique=True,
        sqlite_where=text("to_us IS NULL"),
        postgresql_where=text("to_us IS NULL"),
    ),
    Index("ix_unit_assignments_customer", "organisation_id", "customer_id"),
    Index("ix_unit_assignments_contract", "organisation_id", "contract_id"),
    Index("ix_unit_assignments_unit", "unit_id", "from_us"),
)
