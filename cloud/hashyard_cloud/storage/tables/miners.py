"""Devices as agents reported them, the pools they were seen on, and their newest reading."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA, SERIAL

MINERS: Final = Table(
    "miners",
    METADATA,
    Column("miner_no", SERIAL, primary_key=True, autoincrement=True),
    Column("organisation_id", Text, nullable=False),
    Column("miner_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("site_id", Text, nullable=False),
    Column("mac", Text),
    Column("serial", Text),
    Column("ip", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("make", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("firmware", Text, nullable=False),
    Column("expected_hashrate_ths", Float),
    Column("writable", Boolean, nullable=False),
    Column("first_seen_us", BigInteger, nullable=False),
    Column("changed_at_us", BigInteger, nullable=False),
    Column("details", Text),
    Column("details_at_us", BigInteger),
    Index("ux_miners_organisation_id_miner_id", "organisation_id", "miner_id", unique=True),
    Index("ix_miners_organisation_id_mac", "organisation_id", "mac"),
    Index("ix_miners_organisation_id_site_id", "organisation_id", "site_id"),
)

POOLS_SEEN: Final = Table(
    "pools_seen",
    METADATA,
    Column("pool_no", SERIAL, primary_key=True, autoincrement=True),
    Column("organisation_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Index("ux_pools_seen_identity", "organisation_id", "url", "worker", unique=True),
)

LATEST: Final = Table(
    "latest",
    METADATA,
    Column("miner_no", SERIAL, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("interval_ms", BigInteger, nullable=False),
    Column("state", Integer, nullable=False),
    Column("hashrate_cths", BigInteger),
    Column("power_w", BigInteger),
    Column("temp_chip_c", BigInteger),
    Column("temp_board_c", BigInteger),
    Column("fan_rpm", BigInteger),
    Column("uptime_s", BigInteger),
    Column("shares_accepted", BigInteger),
    Column("shares_rejected", BigInteger),
    Column("pool_no", BigInteger),
)
"""`hashrate_cths` is in hundredths of TH/s, as it travels."""
