"""Contracts and their dated versions."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

CONTRACTS = Table(
    "contracts",
    METADATA,
    Column("contract_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), nullable=False),
    Column("number", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("starts_us", BigInteger),
    Column("ends_us", BigInteger),
    Column("extensions", Integer, nullable=False),
    Index("ux_contracts_organisation_number", "organisation_id", "number", unique=True),
    Index("ix_contracts_customer", "organisation_id", "customer_id"),
)

CONTRACT_VERSIONS = Table(
    "contract_versions",
    METADATA,
    Column("version_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("contract_id", Text, ForeignKey("contracts.contract_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("effective_us", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("billing_basis", Text, nullable=False),
    Column("rate_micro", BigInteger, nullable=False),
    Column("fixed_monthly_micro", BigInteger, nullable=False),
    Column("power_cap_w", BigInteger),
    Column("term_months", Integer),
    Column("auto_renew", Boolean, nullable=False),
    Column("notice_days", Integer, nullable=False),
    Column("failover_micro", BigInteger),
    Column("due_s", BigInteger, nullable=False),
    Column("grace_s", BigInteger, nullable=False),
    Column("cure_s", BigInteger, nullable=False),
    Column("late_fee_micro", BigInteger, nullable=False),
    Column("deposit_micro", BigInteger, nullable=False),
    Column("minimum_uptime_bp", Integer, nullable=False),
    Column("redirect_clause", Text, nullable=False),
    Column("redirect_clause_given", Boolean, nullable=False),
    Column("accepted_us", BigInteger),
    Column("accepted_by", Text, nullable=False),
    Column("spec_model", Text, nullable=False),
    Column("spec_hashrate_ths", Float),
    Column("spec_quantity", Integer),
    Column("connector_fee_bp", Integer),
    Column("payout_wallet", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Index("ux_contract_versions_number", "contract_id", "version", unique=True),
    Index("ix_contract_versions_effective", "organisation_id", "contract_id", "effective_us"),
)

CONTRACT_NUMBERS = Table(
    "contract_numbers",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("year", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
)
