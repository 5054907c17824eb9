"""The version of what the cloud wants of each site."""

from typing import Final

from sqlalchemy import BigInteger, Column, Table, Text

from hashyard_cloud.storage.metadata import METADATA

DESIRED_VERSIONS: Final = Table(
    "desired_versions",
    METADATA,
    Column("organisation_id", Text, primary_key=True),
    Column("site_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
