"""All tables. Importing this package fills `METADATA`; add a feature's module here."""

from hashyard_cloud.storage.metadata import METADATA
from hashyard_cloud.storage.tables import contracts, customers, equipment, organisations, schema_info, sites, users

__all__ = ["METADATA", "contracts", "customers", "equipment", "organisations", "schema_info", "sites", "users"]
