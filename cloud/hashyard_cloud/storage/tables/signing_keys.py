"""Signing keys; the private half is sealed."""

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text

from hashyard_cloud.storage.metadata import METADATA

SIGNING_KEYS = Table(
    "signing_keys",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("slot", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("sealed_private", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("retired_us", BigInteger),
)

KEY_ROTATIONS = Table(
    "key_rotations",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("envelope", Text, nullable=False),
    Column("made_us", BigInteger, nullable=False),
)
