"""All tables. Importing this package fills `METADATA`; add a feature's module here."""

from hashyard_cloud.storage.metadata import METADATA
from hashyard_cloud.storage.tables import schema_info

__all__ = ["METADATA", "schema_info"]
