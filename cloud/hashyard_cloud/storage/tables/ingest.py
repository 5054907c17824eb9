"""What agents sent, as received, and how far it has been projected.

Bodies stand apart from what is known of them, because marking a row would otherwise write its body again.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from hashyard_cloud.storage.metadata import METADATA, SERIAL

BATCHES: Final = Table(
    "batches",
    METADATA,
    Column("batch_no", SERIAL, primary_key=True, autoincrement=True),
    Column("organisation_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cycle_at_us", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("received_at_us", BigInteger, nullable=False),
    Column("state", Integer, nullable=False),
    Column("block_no", BigInteger),
    Column("roster_id", Text),
    Column("problem", Text),
    Index("ux_batches_origin", "agent_id", "epoch", "seq", unique=True),
    Index("ix_batches_state", "state", "batch_no"),
    Index("ix_batches_block_no", "block_no"),
)

BATCH_BODIES: Final = Table(
    "batch_bodies",
    METADATA,
    Column("batch_no", SERIAL, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)

BLOCKS: Final = Table(
    "projection_blocks",
    METADATA,
    Column("block_no", SERIAL, primary_key=True, autoincrement=True),
    Column("created_at_us", BigInteger, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("done_at_us", BigInteger),
    Index("ix_projection_blocks_done_at_us", "done_at_us"),
)
"""A block's batches carry its number, so that a retry inserts the identical rows under the identical token."""

ROSTERS: Final = Table(
    "rosters",
    METADATA,
    Column("agent_id", Text, primary_key=True),
    Column("roster_id", Text, primary_key=True),
    Column("organisation_id", Text, nullable=False),
    Column("miner_nos", LargeBinary, nullable=False),
    Column("received_at_us", BigInteger, nullable=False),
)
"""`miner_nos`: little-endian 32-bit numbers in the roster's order."""
