"""The ledger: entries are added, never changed."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from hashyard_cloud.storage.metadata import METADATA

LEDGER_ENTRIES = Table(
    "ledger_entries",
    METADATA,
    Column("entry_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), nullable=False),
    Column("invoice_id", Text, ForeignKey("invoices.invoice_id")),
    Column("kind", Text, nullable=False),
    Column("amount_micro", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("reverses", Text),
    Column("note", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Index("ix_ledger_entries_customer", "organisation_id", "customer_id"),
    Index("ix_ledger_entries_invoice", "organisation_id", "invoice_id"),
    Index("ix_ledger_entries_reference", "organisation_id", "reference"),
    Index("ux_ledger_entries_reverses", "reverses", unique=True),
)
