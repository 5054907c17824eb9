"""One-time enrolment codes; only their hashes."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Table, Text

from hashyard_cloud.storage.metadata import METADATA

ENROLMENT_CODES: Final = Table(
    "enrolment_codes",
    METADATA,
    Column("code_hash", Text, primary_key=True),
    Column("organisation_id", Text, nullable=False),
    Column("site_id", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Column("used_at_us", BigInteger),
    Column("used_by_agent_id", Text),
    Index("ix_enrolment_codes_organisation_id_site_id", "organisation_id", "site_id"),
)
