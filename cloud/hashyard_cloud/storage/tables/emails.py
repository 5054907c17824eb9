"""The e-mail outbox."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

EMAILS = Table(
    "emails",
    METADATA,
    Column("email_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("to_address", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("accepted_us", BigInteger),
    Column("reply", Text, nullable=False),
    Index("ix_emails_due", "state", "due_us"),
    Index("ix_emails_organisation", "organisation_id", "created_us"),
)
