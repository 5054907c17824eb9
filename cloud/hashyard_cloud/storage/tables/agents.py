"""Agents, their tokens, challenges and reported gaps."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA, SERIAL

AGENTS: Final = Table(
    "agents",
    METADATA,
    Column("agent_no", SERIAL, primary_key=True, autoincrement=True),
    Column("agent_id", Text, nullable=False, unique=True),
    Column("organisation_id", Text, nullable=False),
    Column("site_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("former_fingerprint", Text),
    Column("key_changed_at_us", BigInteger),
    Column("key_asked_at_us", BigInteger),
    Column("version", Text, nullable=False),
    Column("protocol", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("replaces_agent_id", Text),
    Column("enrolled_at_us", BigInteger, nullable=False),
    Column("last_seen_us", BigInteger),
    Column("clock_offset_us", BigInteger),
    Column("revoked_at_us", BigInteger),
    Column("revoked_reason", Text),
    Column("clone_suspected_at_us", BigInteger),
    Column("sync_nonce", Text),
    Column("sync_nonce_previous", Text),
    Column("health", Text),
    Column("health_at_us", BigInteger),
    Index("ix_agents_organisation_id_site_id", "organisation_id", "site_id"),
)

AGENT_CHALLENGES: Final = Table(
    "agent_challenges",
    METADATA,
    Column("nonce", Text, primary_key=True),
    Column("agent_id", Text, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Index("ix_agent_challenges_agent_id", "agent_id"),
)

AGENT_TOKENS: Final = Table(
    "agent_tokens",
    METADATA,
    Column("token_hash", Text, primary_key=True),
    Column("organisation_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Index("ix_agent_tokens_agent_id", "agent_id"),
)

AGENT_GAPS: Final = Table(
    "agent_gaps",
    METADATA,
    Column("gap_no", SERIAL, primary_key=True, autoincrement=True),
    Column("organisation_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("from_us", BigInteger, nullable=False),
    Column("to_us", BigInteger, nullable=False),
    Column("cycles", Integer, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("first_seq", BigInteger),
    Column("last_seq", BigInteger),
    Index("ux_agent_gaps_origin", "agent_id", "epoch", "seq", "place", unique=True),
)
"""`place` is the event's position in its batch: with the batch's own key it makes an entry unique."""
