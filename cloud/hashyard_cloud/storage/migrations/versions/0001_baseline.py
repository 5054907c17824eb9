"""The whole schema until 1.0; written by `hashyard_cloud.storage.migrations.regenerate`."""

import sqlalchemy as sa
from alembic import op

revision = "0001_baseline"
down_revision = None
branch_labels = None
depends_on = None


def _agent_challenges() -> None:
    op.create_table(
        "agent_challenges",
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_agent_challenges")),
    )
    op.create_index("ix_agent_challenges_agent_id", "agent_challenges", ["agent_id"], unique=False)


def _agent_gaps() -> None:
    op.create_table(
        "agent_gaps",
        sa.Column(
            "gap_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=False),
        sa.Column("cycles", sa.Integer(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=True),
        sa.Column("last_seq", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("gap_no", name=op.f("pk_agent_gaps")),
    )
    op.create_index("ux_agent_gaps_origin", "agent_gaps", ["agent_id", "epoch", "seq", "place"], unique=True)


def _agent_tokens() -> None:
    op.create_table(
        "agent_tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_agent_tokens")),
    )
    op.create_index("ix_agent_tokens_agent_id", "agent_tokens", ["agent_id"], unique=False)


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column(
            "agent_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("former_fingerprint", sa.Text(), nullable=True),
        sa.Column("key_changed_at_us", sa.BigInteger(), nullable=True),
        sa.Column("key_asked_at_us", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("replaces_agent_id", sa.Text(), nullable=True),
        sa.Column("enrolled_at_us", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_us", sa.BigInteger(), nullable=True),
        sa.Column("clock_offset_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.Column("clone_suspected_at_us", sa.BigInteger(), nullable=True),
        sa.Column("sync_nonce", sa.Text(), nullable=True),
        sa.Column("sync_nonce_previous", sa.Text(), nullable=True),
        sa.Column("health", sa.Text(), nullable=True),
        sa.Column("health_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("agent_no", name=op.f("pk_agents")),
        sa.UniqueConstraint("agent_id", name=op.f("uq_agents_agent_id")),
    )
    op.create_index("ix_agents_organisation_id_site_id", "agents", ["organisation_id", "site_id"], unique=False)


def _batch_bodies() -> None:
    op.create_table(
        "batch_bodies",
        sa.Column(
            "batch_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("batch_no", name=op.f("pk_batch_bodies")),
    )


def _batches() -> None:
    op.create_table(
        "batches",
        sa.Column(
            "batch_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cycle_at_us", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("received_at_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("block_no", sa.BigInteger(), nullable=True),
        sa.Column("roster_id", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("batch_no", name=op.f("pk_batches")),
    )
    op.create_index("ix_batches_block_no", "batches", ["block_no"], unique=False)
    op.create_index("ix_batches_state", "batches", ["state", "batch_no"], unique=False)
    op.create_index("ux_batches_origin", "batches", ["agent_id", "epoch", "seq"], unique=True)


def _desired_versions() -> None:
    op.create_table(
        "desired_versions",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "site_id", name=op.f("pk_desired_versions")),
    )


def _enrolment_codes() -> None:
    op.create_table(
        "enrolment_codes",
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.Column("used_at_us", sa.BigInteger(), nullable=True),
        sa.Column("used_by_agent_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_enrolment_codes")),
    )
    op.create_index(
        "ix_enrolment_codes_organisation_id_site_id",
        "enrolment_codes",
        ["organisation_id", "site_id"],
        unique=False,
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=False),
        sa.Column("lease_until_us", sa.BigInteger(), nullable=False),
        sa.Column("last_start_us", sa.BigInteger(), nullable=True),
        sa.Column("last_end_us", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_jobs")),
    )


def _latest() -> None:
    op.create_table(
        "latest",
        sa.Column(
            "miner_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("interval_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("hashrate_cths", sa.BigInteger(), nullable=True),
        sa.Column("power_w", sa.BigInteger(), nullable=True),
        sa.Column("temp_chip_c", sa.BigInteger(), nullable=True),
        sa.Column("temp_board_c", sa.BigInteger(), nullable=True),
        sa.Column("fan_rpm", sa.BigInteger(), nullable=True),
        sa.Column("uptime_s", sa.BigInteger(), nullable=True),
        sa.Column("shares_accepted", sa.BigInteger(), nullable=True),
        sa.Column("shares_rejected", sa.BigInteger(), nullable=True),
        sa.Column("pool_no", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("miner_no", name=op.f("pk_latest")),
    )


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )


def _login_attempts() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("window_us", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_attempts")),
    )


def _miners() -> None:
    op.create_table(
        "miners",
        sa.Column(
            "miner_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("miner_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=True),
        sa.Column("serial", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("make", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("firmware", sa.Text(), nullable=False),
        sa.Column("expected_hashrate_ths", sa.Float(), nullable=True),
        sa.Column("writable", sa.Boolean(), nullable=False),
        sa.Column("first_seen_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("details_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("miner_no", name=op.f("pk_miners")),
    )
    op.create_index("ix_miners_organisation_id_mac", "miners", ["organisation_id", "mac"], unique=False)
    op.create_index("ix_miners_organisation_id_site_id", "miners", ["organisation_id", "site_id"], unique=False)
    op.create_index("ux_miners_organisation_id_miner_id", "miners", ["organisation_id", "miner_id"], unique=True)


def _organisations() -> None:
    op.create_table(
        "organisations",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("redirect_enabled", sa.Boolean(), nullable=False),
        sa.Column("approvals_required", sa.Integer(), nullable=False),
        sa.Column("slogan", sa.Text(), nullable=False),
        sa.Column("colour_primary", sa.Text(), nullable=False),
        sa.Column("colour_accent", sa.Text(), nullable=False),
        sa.Column("contact_email", sa.Text(), nullable=False),
        sa.Column("contact_phone", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_organisations")),
        sa.UniqueConstraint("slug", name=op.f("uq_organisations_slug")),
    )


def _pools_seen() -> None:
    op.create_table(
        "pools_seen",
        sa.Column(
            "pool_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pool_no", name=op.f("pk_pools_seen")),
    )
    op.create_index("ux_pools_seen_identity", "pools_seen", ["organisation_id", "url", "worker"], unique=True)


def _projection_blocks() -> None:
    op.create_table(
        "projection_blocks",
        sa.Column(
            "block_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("done_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("block_no", name=op.f("pk_projection_blocks")),
    )
    op.create_index("ix_projection_blocks_done_at_us", "projection_blocks", ["done_at_us"], unique=False)


def _rollup_changes() -> None:
    op.create_table(
        "rollup_changes",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("day_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("stale", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "site_id", "day_us", name=op.f("pk_rollup_changes")),
    )


def _rollups_daily() -> None:
    op.create_table(
        "rollups_daily",
        sa.Column(
            "miner_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("day_us", sa.BigInteger(), nullable=False),
        sa.Column("pool_no", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("online_ms", sa.BigInteger(), nullable=False),
        sa.Column("degraded_ms", sa.BigInteger(), nullable=False),
        sa.Column("unreachable_ms", sa.BigInteger(), nullable=False),
        sa.Column("unread_ms", sa.BigInteger(), nullable=False),
        sa.Column("hashrate_known_ms", sa.BigInteger(), nullable=False),
        sa.Column("hashrate_cths_ms", sa.BigInteger(), nullable=False),
        sa.Column("power_known_ms", sa.BigInteger(), nullable=False),
        sa.Column("power_w_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("miner_no", "day_us", "pool_no", name=op.f("pk_rollups_daily")),
    )
    op.create_index("ix_rollups_daily_day_us", "rollups_daily", ["day_us"], unique=False)


def _rollups_hourly() -> None:
    op.create_table(
        "rollups_hourly",
        sa.Column(
            "miner_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("hour_us", sa.BigInteger(), nullable=False),
        sa.Column("pool_no", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("online_ms", sa.BigInteger(), nullable=False),
        sa.Column("degraded_ms", sa.BigInteger(), nullable=False),
        sa.Column("unreachable_ms", sa.BigInteger(), nullable=False),
        sa.Column("unread_ms", sa.BigInteger(), nullable=False),
        sa.Column("hashrate_known_ms", sa.BigInteger(), nullable=False),
        sa.Column("hashrate_cths_ms", sa.BigInteger(), nullable=False),
        sa.Column("power_known_ms", sa.BigInteger(), nullable=False),
        sa.Column("power_w_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("miner_no", "hour_us", "pool_no", name=op.f("pk_rollups_hourly")),
    )
    op.create_index("ix_rollups_hourly_hour_us", "rollups_hourly", ["hour_us"], unique=False)


def _rosters() -> None:
    op.create_table(
        "rosters",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("roster_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("miner_nos", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "roster_id", name=op.f("pk_rosters")),
    )


def _schema_info() -> None:
    op.create_table(
        "schema_info",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_schema_info")),
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("totp_secret", sa.Text(), nullable=True),
        sa.Column("totp_last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )


def _activity() -> None:
    op.create_table(
        "activity",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_activity_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "position", name=op.f("pk_activity")),
    )
    op.create_index(
        "ix_activity_customer", "activity", ["organisation_id", "customer_id", "position"], unique=False
    )


def _agreements() -> None:
    op.create_table(
        "agreements",
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("retired_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_agreements_organisation_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_agreements")),
    )
    op.create_index("ix_agreements_organisation", "agreements", ["organisation_id"], unique=False)


def _api_tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("last_used_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_api_tokens_organisation_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_api_tokens_user_id")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_index("ix_api_tokens_organisation", "api_tokens", ["organisation_id", "created_us"], unique=False)


def _bulk_actions() -> None:
    op.create_table(
        "bulk_actions",
        sa.Column("bulk_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("worked_us", sa.BigInteger(), nullable=True),
        sa.Column("finished_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_bulk_actions_organisation_id")
        ),
        sa.PrimaryKeyConstraint("bulk_id", name=op.f("pk_bulk_actions")),
    )
    op.create_index("ix_bulk_actions_created", "bulk_actions", ["organisation_id", "created_us"], unique=False)


def _case_numbers() -> None:
    op.create_table(
        "case_numbers",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_case_numbers_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_case_numbers")),
    )


def _contract_numbers() -> None:
    op.create_table(
        "contract_numbers",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_contract_numbers_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "year", name=op.f("pk_contract_numbers")),
    )


def _customers() -> None:
    op.create_table(
        "customers",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("billing_email", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("portal_access", sa.Boolean(), nullable=False),
        sa.Column("team_name", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_customers_organisation_id")
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customers")),
    )
    op.create_index("ix_customers_organisation_email", "customers", ["organisation_id", "email"], unique=False)
    op.create_index("ix_customers_organisation_name", "customers", ["organisation_id", "name"], unique=False)


def _emails() -> None:
    op.create_table(
        "emails",
        sa.Column("email_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("to_address", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("accepted_us", sa.BigInteger(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_emails_organisation_id")
        ),
        sa.PrimaryKeyConstraint("email_id", name=op.f("pk_emails")),
    )
    op.create_index("ix_emails_due", "emails", ["state", "due_us"], unique=False)
    op.create_index("ix_emails_organisation", "emails", ["organisation_id", "created_us"], unique=False)


def _hashprices() -> None:
    op.create_table(
        "hashprices",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("price_micro", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_hashprices_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "currency", "day", name=op.f("pk_hashprices")),
    )


def _holding_pools() -> None:
    op.create_table(
        "holding_pools",
        sa.Column("pool_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("sealed_password", sa.Text(), nullable=False),
        sa.Column("pool_hash", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("retired_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_holding_pools_organisation_id")
        ),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_holding_pools")),
    )
    op.create_index("ux_holding_pools_reference", "holding_pools", ["organisation_id", "reference"], unique=True)


def _idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_idempotency_keys_organisation_id"),
        ),
        sa.PrimaryKeyConstraint(
            "organisation_id", "actor_id", "route", "idempotency_key", name=op.f("pk_idempotency_keys")
        ),
    )
    op.create_index("ix_idempotency_keys_created", "idempotency_keys", ["created_us"], unique=False)


def _invoice_numbers() -> None:
    op.create_table(
        "invoice_numbers",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_invoice_numbers_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "year", name=op.f("pk_invoice_numbers")),
    )


def _journal_heads() -> None:
    op.create_table(
        "journal_heads",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("broken_at", sa.Integer(), nullable=True),
        sa.Column("broken_us", sa.BigInteger(), nullable=True),
        sa.Column("published_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_journal_heads_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "agent_id", name=op.f("pk_journal_heads")),
    )


def _journal_lines() -> None:
    op.create_table(
        "journal_lines",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_journal_lines_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "agent_id", "index", name=op.f("pk_journal_lines")),
    )


def _key_rotations() -> None:
    op.create_table(
        "key_rotations",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_key_rotations_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "sequence", name=op.f("pk_key_rotations")),
    )


def _legal_holds() -> None:
    op.create_table(
        "legal_holds",
        sa.Column("hold_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("contract_id", sa.Text(), nullable=True),
        sa.Column("site_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_us", sa.BigInteger(), nullable=False),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("lifted_us", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=False),
        sa.Column("lift_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_legal_holds_organisation_id")
        ),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_legal_holds")),
    )
    op.create_index("ix_legal_holds_organisation", "legal_holds", ["organisation_id"], unique=False)


def _organisation_logos() -> None:
    op.create_table(
        "organisation_logos",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_organisation_logos_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_organisation_logos")),
    )


def _organisation_old_slugs() -> None:
    op.create_table(
        "organisation_old_slugs",
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_organisation_old_slugs_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_organisation_old_slugs")),
    )


def _password_resets() -> None:
    op.create_table(
        "password_resets",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("used_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_password_resets_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_password_resets")),
    )


def _pool_figures() -> None:
    op.create_table(
        "pool_figures",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("hashrate_cths", sa.BigInteger(), nullable=False),
        sa.Column("shares_accepted", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_sha256", sa.Text(), nullable=False),
        sa.Column("imported_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_pool_figures_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "pool", "worker", "day", name=op.f("pk_pool_figures")),
    )


def _redirect_controls() -> None:
    op.create_table(
        "redirect_controls",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("freeze_restores", sa.Boolean(), nullable=False),
        sa.Column("holding_pool", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_redirect_controls_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_redirect_controls")),
    )


def _signing_keys() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sealed_private", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("retired_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_signing_keys_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "fingerprint", name=op.f("pk_signing_keys")),
    )


def _sites() -> None:
    op.create_table(
        "sites",
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("capacity_w", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("energy_price_micro", sa.BigInteger(), nullable=True),
        sa.Column("tax_bp", sa.Integer(), nullable=False),
        sa.Column("shadow_mode", sa.Boolean(), nullable=False),
        sa.Column("poll_interval_s", sa.Float(), nullable=False),
        sa.Column("discovery_interval_s", sa.Float(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_sites_organisation_id")
        ),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_sites")),
    )
    op.create_index("ux_sites_organisation_name", "sites", ["organisation_id", "name"], unique=True)


def _snapshots() -> None:
    op.create_table(
        "snapshots",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_snapshots_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "agent_id", "snapshot_id", name=op.f("pk_snapshots")),
    )
    op.create_index(
        "ix_snapshots_organisation_id_site_id",
        "snapshots",
        ["organisation_id", "site_id", "unit_id"],
        unique=False,
    )


def _unit_events() -> None:
    op.create_table(
        "unit_events",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("active_pool", sa.Text(), nullable=True),
        sa.Column("active_worker", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_unit_events_organisation_id")
        ),
        sa.PrimaryKeyConstraint("agent_id", "epoch", "seq", "position", name=op.f("pk_unit_events")),
    )
    op.create_index("ix_unit_events_case", "unit_events", ["organisation_id", "case_id"], unique=False)


def _agreement_versions() -> None:
    op.create_table(
        "agreement_versions",
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreements.agreement_id"], name=op.f("fk_agreement_versions_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_agreement_versions_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_agreement_versions")),
    )
    op.create_index("ix_agreement_versions_organisation", "agreement_versions", ["organisation_id"], unique=False)
    op.create_index("ux_agreement_versions_number", "agreement_versions", ["agreement_id", "version"], unique=True)


def _bulk_items() -> None:
    op.create_table(
        "bulk_items",
        sa.Column("bulk_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["bulk_id"], ["bulk_actions.bulk_id"], name=op.f("fk_bulk_items_bulk_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_bulk_items_organisation_id")
        ),
        sa.PrimaryKeyConstraint("bulk_id", "position", name=op.f("pk_bulk_items")),
    )
    op.create_index("ix_bulk_items_state", "bulk_items", ["bulk_id", "state", "position"], unique=False)


def _commands() -> None:
    op.create_table(
        "commands",
        sa.Column("command_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("miner_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("asked_us", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_commands_organisation_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.site_id"], name=op.f("fk_commands_site_id")),
        sa.PrimaryKeyConstraint("command_id", name=op.f("pk_commands")),
    )
    op.create_index("ix_commands_site", "commands", ["organisation_id", "site_id", "expires_us"], unique=False)
    op.create_index("ix_commands_unit", "commands", ["organisation_id", "unit_id", "command_id"], unique=False)


def _contracts() -> None:
    op.create_table(
        "contracts",
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("starts_us", sa.BigInteger(), nullable=True),
        sa.Column("ends_us", sa.BigInteger(), nullable=True),
        sa.Column("extensions", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_contracts_customer_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_contracts_organisation_id")
        ),
        sa.PrimaryKeyConstraint("contract_id", name=op.f("pk_contracts")),
    )
    op.create_index("ix_contracts_customer", "contracts", ["organisation_id", "customer_id"], unique=False)
    op.create_index("ux_contracts_organisation_number", "contracts", ["organisation_id", "number"], unique=True)


def _customer_pool_sites() -> None:
    op.create_table(
        "customer_pool_sites",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=True),
        sa.Column("assigned_us", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_customer_pool_sites_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_customer_pool_sites_organisation_id"),
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.site_id"], name=op.f("fk_customer_pool_sites_site_id")),
        sa.PrimaryKeyConstraint("organisation_id", "customer_id", "site_id", name=op.f("pk_customer_pool_sites")),
    )


def _customer_pools() -> None:
    op.create_table(
        "customer_pools",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("set_us", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_customer_pools_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_customer_pools_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "customer_id", "position", name=op.f("pk_customer_pools")),
    )


def _disputes() -> None:
    op.create_table(
        "disputes",
        sa.Column("dispute_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("raised_us", sa.BigInteger(), nullable=False),
        sa.Column("raised_by", sa.Text(), nullable=False),
        sa.Column("resolved_us", sa.BigInteger(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_disputes_customer_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_disputes_organisation_id")
        ),
        sa.PrimaryKeyConstraint("dispute_id", name=op.f("pk_disputes")),
    )
    op.create_index("ix_disputes_customer", "disputes", ["organisation_id", "customer_id"], unique=False)


def _invites() -> None:
    op.create_table(
        "invites",
        sa.Column("invite_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("invited_by", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("accepted_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_invites_customer_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_invites_organisation_id")
        ),
        sa.PrimaryKeyConstraint("invite_id", name=op.f("pk_invites")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invites_token_hash")),
    )
    op.create_index("ix_invites_organisation", "invites", ["organisation_id", "customer_id"], unique=False)


def _journal_publications() -> None:
    op.create_table(
        "journal_publications",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("published_us", sa.BigInteger(), nullable=False),
        sa.Column("notice_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_journal_publications_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_journal_publications_organisation_id"),
        ),
        sa.PrimaryKeyConstraint(
            "organisation_id", "customer_id", "agent_id", "day", name=op.f("pk_journal_publications")
        ),
    )


def _memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("membership_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_memberships_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_memberships_organisation_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_memberships_user_id")),
        sa.PrimaryKeyConstraint("membership_id", name=op.f("pk_memberships")),
    )
    op.create_index("ix_memberships_user", "memberships", ["user_id"], unique=False)
    op.create_index("ux_memberships_organisation_user", "memberships", ["organisation_id", "user_id"], unique=True)


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=True),
        sa.Column("invoice_id", sa.Text(), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("to_address", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("email_id", sa.Text(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("accepted_us", sa.BigInteger(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("bounced_us", sa.BigInteger(), nullable=True),
        sa.Column("bounce", sa.Text(), nullable=False),
        sa.Column("proof_us", sa.BigInteger(), nullable=True),
        sa.Column("proof_name", sa.Text(), nullable=False),
        sa.Column("proof_sha256", sa.Text(), nullable=False),
        sa.Column("proof_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_notices_customer_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_notices_organisation_id")
        ),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_notices")),
    )
    op.create_index("ix_notices_case", "notices", ["organisation_id", "case_id"], unique=False)
    op.create_index("ix_notices_customer", "notices", ["organisation_id", "customer_id"], unique=False)
    op.create_index("ix_notices_email", "notices", ["organisation_id", "email_id"], unique=False)
    op.create_index("ix_notices_invoice", "notices", ["organisation_id", "invoice_id"], unique=False)


def _payments() -> None:
    op.create_table(
        "payments",
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("reversed_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_payments_customer_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_payments_organisation_id")
        ),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_payments")),
    )
    op.create_index("ix_payments_customer", "payments", ["organisation_id", "customer_id"], unique=False)
    op.create_index("ux_payments_idempotency", "payments", ["organisation_id", "idempotency_key"], unique=True)


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("view_customer_id", sa.Text(), nullable=True),
        sa.Column("remote", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_sessions_organisation_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_sessions_user_id")),
        sa.ForeignKeyConstraint(
            ["view_customer_id"], ["customers.customer_id"], name=op.f("fk_sessions_view_customer_id")
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_organisation", "sessions", ["organisation_id", "last_seen_us"], unique=False)
    op.create_index("ix_sessions_user", "sessions", ["user_id"], unique=False)


def _units() -> None:
    op.create_table(
        "units",
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("expected_hashrate_ths", sa.Float(), nullable=True),
        sa.Column("nameplate_w", sa.BigInteger(), nullable=True),
        sa.Column("host_owned", sa.Boolean(), nullable=False),
        sa.Column("state_since_us", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_units_organisation_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.site_id"], name=op.f("fk_units_site_id")),
        sa.PrimaryKeyConstraint("unit_id", name=op.f("pk_units")),
    )
    op.create_index("ix_units_serial", "units", ["organisation_id", "serial"], unique=False)
    op.create_index("ix_units_site", "units", ["organisation_id", "site_id"], unique=False)
    op.create_index("ux_units_label", "units", ["organisation_id", "label"], unique=True)
    op.create_index("ux_units_mac", "units", ["organisation_id", "mac"], unique=True)


def _agreement_acceptances() -> None:
    op.create_table(
        "agreement_acceptances",
        sa.Column("acceptance_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("remote", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_agreement_acceptances_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_agreement_acceptances_organisation_id"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_agreement_acceptances_user_id")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["agreement_versions.version_id"], name=op.f("fk_agreement_acceptances_version_id")
        ),
        sa.PrimaryKeyConstraint("acceptance_id", name=op.f("pk_agreement_acceptances")),
    )
    op.create_index(
        "ix_agreement_acceptances_organisation",
        "agreement_acceptances",
        ["organisation_id", "customer_id"],
        unique=False,
    )
    op.create_index(
        "ux_agreement_acceptances_once", "agreement_acceptances", ["customer_id", "version_id"], unique=True
    )


def _contract_services() -> None:
    op.create_table(
        "contract_services",
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("monthly_micro", sa.BigInteger(), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.contract_id"], name=op.f("fk_contract_services_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_contract_services_organisation_id"),
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.site_id"], name=op.f("fk_contract_services_site_id")),
        sa.PrimaryKeyConstraint("service_id", name=op.f("pk_contract_services")),
    )
    op.create_index(
        "ix_contract_services_contract", "contract_services", ["organisation_id", "contract_id"], unique=False
    )


def _contract_sites() -> None:
    op.create_table(
        "contract_sites",
        sa.Column("contract_site_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.contract_id"], name=op.f("fk_contract_sites_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_contract_sites_organisation_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.site_id"], name=op.f("fk_contract_sites_site_id")),
        sa.PrimaryKeyConstraint("contract_site_id", name=op.f("pk_contract_sites")),
    )
    op.create_index(
        "ix_contract_sites_contract", "contract_sites", ["organisation_id", "contract_id"], unique=False
    )
    op.create_index(
        "ux_contract_sites_open",
        "contract_sites",
        ["contract_id", "site_id"],
        unique=True,
        sqlite_where=sa.text("to_us IS NULL"),
        postgresql_where=sa.text("to_us IS NULL"),
    )


def _contract_versions() -> None:
    op.create_table(
        "contract_versions",
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("effective_us", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("billing_basis", sa.Text(), nullable=False),
        sa.Column("rate_micro", sa.BigInteger(), nullable=False),
        sa.Column("fixed_monthly_micro", sa.BigInteger(), nullable=False),
        sa.Column("power_cap_w", sa.BigInteger(), nullable=True),
        sa.Column("term_months", sa.Integer(), nullable=True),
        sa.Column("auto_renew", sa.Boolean(), nullable=False),
        sa.Column("notice_days", sa.Integer(), nullable=False),
        sa.Column("failover_micro", sa.BigInteger(), nullable=True),
        sa.Column("due_s", sa.BigInteger(), nullable=False),
        sa.Column("grace_s", sa.BigInteger(), nullable=False),
        sa.Column("cure_s", sa.BigInteger(), nullable=False),
        sa.Column("late_fee_micro", sa.BigInteger(), nullable=False),
        sa.Column("deposit_micro", sa.BigInteger(), nullable=False),
        sa.Column("minimum_uptime_bp", sa.Integer(), nullable=False),
        sa.Column("redirect_clause", sa.Text(), nullable=False),
        sa.Column("redirect_clause_given", sa.Boolean(), nullable=False),
        sa.Column("accepted_us", sa.BigInteger(), nullable=True),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.Column("spec_model", sa.Text(), nullable=False),
        sa.Column("spec_hashrate_ths", sa.Float(), nullable=True),
        sa.Column("spec_quantity", sa.Integer(), nullable=True),
        sa.Column("connector_fee_bp", sa.Integer(), nullable=True),
        sa.Column("payout_wallet", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.contract_id"], name=op.f("fk_contract_versions_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_contract_versions_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_contract_versions")),
    )
    op.create_index(
        "ix_contract_versions_effective",
        "contract_versions",
        ["organisation_id", "contract_id", "effective_us"],
        unique=False,
    )
    op.create_index("ux_contract_versions_number", "contract_versions", ["contract_id", "version"], unique=True)


def _default_cases() -> None:
    op.create_table(
        "default_cases",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("opened_us", sa.BigInteger(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("closed_us", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("closed_reason", sa.Text(), nullable=False),
        sa.Column("redirect_percent", sa.Integer(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("plan_until_us", sa.BigInteger(), nullable=True),
        sa.Column("gate_open", sa.Boolean(), nullable=False),
        sa.Column("gate_us", sa.BigInteger(), nullable=True),
        sa.Column("redirected_us", sa.BigInteger(), nullable=True),
        sa.Column("restored_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.contract_id"], name=op.f("fk_default_cases_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_default_cases_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_default_cases_organisation_id")
        ),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_default_cases")),
    )
    op.create_index("ix_default_cases_contract", "default_cases", ["organisation_id", "contract_id"], unique=False)
    op.create_index("ix_default_cases_state", "default_cases", ["organisation_id", "state"], unique=False)
    op.create_index("ux_default_cases_number", "default_cases", ["organisation_id", "number"], unique=True)


def _invoices() -> None:
    op.create_table(
        "invoices",
        sa.Column("invoice_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total_micro", sa.BigInteger(), nullable=False),
        sa.Column("period_from_us", sa.BigInteger(), nullable=True),
        sa.Column("period_to_us", sa.BigInteger(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("issued_us", sa.BigInteger(), nullable=True),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.Column("paid_us", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.contract_id"], name=op.f("fk_invoices_contract_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.customer_id"], name=op.f("fk_invoices_customer_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_invoices_organisation_id")
        ),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoices")),
    )
    op.create_index("ix_invoices_contract", "invoices", ["organisation_id", "contract_id"], unique=False)
    op.create_index("ix_invoices_customer", "invoices", ["organisation_id", "customer_id"], unique=False)
    op.create_index("ix_invoices_state", "invoices", ["organisation_id", "state"], unique=False)
    op.create_index("ux_invoices_number", "invoices", ["organisation_id", "number"], unique=True)


def _notice_proofs() -> None:
    op.create_table(
        "notice_proofs",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name=op.f("fk_notice_proofs_notice_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_notice_proofs_organisation_id")
        ),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_notice_proofs")),
    )


def _unit_assignments() -> None:
    op.create_table(
        "unit_assignments",
        sa.Column("assignment_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.contract_id"], name=op.f("fk_unit_assignments_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_unit_assignments_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_unit_assignments_organisation_id"),
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["units.unit_id"], name=op.f("fk_unit_assignments_unit_id")),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_unit_assignments")),
    )
    op.create_index(
        "ix_unit_assignments_contract", "unit_assignments", ["organisation_id", "contract_id"], unique=False
    )
    op.create_index(
        "ix_unit_assignments_customer", "unit_assignments", ["organisation_id", "customer_id"], unique=False
    )
    op.create_index("ix_unit_assignments_unit", "unit_assignments", ["unit_id", "from_us"], unique=False)
    op.create_index(
        "ux_unit_assignments_open",
        "unit_assignments",
        ["unit_id"],
        unique=True,
        sqlite_where=sa.text("to_us IS NULL"),
        postgresql_where=sa.text("to_us IS NULL"),
    )


def _approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("approval_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("binding", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["default_cases.case_id"], name=op.f("fk_approvals_case_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_approvals_organisation_id")
        ),
        sa.PrimaryKeyConstraint("approval_id", name=op.f("pk_approvals")),
    )
    op.create_index("ix_approvals_case", "approvals", ["organisation_id", "case_id"], unique=False)


def _case_events() -> None:
    op.create_table(
        "case_events",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["default_cases.case_id"], name=op.f("fk_case_events_case_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_case_events_organisation_id")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_case_events")),
    )
    op.create_index("ix_case_events_case", "case_events", ["organisation_id", "case_id", "at_us"], unique=False)


def _case_invoices() -> None:
    op.create_table(
        "case_invoices",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("invoice_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["default_cases.case_id"], name=op.f("fk_case_invoices_case_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.invoice_id"], name=op.f("fk_case_invoices_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_case_invoices_organisation_id")
        ),
        sa.PrimaryKeyConstraint("case_id", "invoice_id", name=op.f("pk_case_invoices")),
    )


def _gate_records() -> None:
    op.create_table(
        "gate_records",
        sa.Column("gate_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("claim_micro", sa.BigInteger(), nullable=False),
        sa.Column("to_cure_micro", sa.BigInteger(), nullable=False),
        sa.Column("binding", sa.Text(), nullable=False),
        sa.Column("unit_ids", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["default_cases.case_id"], name=op.f("fk_gate_records_case_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_gate_records_organisation_id")
        ),
        sa.PrimaryKeyConstraint("gate_id", name=op.f("pk_gate_records")),
    )
    op.create_index("ix_gate_records_case", "gate_records", ["organisation_id", "case_id", "at_us"], unique=False)


def _invoice_lines() -> None:
    op.create_table(
        "invoice_lines",
        sa.Column("invoice_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("unit_price_micro", sa.BigInteger(), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.invoice_id"], name=op.f("fk_invoice_lines_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_invoice_lines_organisation_id")
        ),
        sa.PrimaryKeyConstraint("invoice_id", "position", name=op.f("pk_invoice_lines")),
    )


def _ledger_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("invoice_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("reverses", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.customer_id"], name=op.f("fk_ledger_entries_customer_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.invoice_id"], name=op.f("fk_ledger_entries_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_ledger_entries_organisation_id")
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_ledger_entries")),
    )
    op.create_index(
        "ix_ledger_entries_customer", "ledger_entries", ["organisation_id", "customer_id"], unique=False
    )
    op.create_index("ix_ledger_entries_invoice", "ledger_entries", ["organisation_id", "invoice_id"], unique=False)
    op.create_index(
        "ix_ledger_entries_reference", "ledger_entries", ["organisation_id", "reference"], unique=False
    )
    op.create_index("ux_ledger_entries_reverses", "ledger_entries", ["reverses"], unique=True)


def _redirect_accruals() -> None:
    op.create_table(
        "redirect_accruals",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("ths_hours_micro", sa.BigInteger(), nullable=False),
        sa.Column("measured_s", sa.Integer(), nullable=False),
        sa.Column("hashprice_micro", sa.BigInteger(), nullable=False),
        sa.Column("hashprice_source", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("value_micro", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("booked_micro", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["default_cases.case_id"], name=op.f("fk_redirect_accruals_case_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.organisation_id"],
            name=op.f("fk_redirect_accruals_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("case_id", "unit_id", "day", name=op.f("pk_redirect_accruals")),
    )


def _redirect_orders() -> None:
    op.create_table(
        "redirect_orders",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("agent_key", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("holding_pool", sa.Text(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("issued_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("refused_us", sa.BigInteger(), nullable=True),
        sa.Column("refused_code", sa.Text(), nullable=True),
        sa.Column("refused_detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["default_cases.case_id"], name=op.f("fk_redirect_orders_case_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_redirect_orders_organisation_id")
        ),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_redirect_orders")),
    )
    op.create_index("ix_redirect_orders_case", "redirect_orders", ["organisation_id", "case_id"], unique=False)
    op.create_index("ux_redirect_orders_sequence", "redirect_orders", ["unit_id", "sequence"], unique=True)


def _redirect_units() -> None:
    op.create_table(
        "redirect_units",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("ordered_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("renew_us", sa.BigInteger(), nullable=True),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("active_pool", sa.Text(), nullable=True),
        sa.Column("active_worker", sa.Text(), nullable=True),
        sa.Column("status_us", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_us", sa.BigInteger(), nullable=True),
        sa.Column("at_pool_us", sa.BigInteger(), nullable=True),
        sa.Column("held_code", sa.Text(), nullable=True),
        sa.Column("held_until_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["default_cases.case_id"], name=op.f("fk_redirect_units_case_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_redirect_units_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "unit_id", name=op.f("pk_redirect_units")),
    )
    op.create_index("ix_redirect_units_case", "redirect_units", ["organisation_id", "case_id"], unique=False)
    op.create_index(
        "ix_redirect_units_customer", "redirect_units", ["organisation_id", "customer_id"], unique=False
    )
    op.create_index(
        "ix_redirect_units_site", "redirect_units", ["organisation_id", "site_id", "live"], unique=False
    )


def upgrade() -> None:
    _agent_challenges()
    _agent_gaps()
    _agent_tokens()
    _agents()
    _batch_bodies()
    _batches()
    _desired_versions()
    _enrolment_codes()
    _jobs()
    _latest()
    _leases()
    _login_attempts()
    _miners()
    _organisations()
    _pools_seen()
    _projection_blocks()
    _rollup_changes()
    _rollups_daily()
    _rollups_hourly()
    _rosters()
    _schema_info()
    _users()
    _activity()
    _agreements()
    _api_tokens()
    _bulk_actions()
    _case_numbers()
    _contract_numbers()
    _customers()
    _emails()
    _hashprices()
    _holding_pools()
    _idempotency_keys()
    _invoice_numbers()
    _journal_heads()
    _journal_lines()
    _key_rotations()
    _legal_holds()
    _organisation_logos()
    _organisation_old_slugs()
    _password_resets()
    _pool_figures()
    _redirect_controls()
    _signing_keys()
    _sites()
    _snapshots()
    _unit_events()
    _agreement_versions()
    _bulk_items()
    _commands()
    _contracts()
    _customer_pool_sites()
    _customer_pools()
    _disputes()
    _invites()
    _journal_publications()
    _memberships()
    _notices()
    _payments()
    _sessions()
    _units()
    _agreement_acceptances()
    _contract_services()
    _contract_sites()
    _contract_versions()
    _default_cases()
    _invoices()
    _notice_proofs()
    _unit_assignments()
    _approvals()
    _case_events()
    _case_invoices()
    _gate_records()
    _invoice_lines()
    _ledger_entries()
    _redirect_accruals()
    _redirect_orders()
    _redirect_units()


def downgrade() -> None:
    op.drop_table("redirect_units")
    op.drop_table("redirect_orders")
    op.drop_table("redirect_accruals")
    op.drop_table("ledger_entries")
    op.drop_table("invoice_lines")
    op.drop_table("gate_records")
    op.drop_table("case_invoices")
    op.drop_table("case_events")
    op.drop_table("approvals")
    op.drop_table("unit_assignments")
    op.drop_table("notice_proofs")
    op.drop_table("invoices")
    op.drop_table("default_cases")
    op.drop_table("contract_versions")
    op.drop_table("contract_sites")
    op.drop_table("contract_services")
    op.drop_table("agreement_acceptances")
    op.drop_table("units")
    op.drop_table("sessions")
    op.drop_table("payments")
    op.drop_table("notices")
    op.drop_table("memberships")
    op.drop_table("journal_publications")
    op.drop_table("invites")
    op.drop_table("disputes")
    op.drop_table("customer_pools")
    op.drop_table("customer_pool_sites")
    op.drop_table("contracts")
    op.drop_table("commands")
    op.drop_table("bulk_items")
    op.drop_table("agreement_versions")
    op.drop_table("unit_events")
    op.drop_table("snapshots")
    op.drop_table("sites")
    op.drop_table("signing_keys")
    op.drop_table("redirect_controls")
    op.drop_table("pool_figures")
    op.drop_table("password_resets")
    op.drop_table("organisation_old_slugs")
    op.drop_table("organisation_logos")
    op.drop_table("legal_holds")
    op.drop_table("key_rotations")
    op.drop_table("journal_lines")
    op.drop_table("journal_heads")
    op.drop_table("invoice_numbers")
    op.drop_table("idempotency_keys")
    op.drop_table("holding_pools")
    op.drop_table("hashprices")
    op.drop_table("emails")
    op.drop_table("customers")
    op.drop_table("contract_numbers")
    op.drop_table("case_numbers")
    op.drop_table("bulk_actions")
    op.drop_table("api_tokens")
    op.drop_table("agreements")
    op.drop_table("activity")
    op.drop_table("users")
    op.drop_table("schema_info")
    op.drop_table("rosters")
    op.drop_table("rollups_hourly")
    op.drop_table("rollups_daily")
    op.drop_table("rollup_changes")
    op.drop_table("projection_blocks")
    op.drop_table("pools_seen")
    op.drop_table("organisations")
    op.drop_table("miners")
    op.drop_table("login_attempts")
    op.drop_table("leases")
    op.drop_table("latest")
    op.drop_table("jobs")
    op.drop_table("enrolment_codes")
    op.drop_table("desired_versions")
    op.drop_table("batches")
    op.drop_table("batch_bodies")
    op.drop_table("agents")
    op.drop_table("agent_tokens")
    op.drop_table("agent_gaps")
    op.drop_table("agent_challenges")
