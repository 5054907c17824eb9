"""Payments."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from hashyard_cloud.storage.metadata import METADATA

PAYMENTS = Table(
    "payments",
    METADATA,
    Column("payment_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("amount_micro", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("reversed_us", BigInteger),
    Index("ux_payments_idempotency", "organisation_id", "idempotency_key", unique=True),
    Index("ix_payments_customer", "organisation_id", "customer_id"),
)
