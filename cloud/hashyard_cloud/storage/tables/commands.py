"""Commands to miners and what became of them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from hashyard_cloud.storage.metadata import METADATA

COMMANDS = Table(
    "commands",
    METADATA,
    Column("command_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("site_id", Text, ForeignKey("sites.site_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("unit_id", Text),
    Column("label", Text, nullable=False),
    Column("miner_id", Text),
    Column("customer_id", Text),
    Column("asked_us", BigInteger, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text),
    Column("detail", Text, nullable=False),
    Column("ended_us", BigInteger),
)

Index("ix_commands_site", COMMANDS.c.organisation_id, COMMANDS.c.site_id, COMMANDS.c.expires_us)
Index("ix_commands_unit", COMMANDS.c.organisation_id, COMMANDS.c.unit_id, COMMANDS.c.command_id)
