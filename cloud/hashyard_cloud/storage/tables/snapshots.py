"""Snapshots of miners' configurations, sealed on site: kept here, readable only with the site's own key."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from hashyard_cloud.storage.metadata import METADATA

SNAPSHOTS: Final = Table(
    "snapshots",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("agent_id", Text, primary_key=True),
    Column("snapshot_id", Text, primary_key=True),
    Column("site_id", Text, nullable=False),
    Column("unit_id", Text, nullable=False),
    Column("mac", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("sealed", Text, nullable=False),
    Index("ix_snapshots_organisation_id_site_id", "organisation_id", "site_id", "unit_id"),
)
