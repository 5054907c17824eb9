"""Answers to requests that carried an idempotency key."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

IDEMPOTENCY_KEYS = Table(
    "idempotency_keys",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("actor_id", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("status", Integer),
    Column("answer", Text),
    Column("created_us", BigInteger, nullable=False),
    Index("ix_idempotency_keys_created", "created_us"),
)
