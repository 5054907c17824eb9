"""Users, memberships, sessions, invitations, resets and the counters against guessing."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

USERS = Table(
    "users",
    METADATA,
    Column("user_id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("totp_secret", Text),
    Column("totp_last_step", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

MEMBERSHIPS = Table(
    "memberships",
    METADATA,
    Column("membership_id", Integer, primary_key=True, autoincrement=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("user_id", Text, ForeignKey("users.user_id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id")),
    Column("created_us", BigInteger, nullable=False),
    Index("ix_memberships_user", "user_id"),
    Index("ux_memberships_organisation_user", "organisation_id", "user_id", unique=True),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("session_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id"), nullable=False),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("last_seen_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("view_customer_id", Text, ForeignKey("customers.customer_id")),
    Column("remote", Text, nullable=False),
    Index("ix_sessions_user", "user_id"),
    Index("ix_sessions_organisation", "organisation_id", "last_seen_us"),
)

ATTEMPTS = Table(
    "login_attempts",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("window_us", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
)

INVITES = Table(
    "invites",
    METADATA,
    Column("invite_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id")),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("invited_by", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("accepted_us", BigInteger),
    Column("revoked_us", BigInteger),
    Index("ix_invites_organisation", "organisation_id", "customer_id"),
)

RESETS = Table(
    "password_resets",
    METADATA,
    Column("token_hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id"), nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("used_us", BigInteger),
)
