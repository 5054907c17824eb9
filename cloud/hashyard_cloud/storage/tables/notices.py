"""Notices and the proofs of their delivery."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from hashyard_cloud.storage.metadata import METADATA

NOTICES = Table(
    "notices",
    METADATA,
    Column("notice_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), nullable=False),
    Column("contract_id", Text),
    Column("invoice_id", Text),
    Column("case_id", Text),
    Column("kind", Text, nullable=False),
    Column("to_address", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("email_id", Text),
    Column("created_us", BigInteger, nullable=False),
    Column("accepted_us", BigInteger),
    Column("reply", Text, nullable=False),
    Column("bounced_us", BigInteger),
    Column("bounce", Text, nullable=False),
    Column("proof_us", BigInteger),
    Column("proof_name", Text, nullable=False),
    Column("proof_sha256", Text, nullable=False),
    Column("proof_by", Text, nullable=False),
    Index("ix_notices_customer", "organisation_id", "customer_id"),
    Index("ix_notices_case", "organisation_id", "case_id"),
    Index("ix_notices_invoice", "organisation_id", "invoice_id"),
    Index("ix_notices_email", "organisation_id", "email_id"),
)

NOTICE_PROOFS = Table(
    "notice_proofs",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("notice_id", Text, ForeignKey("notices.notice_id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
