"""What this store was made by."""

from typing import Final

from sqlalchemy import Column, Table, Text

from hashyard_cloud.storage.metadata import METADATA

SCHEMA_INFO: Final = Table(
    "schema_info",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
