"""Invoices and their lines."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

INVOICES = Table(
    "invoices",
    METADATA,
    Column("invoice_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), nullable=False),
    Column("contract_id", Text, ForeignKey("contracts.contract_id"), nullable=False),
    Column("number", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_micro", BigInteger, nullable=False),
    Column("period_from_us", BigInteger),
    Column("period_to_us", BigInteger),
    Column("created_us", BigInteger, nullable=False),
    Column("issued_us", BigInteger),
    Column("due_us", BigInteger),
    Column("paid_us", BigInteger),
    Column("note", Text, nullable=False),
    Index("ux_invoices_number", "organisation_id", "number", unique=True),
    Index("ix_invoices_contract", "organisation_id", "contract_id"),
    Index("ix_invoices_customer", "organisation_id", "customer_id"),
    Index("ix_invoices_state", "organisation_id", "state"),
)

INVOICE_LINES = Table(
    "invoice_lines",
    METADATA,
    Column("invoice_id", Text, ForeignKey("invoices.invoice_id"), primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("position", BigInteger, primary_key=True),
    Column("description", Text, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("unit_price_micro", BigInteger, nullable=False),
    Column("amount_micro", BigInteger, nullable=False),
)

INVOICE_NUMBERS = Table(
    "invoice_numbers",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("year", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
)
